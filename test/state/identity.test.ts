import { randomBytes, sign } from 'node:crypto';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { generateX25519Identity } from 'age-encryption';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KeyturnError } from '../../src/errors.ts';
import { redact } from '../../src/redact.ts';
import { Secret } from '../../src/secret.ts';
import { generateBundle, identityPath, loadIdentity, parseIdentity } from '../../src/state/identity.ts';
import { domain, isSignedBy, privateKey } from '../../src/state/signing.ts';
import { person, reader, refusal, temporaryFolder, words } from './people.ts';

describe('a bundle', () => {
  it('holds what generateBundle put in, and comments explain it', async () => {
    const { bundle, recipient, trustLine } = await generateBundle('ci-1');
    const identity = await parseIdentity(bundle.reveal(), 'x');
    expect(identity.recipients).toEqual([recipient]);
    expect(identity.signer?.kid).toBe('ci-1');
    expect(trustLine).toMatch(/^KEYTURN-TRUST-1 ci-1 \S{44}$/);
    expect(bundle.reveal().match(/^#/gm)?.length).toBeGreaterThan(3);
  });

  it('trusts its own signatures, and those of a trust line, and no others', async () => {
    const alice = await person('alice');
    const ci = await person('ci', [alice]);
    const bytes = Buffer.from('bytes');
    const [own, hers] = [ci.identity.trust.get('ci'), ci.identity.trust.get('alice')];
    if (!own || !hers) throw new Error('not trusted');
    const whole = Buffer.concat([domain, bytes]);
    expect(isSignedBy(own, whole, ci.signer.sign(bytes))).toBe(true);
    expect(isSignedBy(hers, whole, alice.signer.sign(bytes))).toBe(true);
    expect(isSignedBy(own, whole, alice.signer.sign(bytes))).toBe(false);
    expect(isSignedBy(own, Buffer.concat([domain, Buffer.from('bytez')]), ci.signer.sign(bytes))).toBe(false);
    const [, seed = ''] = /KEYTURN-SIGN-1 ci (\S+)/.exec(ci.text) ?? [];
    const key = privateKey(new Secret(seed));
    if (!key) throw new Error('no signing key');
    expect(isSignedBy(own, bytes, sign(null, bytes, key)), 'without the domain').toBe(false);
    expect([...alice.identity.trust.keys()]).toEqual(['alice']);
  });

  it('may be a plain age identity file, Windows line ends and all', async () => {
    const { identity } = await reader();
    const key = identity.ageIdentities[0]?.reveal() ?? '';
    const parsed = await parseIdentity(
      `# created: today\r\n# public key: age1…\r\n\r\n  ${key}\r\n${key}\r\n`,
      'f',
    );
    expect(parsed).toMatchObject({ signer: null, recipients: identity.recipients });
    expect(parsed.trust.size).toBe(0);
  });

  it('keeps older age keys for decryption', async () => {
    const [old, now] = [await person('a'), await person('b')];
    const older = old.text.split('\n').find((line) => line.startsWith('AGE-'));
    const parsed = await parseIdentity(`${now.text}${older}\n`, 'f');
    expect(parsed.recipients).toEqual([now.recipient, old.recipient]);
  });

  it('names the line and the rule, and never the line', async () => {
    const { text, trustLine } = await person('ci');
    const other = await person('ci');
    const lines = text.split('\n');
    const age = lines.find((line) => line.startsWith('AGE-')) ?? '';
    const sign = lines.find((line) => line.startsWith('KEYTURN-SIGN-1')) ?? '';
    const cases: [bad: string, what: RegExp][] = [
      [age.slice(0, -1), /mistyped/],
      [age.toLowerCase(), /none of/],
      [`${age} trailing`, /mistyped/],
      [age.replace('AGE-SECRET-KEY-1', 'AGE-PLUGIN-X-1'), /none of/],
      [sign.slice(0, -2), /not 32 bytes/],
      [sign.replace('ci', 'c/i'), /malformed/],
      [`${sign} more`, /malformed/],
      [sign.replace('SIGN-1', 'SIGN-2'), /none of/],
      [sign, /second signing key/],
      [sign.replace(' ci ', ' ci2 '), /second signing key/],
      [trustLine.replace(/\S+$/, 'AAAA'), /not 32 bytes/],
      [other.trustLine, /already has a different key/],
      ['-----BEGIN OPENSSH PRIVATE KEY-----', /none of/],
    ];
    for (const [bad, what] of cases) {
      const error = await refusal(() => parseIdentity(`# first\n${age}\n${sign}\n${bad}\n`, 'bundle'));
      expect(error.subject).toBe('bundle:4');
      expect(error.what).toMatch(what);
      for (const word of bad.split(/[ ]/).filter((part) => part.length > 15))
        expect(words(error)).not.toContain(word);
    }
    expect((await refusal(() => parseIdentity(`# nothing\n${sign}\n`, 'bundle'))).message).toBe(
      'bundle: holds no age identity',
    );
  });

  it('never echoes key material, whatever is damaged', async () => {
    const { text } = await person('ci');
    const material = text
      .split('\n')
      .filter((line) => /^(AGE|KEYTURN)/.test(line))
      .map((line) => line.split(/[ ]|KEY-1/).at(-1) ?? '');
    await fc.assert(
      fc.asyncProperty(
        fc.nat(text.length - 1),
        fc.constantFrom('', ' ', '\n', 'x', '#', '='),
        async (index, put) => {
          const broken = text.slice(0, index) + put + text.slice(index + 1);
          const error = await parseIdentity(broken, 'KEYTURN_IDENTITY').then(
            () => null,
            (reason) => reason,
          );
          if (error === null) return;
          expect(error).toBeInstanceOf(KeyturnError);
          for (const key of material) {
            for (let from = 0; from + 12 <= key.length; from += 1)
              expect(words(error)).not.toContain(key.slice(from, from + 12));
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  it('cannot be printed, and teaches the redactor', async () => {
    const { text, identity } = await person('ci');
    const keys = text
      .split('\n')
      .filter((line) => /^(AGE|KEYTURN-SIGN)/.test(line))
      .map((line) => line.split(' ').at(-1) ?? '');
    expect(keys).toHaveLength(2);
    for (const key of keys) {
      for (const shown of [
        inspect(identity, { depth: 9, showHidden: true }),
        JSON.stringify(identity),
        `${identity.ageIdentities}`,
      ]) {
        expect(shown).not.toContain(key);
      }
      expect(redact(`log: ${key}`)).toBe('log: [secret]');
    }
  });

  it('teaches the redactor keys that were made elsewhere', async () => {
    await refusal(() => parseIdentity('AGE-SECRET-KEY-\n', 'f'));
    const seed = randomBytes(32).toString('base64');
    const age = await generateX25519Identity();
    expect(redact(`${seed} ${age}`)).toBe(`${seed} ${age}`);
    await parseIdentity(`${age}\nKEYTURN-SIGN-1 ci ${seed}\n`, 'f');
    expect(redact(`${seed} ${age}`)).toBe('[secret] [secret]');
  });

  it('refuses a kid that is none', async () => {
    for (const kid of ['', 'a b', '-x', 'x'.repeat(65)])
      expect((await refusal(() => generateBundle(kid))).subject).toBe('kid');
  });
});

describe('loadIdentity', () => {
  const store = (folder: string, text: string, mode = 0o600) => {
    const file = join(folder, 'identity');
    writeFileSync(file, text);
    chmodSync(file, mode);
    return file;
  };

  it('looks at --identity, KEYTURN_IDENTITY, KEYTURN_IDENTITY_FILE, the configuration folder, in this order', async () => {
    const [one, two, three, four] = [
      await person('one'),
      await person('two'),
      await person('three'),
      await person('four'),
    ];
    const home = temporaryFolder();
    mkdirSync(join(home, '.config', 'keyturn'), { recursive: true });
    store(join(home, '.config', 'keyturn'), four.text);
    const file = store(temporaryFolder(), one.text);
    const env = { KEYTURN_IDENTITY: two.text, KEYTURN_IDENTITY_FILE: store(temporaryFolder(), three.text) };
    const kid = async (options: Parameters<typeof loadIdentity>[0]) =>
      (await loadIdentity(options)).signer?.kid;
    expect(await kid({ file, env, home })).toBe('one');
    expect(await kid({ env, home })).toBe('two');
    expect(await kid({ env: { ...env, KEYTURN_IDENTITY: '' }, home })).toBe('three');
    expect(await kid({ env: {}, home })).toBe('four');
    expect(await kid({ env: { XDG_CONFIG_HOME: join(home, '.config') }, home: '/nowhere' })).toBe('four');
    expect(identityPath({ XDG_CONFIG_HOME: 'relative' }, '/h')).toBe('/h/.config/keyturn/identity');
  });

  it('refuses a file that others can read or write', async () => {
    const { text } = await person('ci');
    for (const mode of [0o640, 0o604, 0o620, 0o602]) {
      const file = store(temporaryFolder(), text, mode);
      const error = await refusal(() => loadIdentity({ file, env: {}, home: '/nowhere' }));
      expect(error).toMatchObject({ code: 'LOOSE_MODE', hint: `run \`chmod 600 ${file}\`` });
    }
    const file = store(temporaryFolder(), text, 0o400);
    expect((await loadIdentity({ file, env: {}, home: '/nowhere' })).source).toBe(file);
  });

  it('names every way when there is none, and an empty variable', async () => {
    const home = temporaryFolder();
    const error = await refusal(() => loadIdentity({ env: {}, home }));
    expect(error.exit).toBe(1);
    for (const way of [
      '--identity',
      'KEYTURN_IDENTITY ',
      'KEYTURN_IDENTITY_FILE',
      identityPath({}, home),
      'keyturn keygen',
    ]) {
      expect(error.hint).toContain(way);
    }
    expect((await refusal(() => loadIdentity({ env: { KEYTURN_IDENTITY: '' }, home }))).what).toContain(
      'set but empty',
    );
  });

  it('says why a named file cannot be read', async () => {
    const folder = temporaryFolder();
    const missing = join(folder, 'missing');
    expect(await refusal(() => loadIdentity({ file: missing, env: {}, home: folder }))).toMatchObject({
      code: 'ENOENT',
      subject: missing,
    });
    expect(
      await refusal(() => loadIdentity({ env: { KEYTURN_IDENTITY_FILE: missing }, home: folder })),
    ).toMatchObject({ code: 'ENOENT' });
    expect((await refusal(() => loadIdentity({ file: folder, env: {}, home: folder }))).subject).toBe(folder);
  });
});
