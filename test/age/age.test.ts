import { execFileSync } from 'node:child_process';
import { Encrypter, generateHybridIdentity } from 'age-encryption';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  armor,
  dearmor,
  decrypt,
  encrypt,
  fingerprint,
  generateIdentity,
  recipientOf,
  recipientProblem,
} from '../../src/age/age.ts';
import { Secret } from '../../src/secret.ts';
import { ageDecrypt, ageEncrypt, reader, refusal, withoutAge, words } from '../state/people.ts';

const plain = new TextEncoder().encode('the value of a secret');

describe('encrypt and decrypt', () => {
  it('gives back what went in, for every recipient, at every size around a chunk', async () => {
    const [alice, bob] = [await reader(), await reader()];
    for (const size of [0, 1, 65_535, 65_536, 65_537, 131_072]) {
      const bytes = Buffer.alloc(size, 'x');
      const sealed = await encrypt(bytes, [alice.recipient, bob.recipient]);
      for (const { identity } of [alice, bob]) {
        expect(Buffer.compare(await decrypt(sealed, identity.ageIdentities, 'f'), bytes)).toBe(0);
      }
    }
  });

  it('refuses to encrypt to nobody or to a bad recipient', async () => {
    expect((await refusal(() => encrypt(plain, []))).message).toBe(
      'encryption: there is nobody to encrypt to',
    );
    const { recipient } = await reader();
    expect((await refusal(() => encrypt(plain, [recipient, recipient.slice(0, -1)]))).what).toBe(
      'is mistyped or cut off',
    );
  });

  it('counts a recipient once', async () => {
    const { recipient } = await reader();
    const twice = await encrypt(plain, [recipient, recipient]);
    expect(
      Buffer.from(twice)
        .toString('latin1')
        .match(/-> X25519/g),
    ).toHaveLength(1);
  });

  it('tells a stranger from a broken file, and the stranger who they are', async () => {
    const [alice, eve] = [await reader(), await reader()];
    const sealed = await encrypt(plain, [alice.recipient]);
    const stranger = await refusal(() => decrypt(sealed, eve.identity.ageIdentities, 'values/a/1.age'));
    expect(stranger).toMatchObject({ code: 'NO_IDENTITY', exit: 1, subject: 'values/a/1.age' });
    expect(stranger.hint).toContain(eve.recipient);
    expect(stranger.hint).toContain('keyturn access');
    expect(await refusal(() => decrypt(sealed, [], 'f'))).toMatchObject({ code: 'NO_IDENTITY' });
    const broken = await refusal(() => decrypt(sealed.subarray(0, -1), alice.identity.ageIdentities, 'f'));
    expect(broken).toMatchObject({ code: 'DAMAGED', exit: 3 });
  });

  it('works with hybrid post-quantum keys beside classical ones', async () => {
    const hybrid = new Secret(await generateHybridIdentity());
    const recipient = await recipientOf(hybrid);
    expect(recipient).toMatch(/^age1pq1/);
    expect(recipientProblem(recipient)).toBeNull();
    const alice = await reader();
    const sealed = await encrypt(plain, [recipient, alice.recipient]);
    expect(await decrypt(sealed, [hybrid], 'f')).toEqual(plain);
    expect(await decrypt(sealed, alice.identity.ageIdentities, 'f')).toEqual(plain);
    const other = new Secret(await generateHybridIdentity());
    expect((await refusal(() => decrypt(sealed, [other], 'f'))).hint).not.toContain(await recipientOf(other));
  });

  it('never shows the identity it could not use', async () => {
    const bad = new Secret('AGE-SECRET-KEY-1NOTAKEYATALL');
    for (const action of [() => decrypt(plain, [bad], 'f'), () => recipientOf(bad)]) {
      expect(words(await refusal(action))).not.toContain('NOTAKEY');
    }
  });
});

describe('recipients', () => {
  it('agrees with the library on every mistyped recipient', async () => {
    const classical = (await reader()).recipient;
    const hybrid = await recipientOf(new Secret(await generateHybridIdentity()));
    const accepts = (text: string) => {
      try {
        new Encrypter().addRecipient(text);
        return true;
      } catch {
        return false;
      }
    };
    const edit = fc.record({
      base: fc.constantFrom(classical, hybrid),
      where: fc.nat(),
      put: fc.constantFrom('', 'q', 'p', '1', 'b', 'Q', ' ', 'qq', 'l'),
      cut: fc.nat(2),
    });
    fc.assert(
      fc.property(edit, ({ base, where, put, cut }) => {
        const index = where % (base.length + 1);
        const text = base.slice(0, index) + put + base.slice(index + cut);
        expect(recipientProblem(text) === null).toBe(accepts(text));
      }),
      { numRuns: 500 },
    );
  });

  it('refuses spare bits that are set, although the checksum is right', async () => {
    const whole = 'age1qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qurs95jt69';
    const spare = 'age1qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qur3czx78h';
    expect(recipientProblem(whole)).toBeNull();
    expect(recipientProblem(spare)).toBe('is mistyped or cut off');
    expect(() => new Encrypter().addRecipient(spare)).toThrow();
  });

  it('says what a text is instead, without repeating it', async () => {
    const secret = generateIdentity().reveal();
    expect(recipientProblem(secret)).toContain('secret key');
    expect(recipientProblem(secret)).not.toContain(secret.slice(20));
    expect(recipientProblem('ssh-ed25519 AAAA')).toContain('mistyped');
    expect(recipientProblem('ssh-dss AAAA')).toContain('SSH');
    expect(recipientProblem('age1yubikey1qwerty')).toContain('plugin');
    expect(recipientProblem(' ')).toContain('not an age recipient');
  });

  it('has short stable fingerprints', () => {
    expect(fingerprint('age1x')).toBe('fp:ba9e59dcc44fa0b7');
    expect(fingerprint('age1x')).not.toBe(fingerprint('age1y'));
  });
});

describe('armor', () => {
  it('survives the round trip and refuses what is cut off', async () => {
    const { recipient, identity } = await reader();
    const sealed = await encrypt(plain, [recipient]);
    const text = await armor(sealed);
    expect(text.startsWith('-----BEGIN AGE ENCRYPTED FILE-----\n')).toBe(true);
    expect(await decrypt(await dearmor(text, 'f'), identity.ageIdentities, 'f')).toEqual(plain);
    expect(await refusal(() => dearmor(text.slice(0, -10), 'manifests/a.yaml:3'))).toMatchObject({
      code: 'DAMAGED',
      subject: 'manifests/a.yaml:3',
    });
  });
});

describe.skipIf(withoutAge)('the age command', () => {
  it('opens what we write, and we open what it writes', async () => {
    const [alice, bob] = [await reader(), await reader()];
    const ours = await encrypt(plain, [alice.recipient, bob.recipient]);
    expect(ageDecrypt(ours, bob.identity).toString()).toBe('the value of a secret');
    const theirs = ageEncrypt(plain, [bob.recipient, alice.recipient]);
    expect(Buffer.from(await decrypt(theirs, alice.identity.ageIdentities, 'f')).toString()).toBe(
      'the value of a secret',
    );
  });

  it('agrees on recipients of identities', async () => {
    const { identity, recipient } = await reader();
    const key = identity.ageIdentities[0]?.reveal() ?? '';
    expect(
      execFileSync('age-keygen', ['-y'], { input: `${key}\n` })
        .toString()
        .trim(),
    ).toBe(recipient);
  });
});
