import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { memoryAnswers } from '../../src/rotator/answers.ts';
import { type RotatorRules, type Verdict, verifyRequest } from '../../src/rotator/verify.ts';
import { bytesOf, claimsFor, forge, makeReconciler, now, requestBody, seconds, url } from './tokens.ts';

const ours = makeReconciler();
const stranger = makeReconciler();
const rules = (more: Partial<RotatorRules> = {}): RotatorRules => ({
  trust: { keys: ours.keys },
  audience: url,
  accessId: 'acme-secrets',
  itemNames: ['prod/reporting'],
  answers: memoryAnswers(),
  now: () => now,
  ...more,
});

const send = (
  token: string,
  body: Buffer,
  more: { rules?: RotatorRules; key?: string; method?: string } = {},
): Promise<Verdict> =>
  verifyRequest(
    {
      method: more.method ?? 'POST',
      headers: { keyturncreds: token, 'idempotency-key': more.key ?? '01K' },
      body,
    },
    more.rules ?? rules(),
  );

const body = bytesOf(requestBody());
const good = ours.signer.token(claimsFor(body)).reveal();

describe('a request of the reconciler', () => {
  test('is taken with everything in it', async () => {
    const verdict = await send(good, body);
    expect(verdict).toMatchObject({
      r: 'new',
      request: {
        operation: 'rotate',
        item_name: '/prod/reporting',
        proposed_password: 'Proposed-1-abcdefgh',
      },
    });
  });

  test('is taken while the clocks differ by less than a minute', async () => {
    for (const [shift, r] of [
      [179, 'new'],
      [181, 'refused'],
      [-59, 'new'],
    ] as const) {
      const at = new Date(now.getTime() + shift * 1000);
      expect((await send(good, body, { rules: rules({ now: () => at }) })).r).toBe(r);
    }
  });

  test('may carry its token under the name that older rotators read', async () => {
    const verdict = await verifyRequest(
      { method: 'POST', headers: { akeylesscreds: good, 'idempotency-key': '01K' }, body },
      rules({ header: 'AkeylessCreds' }),
    );
    expect(verdict.r).toBe('new');
  });
});

