import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { parseRequest } from '../../src/rotator/wire.ts';
import { rotatedBy, statusBy, verifiedBy } from '../../src/targets/web/answer.ts';
import { bytesOf, requestBody } from './tokens.ts';

/** The document for authors says what the code on both sides does. */

const document = JSON.parse(
  readFileSync(new URL('../../schemas/rotator.openapi.json', import.meta.url), 'utf8'),
);
const ajv = new Ajv2020({ strict: false });
ajv.addSchema({ ...document, $id: 'openapi' });
const matches = (name: string, value: unknown): boolean =>
  ajv.validate(`openapi#/components/schemas/${name}`, value) === true;

describe('a request', () => {
  test.each([
    ['that rotates', {}],
    [
      'whose value the rotator makes',
      {
        proposed_password: undefined,
        password_policy: { length: 20, lower: true, upper: true, digits: true, symbols: false },
      },
    ],
    ['that verifies', { operation: 'verify', password: 'x' }],
    ['that revokes', { operation: 'revoke', password: 'x', username: 'reporting' }],
    ['that asks', { operation: 'status', operation_id: '01K' }],
  ])('%s is one to the document and to the helper', (_, more) => {
    const bytes = bytesOf(requestBody(more));
    expect(typeof parseRequest(bytes)).toBe('object');
    expect(matches('Request', JSON.parse(bytes.toString()))).toBe(true);
  });

  test.each([
    ['without an operation', { operation: undefined }],
    ['that verifies nothing', { operation: 'verify' }],
    ['that asks about nothing', { operation: 'status' }],
    ['without a payload', { payload: undefined }],
  ])('%s is none to both', (_, more) => {
    const bytes = bytesOf(requestBody(more));
    expect(typeof parseRequest(bytes)).toBe('string');
    expect(matches('Request', JSON.parse(bytes.toString()))).toBe(false);
  });
});

describe('an answer', () => {
  const answered = (status: number, json: Record<string, unknown> | null) =>
    ({ r: 'answer', status, json, retryAfter: null }) as const;

  test.each([
    [{ applied: true }, 'applied', undefined],
    [{ payload: 'Value-1' }, 'applied', 'Value-1'],
    [{ password: 'Value-2', username: 'app-2', id: 'k2', other: 1 }, 'applied', 'Value-2'],
    [{}, 'ambiguous', undefined],
    [{ applied: false }, 'ambiguous', undefined],
    [{ password: '' }, 'ambiguous', undefined],
    [{ password: 7 }, 'ambiguous', undefined],
  ])('200 %j to a rotation is %s', (json, r, value) => {
    const result = rotatedBy(answered(200, json));
    expect(result.r).toBe(r);
    expect(result.r === 'applied' ? result.given?.value.reveal() : undefined).toBe(value);
    if (r === 'applied') expect(matches('Applied', json)).toBe(true);
  });

  test.each([
    [400, { applied: false, code: 'policy' }, 'refused', 'policy'],
    [422, { applied: false, code: 'history' }, 'refused', 'history'],
    [403, { applied: false, code: 'unauthorized' }, 'refused', 'permission'],
    [403, { applied: false, code: 'Ünsafe\u001b[31m' }, 'refused', 'permission'],
    [409, { applied: false, code: 'bad-current' }, 'refused', 'bad-current'],
    [400, { error: 'no' }, 'ambiguous', undefined],
    [400, null, 'ambiguous', undefined],
    [409, { code: 'in-progress' }, 'ambiguous', undefined],
    [500, { applied: false }, 'ambiguous', undefined],
    [302, { applied: false }, 'ambiguous', undefined],
    [201, { applied: true }, 'ambiguous', undefined],
  ])('%i %j to a rotation is %s', (status, json, r, why) => {
    const result = rotatedBy(answered(status, json));
    expect(result).toMatchObject({ r, ...(why === undefined ? {} : { why }) });
    expect('detail' in result && result.detail).not.toContain('nsafe');
  });

  test.each([
    [200, { valid: true }, 'ok'],
    [200, { valid: false }, 'denied'],
    [200, { valid: false, code: 'locked' }, 'blocked'],
    [200, { valid: 'yes' }, 'inconclusive'],
    [404, { applied: false }, 'inconclusive'],
    [500, null, 'unreachable'],
  ])('%i %j to a verification is %s', (status, json, r) => {
    expect(verifiedBy(answered(status, json)).r).toBe(r);
  });

  test.each([
    [200, { state: 'applied', password: 'v' }, 'applied'],
    [200, { state: 'not-applied' }, 'not-applied'],
    [200, { state: 'in-progress' }, 'unknown'],
    [200, { applied: true }, 'unknown'],
    [404, { state: 'not-applied' }, 'unknown'],
  ])('%i %j to a question for the status is %s', (status, json, r) => {
    expect(statusBy(answered(status, json)).r).toBe(r);
  });
});
