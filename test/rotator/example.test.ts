import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rotatedBy, statusBy, verifiedBy } from '../../src/targets/web/answer.ts';
import { asReconciler } from '../../src/targets/web/authenticate.ts';
import { ask, type Line, type Question } from '../../src/targets/web/call.ts';
import { certificates } from '../servers/https.ts';
import { audience, type ExampleRotator, kill, startExample, startProgram } from '../servers/rotator.ts';
import { makeReconciler } from './tokens.ts';

/** examples/custom-rotator as programs, asked by the client that keyturn asks with. */

const ours = makeReconciler();
const callerOf = (url: string, who = ours): Line => ({
  endpoint: {
    url,
    ca: certificates().caPem,
    serverName: undefined,
    client: undefined,
    allowAddresses: ['127.0.0.0/8', '::1'],
    timeout: 5_000,
  },
  header: 'KeyturnCreds',
  audience,
  accessId: undefined,
  itemName: '/demo/reporting',
  authenticate: asReconciler(
    () => who.signer,
    'demo',
    () => new Date(),
  ),
});
const question = (more: Partial<Question>, fields: Record<string, unknown>): Question => ({
  operation: 'rotate',
  key: 'K1',
  attempt: 1,
  payload: '',
  ...more,
  fields: { username: 'reporting', ...fields },
});

describe('the rotator in TypeScript', () => {
  let example: ExampleRotator;
  beforeAll(async () => {
    example = await startExample(ours.keys);
    example.store.create('reporting', 'typed-by-hand-1');
  });
  afterAll(() => example.stop());

  const verify = async (password: string) =>
    verifiedBy(await ask(callerOf(example.url), question({ operation: 'verify', key: 'V' }, { password }))).r;

  test('sets what is proposed, once, and keeps the former password until it is revoked', async () => {
    const rotate = question({}, { proposed_password: 'Proposed-value-1', retain: true });
    expect(rotatedBy(await ask(callerOf(example.url), rotate))).toMatchObject({ r: 'applied', given: null });
    expect(await verify('Proposed-value-1')).toBe('ok');
    expect(await verify('typed-by-hand-1')).toBe('ok');
    const again = { ...rotate, attempt: 2 };
    expect(rotatedBy(await ask(callerOf(example.url), again)).r).toBe('applied');
    expect(example.store.login('reporting', 'typed-by-hand-1')).toBe('former');
    const revoke = question({ operation: 'revoke', key: 'R' }, { password: 'typed-by-hand-1' });
    expect(rotatedBy(await ask(callerOf(example.url), revoke)).r).toBe('applied');
    expect(await verify('typed-by-hand-1')).toBe('denied');
    expect(await verify('Proposed-value-1')).toBe('ok');
  });

  test('gives the value that it made again under the same key, also after a crash', async () => {
    const rotate = question(
      { key: 'K2' },
      { password_policy: { length: 20, lower: true, upper: true, digits: true, symbols: true } },
    );
    const first = rotatedBy(await ask(callerOf(example.url), rotate));
    if (first.r !== 'applied' || !first.given) throw new Error('no value');
    const value = first.given.value.reveal();
    expect(value).toMatch(/^[\w.!-]{20}$/);
    await example.restart();
    const second = rotatedBy(await ask(callerOf(example.url), { ...rotate, attempt: 2 }));
    expect(second.r === 'applied' && second.given?.value.reveal()).toBe(value);
    expect(await verify(value)).toBe('ok');
    const status = question({ operation: 'status', key: 'S' }, { operation_id: 'K2' });
    const known = statusBy(await ask(callerOf(example.url), status));
    expect(known.r === 'applied' && known.given?.value.reveal()).toBe(value);
    const other = question({ operation: 'status', key: 'S' }, { operation_id: 'K9' });
    expect(statusBy(await ask(callerOf(example.url), other))).toEqual({ r: 'not-applied' });
  });

  test('does nothing for a stranger, and says no for an account that it does not have', async () => {
    const rotate = question({ key: 'K3' }, { proposed_password: 'Attackers-value-1' });
    expect(rotatedBy(await ask(callerOf(example.url, makeReconciler()), rotate))).toMatchObject({
      r: 'refused',
      why: 'permission',
    });
    expect(await verify('Attackers-value-1')).toBe('denied');
    const nobody = { ...rotate, fields: { username: 'nobody', proposed_password: 'x' } };
    expect(rotatedBy(await ask(callerOf(example.url), nobody))).toMatchObject({
      r: 'refused',
      why: 'no-account',
    });
  });
});

test('the rotator in Python asks keyturn rotator serve-validation, and does the same', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-python-'));
  const at = (name: string): string => join(folder, name);
  const file = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
  const { certPem, keyPem } = certificates();
  writeFileSync(at('cert.pem'), certPem);
  writeFileSync(at('key.pem'), keyPem);
  writeFileSync(at('jwks.json'), JSON.stringify(ours.keys));
  const base = { PATH: process.env.PATH, HOME: folder };
  const judge = await startProgram(
    process.execPath,
    [
      file('src/cli.ts'),
      'rotator',
      'serve-validation',
      '--jwks',
      at('jwks.json'),
      '--audience',
      audience,
      '--listen',
      '127.0.0.1:0',
    ],
    base,
  );
  const python = await startProgram('python3', [file('examples/custom-rotator/rotator.py')], {
    ...base,
    USERS: at('users.db'),
    VALIDATION: judge.line,
    TLS_CERT: at('cert.pem'),
    TLS_KEY: at('key.pem'),
    ADDRESS: '127.0.0.1',
    PORT: '0',
  });
  try {
    const users = new DatabaseSync(at('users.db'));
    users.exec(`INSERT INTO users VALUES ('reporting', 'by hand')`);
    users.close();
    const url = `https://localhost:${/\d+$/.exec(python.line)?.[0]}/`;
    const rotate = question({}, { proposed_password: 'Proposed-value-1' });
    const verify = question({ operation: 'verify', key: 'V' }, { password: 'Proposed-value-1' });
    const stranger = await ask(callerOf(url, makeReconciler()), rotate);
    expect(rotatedBy(stranger)).toMatchObject({ r: 'refused', why: 'permission' });
    expect(verifiedBy(await ask(callerOf(url), verify)).r).toBe('denied');
    expect(rotatedBy(await ask(callerOf(url), rotate)).r).toBe('applied');
    expect(rotatedBy(await ask(callerOf(url), { ...rotate, attempt: 2 })).r).toBe('applied');
    expect(verifiedBy(await ask(callerOf(url), verify)).r).toBe('ok');
  } finally {
    await kill(python.child);
    await kill(judge.child);
    rmSync(folder, { recursive: true, force: true });
  }
});
