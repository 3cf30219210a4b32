import { gunzipSync } from 'node:zlib';
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { decrypt, encrypt } from '../../src/age/age.ts';
import type { Contents } from '../../src/state/envelope.ts';
import { open, seal } from '../../src/state/sealed.ts';
import { ageDecrypt, ageEncrypt, type Person, person, reader, refusal, withoutAge, words } from './people.ts';

let ci: Person;
beforeAll(async () => {
  ci = await person('ci');
});

const contents: Contents = {
  purpose: 'version',
  repo: 'R1',
  name: 'prod/db',
  v: 7,
  text: 'straße "quoted" \u2028',
};
const sealed = (by: Person, what: Contents = contents, recipients = [ci.recipient]) =>
  seal(what, { recipients, signer: by.signer });
const opened = (bytes: Uint8Array, expect: Partial<Contents> = {}, by: Person['identity'] = ci.identity) =>
  open(bytes, { identity: by, place: 'f', expect });
/** What a recipient of the file could read, then change and encrypt again. */
const inside = async (bytes: Uint8Array) =>
  JSON.parse(Buffer.from(await decrypt(bytes, ci.identity.ageIdentities, 'f')).toString());
const outside = (text: string | Uint8Array) => encrypt(Buffer.from(text), [ci.recipient]);

describe('seal and open', () => {
  it('gives back any JSON, verified, with its signer', async () => {
    const purposes = fc.constantFrom<Contents['purpose']>('state', 'version', 'spool');
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), purposes, fc.constantFrom(1, 2, 3), async (any, purpose, fmt) => {
        const repo = purpose === 'version' && fmt > 1 ? {} : { repo: 'R1' };
        const envelope: Contents = { fmt, purpose, ...repo, value: JSON.parse(JSON.stringify(any)) };
        expect(await opened(await sealed(ci, envelope))).toEqual({ envelope, verified: true, kid: 'ci' });
      }),
      { numRuns: 60 },
    );
  });

  it('has given the text of a large state back once it is read, and kept what it says', async () => {
    const size = 32 * 1024 * 1024;
    const envelope: Contents = {
      fmt: 3,
      purpose: 'state',
      repo: 'R1',
      value: 'ä'.repeat(size / 2),
      z: 'last',
    };
    const bytes = await sealed(ci, envelope);
    const before = process.memoryUsage().arrayBuffers;
    const { envelope: read } = await opened(bytes);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(size / 2);
    expect(read).toEqual(envelope);
  });

  it('refuses every flipped bit', async () => {
    const bytes = await sealed(ci);
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.nat(7), async (index, bit) => {
        const flipped = Uint8Array.from(bytes);
        flipped[index] = (flipped[index] ?? 0) ^ (1 << bit);
        expect(['DAMAGED', 'NO_IDENTITY']).toContain((await refusal(() => opened(flipped))).code);
      }),
      { numRuns: 400 },
    );
  });

  it('refuses truncation and additions at every boundary', async () => {
    const bytes = await sealed(ci, { ...contents, big: 'x'.repeat(70_000) });
    const header = Buffer.from(bytes).indexOf('\n--- ') + 1;
    const nonce = Buffer.from(bytes).indexOf('\n', header) + 1;
    const chunk = nonce + 16 + 65_536 + 16;
    for (const cut of [
      0,
      1,
      10,
      header,
      header + 20,
      nonce - 1,
      nonce,
      nonce + 8,
      nonce + 16,
      nonce + 32,
      chunk - 1,
      chunk,
      chunk + 16,
      bytes.length - 1,
    ]) {
      expect((await refusal(() => opened(bytes.subarray(0, cut)))).exit, `cut at ${cut}`).toBe(3);
    }
    expect((await refusal(() => opened(Buffer.concat([bytes, Buffer.from('x')])))).code).toBe('DAMAGED');
  });

  it('refuses a field that is not the expected one, and says what belongs there', async () => {
    const bytes = await sealed(ci);
    await opened(bytes, { purpose: 'version', repo: 'R1', name: 'prod/db', v: 7 });
    const cases: [Partial<Contents>, string][] = [
      [{ purpose: 'state' }, 'holds purpose version where state belongs'],
      [{ repo: 'R2' }, 'holds repo R1 where R2 belongs'],
      [{ name: 'prod/db2' }, 'holds name prod/db where prod/db2 belongs'],
      [{ v: 8 }, 'holds v 7 where 8 belongs'],
      [{ v: '7' }, 'holds v 7 where 7 belongs'],
      [{ uid: 'U' }, 'holds uid nothing where U belongs'],
    ];
    for (const [expected, what] of cases) {
      expect(await refusal(() => opened(bytes, expected))).toMatchObject({
        code: 'WRONG_PLACE',
        exit: 3,
        what: `wrong place: ${what}`,
      });
    }
  });

  it('shows no control characters of a file that nobody vouches for', async () => {
    const plain = await reader();
    const bytes = await sealed(ci, { ...contents, name: `\u001b[2J\u202e${'x'.repeat(500)}` }, [
      plain.recipient,
    ]);
    const error = await refusal(() =>
      open(bytes, { identity: plain.identity, place: 'f', expect: { name: 'a' }, requireSignature: false }),
    );
    expect(error.what).toMatch(/^wrong place: holds name \?\[2J\?x+… where a belongs$/);
    expect(error.what.length).toBeLessThan(130);
  });

  it('refuses to write what it would not read', async () => {
    const mebibyte = 1024 * 1024;
    for (const [purpose, limit] of [
      ['version', 64],
      ['state', 256],
    ] as const) {
      const big = { ...contents, purpose, big: ' '.repeat(limit * mebibyte) };
      const error = await refusal(() => sealed(ci, big));
      expect(error).toMatchObject({
        code: 'TOO_BIG',
        what: `would be larger than the ${limit} MiB that are ever read`,
      });
    }
    expect((await refusal(() => sealed(ci, contents, []))).what).toBe('there is nobody to encrypt to');
  });
});

