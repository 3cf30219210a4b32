import { gunzipSync, gzipSync } from 'node:zlib';
import canonicalize from 'canonicalize';
import { beforeAll, describe, expect, it } from 'vitest';
import { decrypt, encrypt } from '../../src/age/age.ts';
import type { Contents } from '../../src/state/envelope.ts';
import { open, seal } from '../../src/state/sealed.ts';
import { type Person, person, refusal } from './people.ts';

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

describe('one spelling only', () => {
  it('refuses duplicate keys, white space, reordering, other escapes, trailing text', async () => {
    const text = canonicalize(await inside(await sealed(ci))) ?? '';
    const spellings = [
      text.replace('{"fmt":1,', '{"fmt":1,"fmt":1,'),
      text.replace('"v":7', '"v":8,"v":7'),
      text.replace('"v":7', '"v":7.0'),
      text.replace('"v":7', '"v":7e0'),
      text.replace(':', ': '),
      `${text}\n`,
      ` ${text}`,
      `\ufeff${text}`,
      text.replace('prod/db', 'prod\\/db'),
      text.replace('{"fmt":1,', '{').replace(/}$/, ',"fmt":1}'),
      text.replace('straße', '\\ud800'),
      `${text}${text}`,
    ];
    for (const spelling of spellings) {
      expect(spelling).not.toBe(text);
      expect((await refusal(async () => opened(await outside(spelling)))).code, spelling).toBe('DAMAGED');
    }
    expect((await refusal(async () => opened(await outside(Buffer.from([0xff, 0xfe, 0x7b]))))).code).toBe(
      'DAMAGED',
    );
  });

  it('refuses what is no envelope', async () => {
    const honest = await inside(await sealed(ci));
    const wrong = [
      '',
      '[]',
      'null',
      '1',
      '{}',
      '['.repeat(100_000),
      { ...honest, sig: undefined },
      { ...honest, sig: {} },
    ];
    wrong.push(
      { ...honest, sig: { ...honest.sig, kid: 'c\u001b' } },
      { ...honest, sig: { ...honest.sig, x: 1 } },
    );
    wrong.push(
      { ...honest, sig: { ...honest.sig, ed25519: 'AAAA' } },
      { ...honest, purpose: 'other' },
      { ...honest, repo: 1 },
    );
    wrong.push({ ...honest, fmt: 0 }, { ...honest, fmt: '1' }, { ...honest, fmt: 0.5 });
    for (const what of wrong) {
      const text = typeof what === 'string' ? what : (canonicalize(what) ?? '');
      expect((await refusal(async () => opened(await outside(text)))).code, text.slice(0, 200)).toBe(
        'DAMAGED',
      );
    }
  });

  it.each([
    ['second', 2, 64],
    ['third', 3, 32],
  ] as const)('refuses other spellings of the %s format', async (_, fmt, bucket) => {
    const version: Contents = { fmt, purpose: 'version', name: 'prod/db', v: 7, value: 'abc' };
    const spaces = ' '.repeat(bucket - 3);
    const text = Buffer.from(
      await decrypt(await sealed(ci, version), ci.identity.ageIdentities, 'f'),
    ).toString();
    expect(text.endsWith(`"v":7,"value":"abc"}${spaces}`)).toBe(true);
    expect((await opened(await outside(text))).envelope).toEqual(version);
    const whole = text.trimEnd();
    const json = JSON.parse(text);
    const [kid, ed25519] = json.sig.split(':');
    const base64 = Buffer.from(ed25519, 'base64url').toString('base64');
    const last = String.fromCharCode(ed25519.charCodeAt(85) + 1);
    const wrong = [
      whole,
      `${text} `,
      text.slice(0, -1),
      ` ${text}`,
      `${whole}${spaces.replace(' ', '\n')}`,
      whole.replace('}', ` }${spaces.slice(1)}`),
      ...[
        { ...json, purpose: 'version' },
        { ...json, purpose: 'other' },
        { ...json, repo: 'R1' },
        { ...json, sig: { kid, ed25519: base64 } },
        { ...json, sig: `${kid}:${base64}` },
        { ...json, sig: `${kid}:${ed25519}=` },
        { ...json, sig: `${kid}:${ed25519}:` },
        { ...json, sig: `${kid}:${ed25519.slice(0, 85)}${last}` },
        { ...json, sig: `${kid}${ed25519}` },
        { ...json, sig: `:${ed25519}` },
        { ...json, sig: 7 },
        { ...json, fmt: 1 },
        { ...json, fmt: 5 - fmt },
      ].map((what) => `${canonicalize(what)}${spaces}`),
    ];
    for (const one of wrong)
      expect((await refusal(async () => opened(await outside(one)))).code, one).toBe('DAMAGED');
    const forged = { ...json, value: 'abd' };
    expect((await refusal(async () => opened(await outside(`${canonicalize(forged)}${spaces}`)))).code).toBe(
      'TAMPERED',
    );
    for (const purpose of ['state', 'spool'] as const) {
      const other = await sealed(ci, { fmt, purpose, repo: 'R1', value: 'abc' });
      expect((await opened(other)).envelope).toMatchObject({ purpose, value: 'abc' });
      const { purpose: _purpose, ...rest } = version;
      expect((await refusal(() => opened(other, { ...rest, purpose: 'version' }))).code).toBe('WRONG_PLACE');
    }
  });

  it('refuses compression where none belongs, and the other way round', async () => {
    const version = canonicalize(await inside(await sealed(ci))) ?? '';
    expect((await refusal(async () => opened(await outside(gzipSync(version))))).code).toBe('DAMAGED');
    const state = await decrypt(
      await sealed(ci, { purpose: 'state', repo: 'R' }),
      ci.identity.ageIdentities,
      'f',
    );
    expect((await refusal(async () => opened(await outside(gunzipSync(state))))).code).toBe('DAMAGED');
    expect((await refusal(async () => opened(await outside(state.subarray(0, -9))))).code).toBe('DAMAGED');
  });

  it('says that a newer format is newer', async () => {
    const honest = await inside(await sealed(ci));
    for (const fmt of [4, 99]) {
      const error = await refusal(async () =>
        opened(await outside(canonicalize({ ...honest, fmt, sig: 'new' }) ?? '')),
      );
      expect(error).toMatchObject({ code: 'NEWER_FORMAT', exit: 1, what: 'was written by a newer keyturn' });
    }
  });

  it('stops at a zip bomb and at an oversized file', async () => {
    const bomb = gzipSync(Buffer.alloc(257 * 1024 * 1024, ' '), { level: 1 });
    expect(bomb.length).toBeLessThan(2_000_000);
    const error = await refusal(async () => opened(await outside(bomb)));
    expect(error).toMatchObject({
      code: 'DAMAGED',
      what: 'tampered: is larger than 256 MiB once decompressed',
    });
    for (const said of [0, 1000, 64 * 1024 * 1024]) {
      const lying = Buffer.from(bomb);
      lying.writeUInt32LE(said, lying.length - 4);
      const lie = await refusal(async () => opened(await outside(lying)));
      expect(lie).toMatchObject({ code: 'DAMAGED', what: 'tampered: does not hold what keyturn writes' });
    }
    const oversized = await refusal(() => opened(new Uint8Array(64 * 1024 * 1024 + 1)));
    expect(oversized.what).toBe('tampered: is larger than 64 MiB');
  });
});
