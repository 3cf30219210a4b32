import { inspect } from 'node:util';
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { decrypt, encrypt } from '../../src/age/age.ts';
import { seal } from '../../src/state/sealed.ts';
import {
  currentPath,
  formatCurrent,
  hostPointers,
  openVersion,
  parseCurrent,
  parseHosts,
  type SealedVersion,
  sealVersion,
  valuePath,
} from '../../src/state/version-file.ts';
import { pendingOn, record } from '../engine/wishes-and-records.ts';
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

  it('hides the length of the value but for the multiple of 64 bytes that it takes in JSON', async () => {
    const size = async (value: string): Promise<number> => {
      const bytes = await sealed({ fields: { value, fields: { username: 'app' } } });
      return bytes.length;
    };
    const least = await size('');
    for (const of of ['x', 'x'.repeat(63), 'x'.repeat(64), '"'.repeat(32), '\n'.repeat(32), 'ä'.repeat(32)])
      expect(await size(of), of).toBe(least);
    for (const of of ['x'.repeat(65), 'x'.repeat(128), '"'.repeat(33), '\u0001'.repeat(11), '€'.repeat(42)])
      expect(await size(of), of).toBe(least + 64);
    expect(await size('x'.repeat(129))).toBe(least + 128);
  });

  it('is small: a few hundred bytes for two readers', async () => {
    const bytes = await sealed({ fields: { value: 'x'.repeat(32), fields: { username: 'app' } } }, [
      ci.recipient,
      (await reader()).recipient,
    ]);
    expect(bytes.length).toBeLessThan(298 + 380);
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

  it('opens as older versions of keyturn wrote it, at its place alone', async () => {
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
      Buffer.from(`${canonicalize({ ...inside, value: 'known to me' })}${' '.repeat(64 - 11)}`),
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

describe('paths and current', () => {
  it('nests by name', () => {
    expect(valuePath('prod/mysql/app', 8)).toBe('values/prod/mysql/app/8.age');
    expect(currentPath('prod/mysql/app')).toBe('values/prod/mysql/app/current');
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
      expect((await refusal(() => currentPath(name))).subject, name).toBe('secret name');
    }
  });

  it('lists which host has which version, and what of that nobody knows', async () => {
    const { binding } = version;
    const known = {
      'prod/web-1': { binding, v: 5, took: { how: 'login' as const, health: 'ok' as const } },
      'prod/web-2': { binding, v: 4, sent: 'unknown' as const },
      'prod/web-3': { binding, v: 4, sent: 'acknowledged' as const },
      'prod/web-4': { binding, v: 4, sent: 'no' as const },
      'prod/web-5': { binding, v: null },
    };
    const of = record({ pending: pendingOn(5, 0), hosts: known });
    const [list] = hostPointers('app', undefined, of);
    const bytes = list?.bytes ?? new Uint8Array();
    expect(list?.path).toBe('values/app/current@hosts');
    expect(Buffer.from(bytes).toString()).toBe('web-1 5\nweb-2 4 or 5\nweb-3 5\nweb-4 4\n');
    expect(Object.fromEntries(parseHosts(bytes, 'f'))).toEqual({
      'web-1': { v: 5, or: null },
      'web-2': { v: 4, or: 5 },
      'web-3': { v: 5, or: null },
      'web-4': { v: 4, or: null },
    });
    expect(hostPointers('app', of, of)).toEqual([]);
    expect(hostPointers('app', of, record())).toEqual([{ path: 'values/app/current@hosts', bytes: null }]);
    for (const text of ['web-1 5', 'web-1\n', 'web-1 0\n', 'web-1 5 or\n', 'a/b 5\n', '\n'])
      expect((await refusal(() => parseHosts(Buffer.from(text), 'f'))).code, text).toBe('DAMAGED');
  });

  it('reads exactly what it writes', async () => {
    for (const v of [1, 8, 123_456_789]) expect(parseCurrent(formatCurrent(v), 'f')).toBe(v);
    for (const text of [
      '',
      '8',
      '8\r\n',
      ' 8\n',
      '08\n',
      '0\n',
      '-1\n',
      '8\n8\n',
      '8\n\n',
      'x\n',
      '1e3\n',
      '1234567890\n',
      '８\n',
      '8'.repeat(99),
    ]) {
      expect((await refusal(() => parseCurrent(Buffer.from(text), 'values/a/current'))).code, text).toBe(
        'DAMAGED',
      );
    }
  });
});
