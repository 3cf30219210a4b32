import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decrypt, encrypt, fingerprint, plainRecipient, recipientProblem } from '../../src/age/age.ts';
import { Secret } from '../../src/secret.ts';
import { type AskPassphrase, loadIdentity } from '../../src/state/identity.ts';
import { ageEncrypt, reader, refusal, temporaryFolder, withoutAge, words } from '../state/people.ts';

/** SSH keys as readers, made by ssh-keygen and proven against the age command line both ways. */

const plain = Buffer.from('the value of a secret');

interface SshKey {
  file: string;
  recipient: string;
}

function sshKey(type: 'ed25519' | 'rsa' | 'ecdsa', ...more: string[]): SshKey {
  const file = join(temporaryFolder(), `id_${type}`);
  const passphrase = more.includes('-N') ? [] : ['-N', ''];
  execFileSync('ssh-keygen', ['-q', '-t', type, ...passphrase, ...more, '-C', 'a comment', '-f', file]);
  return { file, recipient: readFileSync(`${file}.pub`, 'utf8').trim() };
}

const load = (file: string, ask?: AskPassphrase) =>
  loadIdentity({ file, env: {}, home: '/nowhere', ...(ask ? { ask } : {}) });

describe.each(['ed25519', 'rsa'] as const)('an SSH key of type %s', (type) => {
  it('opens what keyturn encrypts to it, and nobody else does', async () => {
    const [mine, other] = [sshKey(type), sshKey(type)];
    const sealed = await encrypt(plain, [mine.recipient, (await reader()).recipient]);
    const identity = await load(mine.file);
    expect(identity.recipients).toEqual([plainRecipient(mine.recipient)]);
    expect(Buffer.from(await decrypt(sealed, identity.ageIdentities, 'f'))).toEqual(plain);
    const stranger = (await load(other.file)).ageIdentities;
    expect(await refusal(() => decrypt(sealed, stranger, 'f'))).toMatchObject({ code: 'NO_IDENTITY' });
  });

  it.skipIf(withoutAge)('agrees with the age command line, both ways', async () => {
    const { file, recipient } = sshKey(type);
    const sealed = await encrypt(plain, [recipient]);
    expect(execFileSync('age', ['-d', '-i', file], { input: sealed })).toEqual(plain);
    const { ageIdentities } = await load(file);
    expect(Buffer.from(await decrypt(ageEncrypt(plain, [recipient]), ageIdentities, 'f'))).toEqual(plain);
  });

  it('refuses a file in which its stanza was changed', async () => {
    const { file, recipient } = sshKey(type);
    const { ageIdentities } = await load(file);
    const text = Buffer.from(await encrypt(plain, [recipient])).toString('latin1');
    const at = text.indexOf('\n', text.indexOf('-> ssh-')) + 3;
    const flipped = Buffer.from(
      text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1),
      'latin1',
    );
    expect(await refusal(() => decrypt(flipped, ageIdentities, 'f'))).toMatchObject({ code: 'DAMAGED' });
  });

  it('is asked for its passphrase, and says so where nobody can answer', async () => {
    const { file, recipient } = sshKey(type, '-N', 'correct horse');
    const asked: string[] = [];
    const answer =
      (text: string): AskPassphrase =>
      async (message) => {
        asked.push(message);
        return new Secret(text);
      };
    const { ageIdentities } = await load(file, answer('correct horse'));
    expect(asked).toEqual([`Passphrase of ${file}`]);
    expect(Buffer.from(await decrypt(await encrypt(plain, [recipient]), ageIdentities, 'f'))).toEqual(plain);
    expect((await refusal(() => load(file, answer('wrong')))).what).toContain('passphrase is wrong');
    expect((await refusal(() => load(file))).what).toContain('there is no terminal to ask');
    expect((await refusal(() => load(file, async () => null))).code).toBe('LOCKED');
  });
});