describe('refused without a word of why to the sender', () => {
  const publicPem = `-----BEGIN PUBLIC KEY-----\n${ours.publicBase64}\n-----END PUBLIC KEY-----\n`;
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const claims = claimsFor(body);
  const eddsa = (text: string): Buffer => sign(null, Buffer.from(text), ours.key);
  const { body_sha256: _, ...unbound } = claims;
  const { jti: __, ...unnamed } = claims;

  test.each<[string, string, string]>([
    [
      'signed by a stranger under our kid',
      stranger.signer.token(claims).reveal(),
      'ERR_JWS_SIGNATURE_VERIFICATION_FAILED',
    ],
    [
      'a kid that nobody pinned',
      makeReconciler('other').signer.token(claims).reveal(),
      'ERR_JWKS_NO_MATCHING_KEY',
    ],
    ['alg none', `${good.split('.').slice(0, 2).join('.')}.`, 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED'],
    [
      'alg none said',
      forge({ alg: 'none', kid: 'ci-1' }, claims, () => Buffer.alloc(0)),
      'ERR_JOSE_ALG_NOT_ALLOWED',
    ],
    [
      'HMAC with our public key',
      forge({ alg: 'HS256', kid: 'ci-1' }, claims, (text) =>
        createHmac('sha256', publicPem).update(text).digest(),
      ),
      'ERR_JOSE_ALG_NOT_ALLOWED',
    ],
    [
      'HMAC with the raw public key',
      forge({ alg: 'HS256', kid: 'ci-1' }, claims, (text) =>
        createHmac('sha256', Buffer.from(ours.publicBase64, 'base64')).update(text).digest(),
      ),
      'ERR_JOSE_ALG_NOT_ALLOWED',
    ],
    [
      'RSA with a key of its own in the header',
      forge({ alg: 'RS256', kid: 'ci-1', jwk: rsa.publicKey.export({ format: 'jwk' }) }, claims, (text) =>
        sign('sha256', Buffer.from(text), rsa.privateKey),
      ),
      'ERR_JOSE_ALG_NOT_ALLOWED',
    ],
    [
      'EdDSA with a key of its own in the header',
      forge({ alg: 'EdDSA', kid: 'ci-1', jwk: stranger.keys.keys[0] }, claims, (text) =>
        sign(null, Buffer.from(text), stranger.key),
      ),
      'ERR_JWS_SIGNATURE_VERIFICATION_FAILED',
    ],
    [
      'a critical header that we do not know',
      forge({ alg: 'EdDSA', kid: 'ci-1', crit: ['x'], x: 1 }, claims, eddsa),
      'ERR_JOSE_NOT_SUPPORTED',
    ],
    [
      'claims changed behind the signature',
      good.replace(
        /\.[^.]+\./,
        `.${Buffer.from(JSON.stringify({ ...claims, sub: '/x' })).toString('base64url')}.`,
      ),
      'ERR_JWS_SIGNATURE_VERIFICATION_FAILED',
    ],
    [
      'for another audience',
      ours.signer.token({ ...claims, aud: 'https://other.example/' }).reveal(),
      'ERR_JWT_CLAIM_VALIDATION_FAILED',
    ],
    [
      'expired',
      ours.signer.token({ ...claims, iat: seconds(now) - 500, exp: seconds(now) - 380 }).reveal(),
      'ERR_JWT_EXPIRED',
    ],
    [
      'from the future',
      ours.signer.token({ ...claims, iat: seconds(now) + 500, exp: seconds(now) + 600 }).reveal(),
      'ERR_JWT_CLAIM_VALIDATION_FAILED',
    ],
    ['good for an hour', ours.signer.token({ ...claims, exp: seconds(now) + 3600 }).reveal(), 'long-lived'],
    [
      'for another item',
      ours.signer.token({ ...claims, item_name: '/prod/admin', sub: '/prod/admin' }).reveal(),
      'wrong-item',
    ],
    [
      'whose subject is another item',
      ours.signer.token({ ...claims, sub: '/prod/admin' }).reveal(),
      'wrong-item',
    ],
    ['of another project', ours.signer.token({ ...claims, access_id: 'evil' }).reveal(), 'wrong-access-id'],
    ['for another request', ours.signer.token({ ...claims, jti: '01J.1' }).reveal(), 'wrong-request'],
    ['for another method', ours.signer.token({ ...claims, htm: 'GET' }).reveal(), 'wrong-method'],
    [
      'for another body',
      ours.signer.token({ ...claims, body_sha256: claimsFor(bytesOf({})).body_sha256 ?? '' }).reveal(),
      'wrong-body',
    ],
    ['for any body', ours.signer.token(unbound).reveal(), 'ERR_JWT_CLAIM_VALIDATION_FAILED'],
    ['without a name', ours.signer.token(unnamed).reveal(), 'ERR_JWT_CLAIM_VALIDATION_FAILED'],
    ['no token at all', 'x', 'ERR_JWS_INVALID'],
  ])('%s', async (_, token, why) => {
    expect(await send(token, body)).toEqual({
      r: 'refused',
      why,
      reply: { status: 401, body: { applied: false, code: 'unauthorized' } },
    });
  });

  test('a body that was changed on the way', async () => {
    const changed = bytesOf(requestBody({ proposed_password: 'Attackers-1-value' }));
    expect(await send(good, changed)).toMatchObject({ r: 'refused', why: 'wrong-body' });
  });

  test('an envelope of the state, signed by the same key', async () => {
    const text = good.split('.').slice(0, 2).join('.');
    const envelope = `${text}.${Buffer.from(ours.signer.sign(Buffer.from(text))).toString('base64url')}`;
    expect(await send(envelope, body)).toMatchObject({ why: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED' });
  });
});

describe('refused although trusted', () => {
  const tokenFor = (bytes: Buffer, more = {}): string => ours.signer.token(claimsFor(bytes, more)).reveal();

  test('an idempotency key other than the one in the signed request', async () => {
    expect(await send(good, body, { key: '01Z' })).toMatchObject({ why: 'wrong-idempotency-key' });
  });

  test('an item that this rotator does not serve', async () => {
    const verdict = await send(good, body, { rules: rules({ itemNames: ['prod/other'] }) });
    expect(verdict).toMatchObject({ why: 'unknown-item', reply: { status: 403 } });
  });

  test.each([
    ['no operation that we know', { operation: 'drop' }, 'unknown-operation'],
    ['a payload that is no text', { payload: {} }, 'no-payload'],
    ['a verification of nothing', { operation: 'verify' }, 'no-password'],
  ])('%s', async (_, more, why) => {
    const bytes = bytesOf(requestBody(more));
    expect(await send(tokenFor(bytes), bytes)).toMatchObject({ why, reply: { status: 400 } });
  });

  test('bytes that are no UTF-8', async () => {
    const bytes = Buffer.concat([Buffer.from('{"payload":"'), Buffer.from([0xff]), Buffer.from('"}')]);
    expect(await send(tokenFor(bytes), bytes)).toMatchObject({ why: 'not-json' });
  });

  test('anything but POST', async () => {
    expect(await send(good, body, { method: 'PUT' })).toMatchObject({ reply: { status: 405 } });
  });
});

describe('the same request again', () => {
  const second = bytesOf(requestBody({ request_id: '01K.2', attempt: 2 }));
  const retry = ours.signer.token(claimsFor(second, { jti: '01K.2' })).reveal();

  test('gets the stored answer, as a replay and as a retry', async () => {
    const shared = rules();
    const first = await send(good, body, { rules: shared });
    if (first.r !== 'new') throw new Error(first.r);
    const reply = await first.remember({ status: 200, body: { applied: true } });
    first.release();
    expect(await send(good, body, { rules: shared })).toEqual({ r: 'answered', reply });
    expect(await send(retry, second, { rules: shared })).toEqual({ r: 'answered', reply });
  });

  test('waits while the first is being worked on, and may try where it failed', async () => {
    const shared = rules();
    const first = await send(good, body, { rules: shared });
    if (first.r !== 'new') throw new Error(first.r);
    expect(await send(retry, second, { rules: shared })).toEqual({
      r: 'running',
      reply: { status: 409, body: { code: 'in-progress' } },
    });
    first.release();
    expect((await send(retry, second, { rules: shared })).r).toBe('new');
  });

  test('with another password under the same key is refused', async () => {
    const shared = rules();
    const first = await send(good, body, { rules: shared });
    if (first.r !== 'new') throw new Error(first.r);
    await first.remember({ status: 200, body: { applied: true } });
    first.release();
    const other = bytesOf(
      requestBody({ request_id: '01K.2', attempt: 2, proposed_password: 'Another-1-value' }),
    );
    const token = ours.signer.token(claimsFor(other, { jti: '01K.2' })).reveal();
    expect(await send(token, other, { rules: shared })).toMatchObject({ r: 'refused', why: 'other-request' });
  });

  test('is asked anew where nothing is changed by it', async () => {
    const shared = rules();
    const asking = bytesOf(requestBody({ operation: 'verify', password: 'x' }));
    const token = ours.signer.token(claimsFor(asking)).reveal();
    const first = await send(token, asking, { rules: shared });
    if (first.r !== 'new') throw new Error(first.r);
    await first.remember({ status: 200, body: { valid: false } });
    expect((await send(token, asking, { rules: shared })).r).toBe('new');
  });
});

describe("a workflow's own token", () => {
  const github = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const keys = { keys: [{ ...github.publicKey.export({ format: 'jwk' }), kid: 'gh', alg: 'RS256' }] };
  const claims = {
    iss: 'https://token.actions.githubusercontent.com',
    aud: url,
    sub: 'repo:acme/secrets:ref:refs/heads/main',
    repository: 'acme/secrets',
    ref: 'refs/heads/main',
    iat: seconds(now),
    exp: seconds(now) + 300,
  };
  const tokenOf = (more: Record<string, unknown> = {}, key = github.privateKey): string =>
    forge({ alg: 'RS256', kid: 'gh' }, { ...claims, ...more }, (text) =>
      sign('sha256', Buffer.from(text), key),
    );
  const trusting = rules({
    trust: { github: { repository: 'acme/secrets', ref: 'refs/heads/main', keys } },
  });

  test('is taken', async () => {
    expect((await send(tokenOf(), body, { rules: trusting })).r).toBe('new');
  });

  test.each<[string, string, string]>([
    ['of another repository', tokenOf({ repository: 'evil/secrets' }), 'wrong-repository'],
    ['of another branch', tokenOf({ ref: 'refs/heads/feature' }), 'wrong-ref'],
    ['for another audience', tokenOf({ aud: 'https://github.com/acme' }), 'ERR_JWT_CLAIM_VALIDATION_FAILED'],
    ['of another issuer', tokenOf({ iss: 'https://evil.example' }), 'ERR_JWT_CLAIM_VALIDATION_FAILED'],
    ['expired', tokenOf({ exp: seconds(now) - 61 }), 'ERR_JWT_EXPIRED'],
    ['of keyturn, which is not what this rotator trusts', good, 'ERR_JOSE_ALG_NOT_ALLOWED'],
  ])('is refused when it is %s', async (_, token, why) => {
    expect(await send(token, body, { rules: trusting })).toMatchObject({ r: 'refused', why });
  });
});