describe('signatures', () => {
  it('refuses a signer whom the bundle does not name, and says which line would', async () => {
    const eve = await person('eve');
    const error = await refusal(async () => opened(await sealed(eve)));
    expect(error).toMatchObject({ code: 'UNKNOWN_SIGNER', exit: 3 });
    expect(error.hint).toContain('KEYTURN-TRUST-1 eve');
    const trusting = await person('ci', [eve]);
    expect((await opened(await sealed(eve, contents, [trusting.recipient]), {}, trusting.identity)).kid).toBe(
      'eve',
    );
  });

  it('refuses an outsider who borrows a trusted kid, or signs other bytes', async () => {
    const impostor = await person('ci');
    expect((await refusal(async () => opened(await sealed(impostor)))).code).toBe('TAMPERED');
    const honest = await inside(await sealed(ci));
    const changes = [
      { v: 8 },
      { repo: 'R2' },
      { text: 'mine' },
      { more: true },
      { name: undefined },
      { pad: '' },
    ];
    for (const change of changes) {
      const forged = await outside(canonicalize({ ...honest, ...change }) ?? '');
      expect((await refusal(() => opened(forged))).code, JSON.stringify(change)).toBe('TAMPERED');
    }
    expect((await opened(await outside(canonicalize(honest) ?? ''))).verified).toBe(true);
  });

  it('signs for this purpose only: the bare JSON signed by the same key is worth nothing', async () => {
    const { createPrivateKey, sign } = await import('node:crypto');
    const seed = Buffer.from(/KEYTURN-SIGN-1 ci (\S+)/.exec(ci.text)?.[1] ?? '', 'base64');
    const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    const body = { ...contents, fmt: 1 };
    const ed25519 = sign(null, Buffer.from(canonicalize(body) ?? ''), key).toString('base64');
    const bytes = await outside(canonicalize({ ...body, sig: { kid: 'ci', ed25519 } }) ?? '');
    expect((await refusal(() => opened(bytes))).code).toBe('TAMPERED');
  });

  it('lets a reader without trust lines read unverified, and nobody else', async () => {
    const [plain, careful] = [await reader(), await reader([await person('alice')])];
    const bytes = await sealed(ci, contents, [plain.recipient, careful.recipient]);
    const options = { place: 'f', expect: {}, requireSignature: false };
    expect(await open(bytes, { ...options, identity: plain.identity })).toMatchObject({
      verified: false,
      kid: 'ci',
    });
    expect((await refusal(() => open(bytes, { ...options, identity: careful.identity }))).code).toBe(
      'UNKNOWN_SIGNER',
    );
    expect(
      (await refusal(() => open(bytes, { ...options, identity: plain.identity, requireSignature: true })))
        .code,
    ).toBe('UNKNOWN_SIGNER');
  });
});

describe.skipIf(withoutAge)('the age command', () => {
  it('reads state through gunzip, and the rest as it is', async () => {
    const state = await sealed(ci, { purpose: 'state', repo: 'R' });
    expect(JSON.parse(gunzipSync(ageDecrypt(state, ci.identity)).toString())).toMatchObject({
      purpose: 'state',
      fmt: 1,
    });
    expect(JSON.parse(ageDecrypt(await sealed(ci), ci.identity).toString())).toMatchObject(contents);
  });

  it('cannot forge: what it encrypts to us is unsigned', async () => {
    const forged = ageEncrypt(Buffer.from(canonicalize({ ...contents, fmt: 1 }) ?? ''), [ci.recipient]);
    const error = await refusal(() => opened(forged));
    expect(error.exit).toBe(3);
    expect(words(error)).not.toContain('straße');
  });
});