describe('SSH recipients', () => {
  it('are one reader whatever their comment', () => {
    const { recipient } = sshKey('ed25519');
    const bare = recipient.split(' ').slice(0, 2).join(' ');
    expect(plainRecipient(recipient)).toBe(bare);
    expect(fingerprint(plainRecipient(`${bare} else`))).toBe(fingerprint(bare));
    expect(recipientProblem(recipient)).toBeNull();
  });

  it('are refused when age could not encrypt to them safely', () => {
    expect(recipientProblem(sshKey('ecdsa').recipient)).toContain('ssh-ed25519 and ssh-rsa work');
    expect(recipientProblem(sshKey('rsa', '-b', '1024').recipient)).toContain('1024 bits');
    const { recipient, file } = sshKey('ed25519');
    expect(recipientProblem(recipient.slice(0, 40))).toContain('mistyped');
    expect(recipientProblem(readFileSync(file, 'utf8'))).toContain('private key');
  });

  it('an ECDSA private key is named as what it is', async () => {
    expect((await refusal(() => load(sshKey('ecdsa').file))).what).toContain('ecdsa-sha2-nistp256');
  });

  it('a private key without its end is not repeated', async () => {
    const { file } = sshKey('ed25519');
    const text = readFileSync(file, 'utf8').slice(0, 200);
    writeFileSync(file, text, { mode: 0o600 });
    expect(words(await refusal(() => load(file)))).not.toContain(text.split('\n')[1]);
  });
});

describe('where an identity comes from', () => {
  it('an SSH key and trust lines may stand in one file', async () => {
    const { file } = sshKey('ed25519');
    const trust = `KEYTURN-TRUST-1 ci-1 ${Buffer.alloc(32, 7).toString('base64')}`;
    const both = join(temporaryFolder(), 'both');
    writeFileSync(both, `${trust}\n${readFileSync(file, 'utf8')}`, { mode: 0o600 });
    const identity = await load(both);
    expect([...identity.trust.keys()]).toEqual(['ci-1']);
    expect(identity.ageIdentities).toHaveLength(1);
    const wrong = join(temporaryFolder(), 'wrong');
    writeFileSync(wrong, `${readFileSync(file, 'utf8')}nonsense\n`, { mode: 0o600 });
    const lines = readFileSync(file, 'utf8').split('\n').length;
    expect((await refusal(() => load(wrong))).subject).toBe(`${wrong}:${lines}`);
  });

  it('~/.ssh is the last resort', async () => {
    const home = temporaryFolder();
    execFileSync('mkdir', ['-p', join(home, '.ssh')]);
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(home, '.ssh', 'id_ed25519')]);
    const found = await loadIdentity({ env: {}, home });
    expect(found.source).toBe(join(home, '.ssh', 'id_ed25519'));
    const { identity } = await reader();
    const text = identity.ageIdentities[0]?.reveal() ?? '';
    expect((await loadIdentity({ env: { KEYTURN_IDENTITY: text }, home })).source).toBe('KEYTURN_IDENTITY');
  });

  it.each([[[]], [['-a']]])('an age identity behind a passphrase, %j', async (options) => {
    const { identity, recipient } = await reader();
    const { Encrypter, armor } = await import('age-encryption');
    const encrypter = new Encrypter();
    encrypter.setPassphrase('correct horse');
    encrypter.setScryptWorkFactor(10);
    const bytes = await encrypter.encrypt(`${identity.ageIdentities[0]?.reveal()}\n`);
    const file = join(temporaryFolder(), 'locked');
    writeFileSync(file, options.length > 0 ? armor.encode(bytes) : bytes, { mode: 0o600 });
    const opened = await load(file, async () => new Secret('correct horse'));
    expect(opened.recipients).toEqual([recipient]);
    expect((await refusal(() => load(file, async () => new Secret('no')))).code).toBe('LOCKED');
    expect((await refusal(() => load(file))).what).toContain('there is no terminal');
  });
});
