import { inspect } from 'node:util';
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { decrypt, encrypt } from '../../src/age/age.ts';
import { seal } from '../../src/state/sealed.ts';
import { openVersion, type SealedVersion, sealVersion, valuePath } from '../../src/state/version-file.ts';
import { ageDecrypt, at, type Person, person, reader, refusal, withoutAge, words } from './people.ts';

let ci: Person;
beforeAll(async () => {
  ci = await person('ci');
});

const value = 'correct horse "battery" \\ staple';
const version: SealedVersion = {
  repo: 'R1',
  uid: 'U1',
  name: 'prod/db',
  v: 8,
  binding: { type: 'mysql', host: 'db.internal', port: 3306, account: 'app@%', tls: 'system' },
  issuedAt: at.toISOString(),
  fields: { value, fields: { username: 'app' } },
};
const place = { repo: 'R1', uid: 'U1', name: 'prod/db', v: 8 };
const sealed = (changes: Partial<SealedVersion> = {}, recipients = [ci.recipient]) =>
  sealVersion({ ...version, ...changes }, recipients, ci.signer);

describe('a version file', () => {
  it('gives back what went in, the value as a secret', async () => {
    const opened = await openVersion(await sealed(), place, ci.identity, 'f');
    expect(opened.value.reveal()).toBe(value);
    expect(opened).toMatchObject({
      name: 'prod/db',
      v: 8,
      binding: version.binding,
      fields: { username: 'app' },
      verified: true,
      kid: 'ci',
    });
    for (const shown of [
      inspect(opened, { depth: 9, showHidden: true }),
      JSON.stringify(opened),
      `${opened.value}`,
    ]) {
      expect(shown).not.toContain('battery');
    }
  });

  it('carries any value, whatever it is made of', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 300 }), async (any) => {
        const bytes = await sealed({ fields: { value: any, fields: {} } });
        expect((await openVersion(bytes, place, ci.identity, 'f')).value.reveal()).toBe(any);
      }),
      { numRuns: 60 },
    );
  });

  it('hides the length of the value but for the multiple of 32 bytes that it takes in JSON', async () => {
    const size = async (value: string): Promise<number> => {
      const bytes = await sealed({ fields: { value, fields: { username: 'app' } } });
      return bytes.length;
    };
    const least = await size('');
    for (const of of ['x', 'x'.repeat(31), 'x'.repeat(32), '"'.repeat(16), '\n'.repeat(16), 'ä'.repeat(16)])
      expect(await size(of), of).toBe(least);
    for (const of of ['x'.repeat(33), 'x'.repeat(64), '"'.repeat(17), '\u0001'.repeat(6), '€'.repeat(21)])
      expect(await size(of), of).toBe(least + 32);
    expect(await size('x'.repeat(65))).toBe(least + 64);
  });

  it('is small: a few hundred bytes for two readers', async () => {
    const bytes = await sealed({ fields: { value: 'x'.repeat(32), fields: { username: 'app' } } }, [
      ci.recipient,
      (await reader()).recipient,
    ]);
    expect(bytes.length).toBeLessThan(298 + 330);
  });

  it('is refused at any other place', async () => {
    const bytes = await sealed();
    for (const change of [{ repo: 'R2' }, { uid: 'U2' }, { name: 'prod/other' }, { v: 7 }]) {
      const error = await refusal(() =>
        openVersion(bytes, { ...place, ...change }, ci.identity, 'values/x/1.age'),
      );
      expect(error).toMatchObject({ code: 'WRONG_PLACE', exit: 3, subject: 'values/x/1.age' });
      expect(words(error)).not.toContain('battery');
    }
    expect((await openVersion(bytes, { name: 'prod/db', v: 8 }, ci.identity, 'f')).v).toBe(8);
  });

  it('says where it may be sent, whatever more there is to that', async () => {
    for (const more of [
      {},
      { sessions: 'replica.internal' },
      { hosts: { 'prod/web-1': 'web-1:22 disabled' } },
      { sessions: 'a b', hosts: {} },
    ]) {
      const binding = { ...version.binding, ...more };
      const opened = await openVersion(await sealed({ binding }), place, ci.identity, 'f');
      expect(opened.binding).toEqual(binding);
    }
  });

  it('is refused when it is another kind of file, or a malformed one', async () => {
    const sign = (contents: Parameters<typeof seal>[0]) =>
      seal(contents, { recipients: [ci.recipient], signer: ci.signer });
    const state = await sign({ ...place, purpose: 'state' });
    expect((await refusal(() => openVersion(state, place, ci.identity, 'f'))).code).toBe('WRONG_PLACE');
    const inside = await decrypt(await sealed(), ci.identity.ageIdentities, 'f');
    const { sig: _, ...contents } = JSON.parse(Buffer.from(inside).toString());
    const whole = { ...contents, purpose: 'version' as const };
    const { binding } = contents;
    expect((await openVersion(await sign(whole), place, ci.identity, 'f')).value.reveal()).toBe(value);
    for (const change of [
      { value: 1 },
      { fields: { a: 1 } },
      { fields: [] },
      { binding: {} },
      { binding: [] },
      { binding: version.binding },
      { binding: binding.slice(0, 4) },
      { binding: [...binding, {}] },
      { binding: [...binding, { host: 'elsewhere' }] },
      { binding: [...binding, { more: 'x' }] },
      { binding: [...binding, { sessions: 'x' }, {}] },
      { binding: [...binding, 'x'] },
      { issuedAt: 'today' },
      { issuedAt: version.issuedAt },
      { issuedAt: -1 },
      { issuedAt: 0.5 },
      { issuedAt: 8_640_000_000_001 },
      { of: 'x' },
      { of: undefined },
      { pad: '' },
      { uid: 'U1' },
      { more: 1 },
      { value: undefined },
    ]) {
      const bytes = await sign({ ...whole, ...change });
      expect(
        (await refusal(() => openVersion(bytes, place, ci.identity, 'f'))).code,
        JSON.stringify(change),
      ).toBe('DAMAGED');
    }
  });

  it('keeps the second of its issue, and not when in that', async () => {
    const opened = await openVersion(
      await sealed({ issuedAt: '2026-11-01T03:00:59.999Z' }),
      ...([place, ci.identity, 'f'] as const),
    );
    expect(opened.issuedAt).toBe('2026-11-01T03:00:59.000Z');
  });

  it('opens as it was written in the second format', async () => {
    const inside = await decrypt(await sealed(), ci.identity.ageIdentities, 'f');
    const { sig: _, ...contents } = JSON.parse(Buffer.from(inside).toString());
    const old = { ...contents, fmt: 2 as const, purpose: 'version' as const, issuedAt: version.issuedAt };
    const sign = (change: object) =>
      seal({ ...old, ...change }, { recipients: [ci.recipient], signer: ci.signer });
    const opened = await openVersion(await sign({}), place, ci.identity, 'f');
    expect(opened).toMatchObject({ binding: version.binding, issuedAt: version.issuedAt, kid: 'ci' });
    for (const change of [{ issuedAt: 1_800_000_000 }, { of: 'x' }, { pad: '' }])
      expect((await refusal(async () => openVersion(await sign(change), place, ci.identity, 'f'))).code).toBe(
        'DAMAGED',
      );
  });

  it('opens as it was written in the first format, at its place alone', async () => {
    const old = {
      ...place,
      purpose: 'version' as const,
      binding: version.binding,
      issuedAt: version.issuedAt,
      value,
      fields: { username: 'app' },
      pad: '00000',
    };
    const sign = (change: object) =>
      seal({ ...old, ...change }, { recipients: [ci.recipient], signer: ci.signer });
    const opened = await openVersion(await sign({}), place, ci.identity, 'f');
    expect(opened.value.reveal()).toBe(value);
    expect(opened).toMatchObject({ binding: version.binding, fields: { username: 'app' }, kid: 'ci' });
    for (const change of [{ repo: 'R2' }, { uid: 'U2' }, { name: 'prod/other' }, { v: 7 }])
      expect((await refusal(async () => openVersion(await sign(change), place, ci.identity, 'f'))).code).toBe(
        'WRONG_PLACE',
      );
    for (const change of [{ pad: 'x' }, { pad: undefined }, { uid: undefined }, { binding: [] }, { more: 1 }])
      expect(
        (await refusal(async () => openVersion(await sign(change), place, ci.identity, 'f'))).code,
        JSON.stringify(change),
      ).toBe('DAMAGED');
  });

  it('opens for a reader without trust lines only when that is said', async () => {
    const plain = await reader();
    const bytes = await sealed({}, [plain.recipient]);
    expect((await refusal(() => openVersion(bytes, place, plain.identity, 'f'))).code).toBe('UNKNOWN_SIGNER');
    const opened = await openVersion(bytes, place, plain.identity, 'f', { requireSignature: false });
    expect(opened).toMatchObject({ verified: false, fields: { username: 'app' } });
    expect((await refusal(() => openVersion(bytes, place, ci.identity, 'f'))).code).toBe('NO_IDENTITY');
  });

  it('is refused when a reader encrypts a changed one to everybody', async () => {
    const plain = await reader();
    const bytes = await sealed({}, [plain.recipient]);
    const inside = JSON.parse(
      Buffer.from(await decrypt(bytes, plain.identity.ageIdentities, 'f')).toString(),
    );
    const forged = await encrypt(
      Buffer.from(`${canonicalize({ ...inside, value: 'known to me' })}${' '.repeat(32 - 11)}`),
      [ci.recipient],
    );
    expect((await refusal(() => openVersion(forged, place, ci.identity, 'f'))).code).toBe('TAMPERED');
  });

  it.skipIf(withoutAge)('opens with the plain age command', async () => {
    const plain = await reader();
    const bytes = await sealed({}, [ci.recipient, plain.recipient]);
    expect(JSON.parse(ageDecrypt(bytes, plain.identity).toString()).value).toBe(value);
  });
});

describe('paths', () => {
  it('nests by name', () => {
    expect(valuePath('prod/mysql/app', 8)).toBe('values/prod/mysql/app/8.age');
  });

  it('refuses names that leave values/ or are a file and a folder at once', async () => {
    for (const name of [
      '',
      '/a',
      'a/',
      'a//b',
      '..',
      'a/../b',
      './a',
      'a\\b',
      'a\nb',
      'a/current',
      'current',
      'a/8.age',
    ]) {
      expect((await refusal(() => valuePath(name, 1))).subject, name).toBe('secret name');
    }
  });
});
