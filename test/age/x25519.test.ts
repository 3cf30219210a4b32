/** Our X25519 against the library's own, which other implementations have been tested against. */
import { Decrypter, Encrypter, generateX25519Identity, identityToRecipient, Stanza } from 'age-encryption';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { decrypt, encrypt, generateIdentity, recipientOf } from '../../src/age/age.ts';
import { x25519Recipient } from '../../src/age/x25519.ts';
import { KeyturnError } from '../../src/errors.ts';
import { Secret } from '../../src/secret.ts';

const plain = new TextEncoder().encode('the value of a secret');

it('has the recipients of the library, and makes identities that it takes', async () => {
  for (const text of [generateIdentity().reveal(), await generateX25519Identity()])
    expect(await recipientOf(new Secret(text))).toBe(await identityToRecipient(text));
});

it('agrees with the library on every mistyped identity', async () => {
  const whole = await generateX25519Identity();
  const ours = async (text: string) =>
    recipientOf(new Secret(text)).then(
      () => true,
      () => false,
    );
  const theirs = (text: string) => {
    try {
      new Decrypter().addIdentity(text);
      return true;
    } catch {
      return false;
    }
  };
  for (const text of [whole, whole.toLowerCase(), `${whole} `, whole.replace(/^A/, 'a')])
    expect([text === whole, await ours(text)]).toEqual([theirs(text), theirs(text)]);
  const edit = fc.record({
    where: fc.nat(),
    put: fc.constantFrom('', 'Q', 'P', '1', 'B', 'q', ' ', 'QQ', 'L'),
    cut: fc.nat(2),
  });
  await fc.assert(
    fc.asyncProperty(edit, async ({ where, put, cut }) => {
      const index = where % (whole.length + 1);
      const text = whole.slice(0, index) + put + whole.slice(index + cut);
      // what no longer says that it is a classical key is another kind, or none
      fc.pre(text.startsWith('AGE-SECRET-KEY-1'));
      expect(await ours(text)).toBe(theirs(text));
    }),
    { numRuns: 500 },
  );
});

/** What opening a file ends in: the plaintext, a stranger's file, or a broken one. */
type Ending = string;

async function endings(file: Uint8Array, identity: string): Promise<{ ours: Ending; theirs: Ending }> {
  const library = new Decrypter();
  library.addIdentity(identity);
  const theirs = await library.decrypt(file, 'text').catch((error: Error) => {
    return error.message.startsWith('no identity matched') ? 'NO_IDENTITY' : 'DAMAGED';
  });
  const ours = await decrypt(file, [new Secret(identity)], 'f').then(
    (bytes) => Buffer.from(bytes).toString(),
    (error: unknown) => (error instanceof KeyturnError ? error.code : String(error)),
  );
  return { ours: ours ?? '', theirs };
}

it('opens what the library seals, and the library what we seal, among strangers', async () => {
  const [mine, other] = [await generateX25519Identity(), await generateX25519Identity()];
  const both = [await identityToRecipient(other), await identityToRecipient(mine)];
  const encrypter = new Encrypter();
  for (const recipient of both) encrypter.addRecipient(recipient);
  const value = new TextDecoder().decode(plain);
  for (const file of [await encrypt(plain, both), await encrypter.encrypt(plain)])
    for (const identity of [mine, other])
      expect(await endings(file, identity)).toEqual({ ours: value, theirs: value });
});

it('agrees with the library on every stanza that is wrong', async () => {
  const mine = await generateX25519Identity();
  const recipient = await identityToRecipient(mine);
  const share = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64').replace(/=+$/, '');
  const spoilt: [string, Ending, (stanza: Stanza) => Stanza | Stanza[]][] = [
    ['nothing', 'the value of a secret', (stanza) => stanza],
    ['another type', 'NO_IDENTITY', ({ args, body }) => new Stanza(['x25519', ...args.slice(1)], body)],
    ['one argument more', 'DAMAGED', ({ args, body }) => new Stanza([...args, 'x'], body)],
    ['one argument less', 'DAMAGED', ({ args, body }) => new Stanza(args.slice(0, 1), body)],
    [
      'a padded share',
      'DAMAGED',
      ({ body }) => new Stanza(['X25519', `${share(Buffer.alloc(32, 9))}=`], body),
    ],
    ['a short share', 'DAMAGED', ({ body }) => new Stanza(['X25519', share(Buffer.alloc(31, 9))], body)],
    [
      'spare bits in the share',
      'DAMAGED',
      ({ args, body }) =>
        new Stanza(['X25519', `${args[1]?.slice(0, -1)}${args[1]?.endsWith('B') ? 'C' : 'B'}`], body),
    ],
    ['a share of low order', 'DAMAGED', ({ body }) => new Stanza(['X25519', share(Buffer.alloc(32))], body)],
    ['another share', 'NO_IDENTITY', ({ body }) => new Stanza(['X25519', share(Buffer.alloc(32, 9))], body)],
    ['a short body', 'DAMAGED', ({ args, body }) => new Stanza(args, body.subarray(1))],
    ['a long body', 'DAMAGED', ({ args, body }) => new Stanza(args, new Uint8Array([...body, 0]))],
    [
      'a changed body',
      'NO_IDENTITY',
      ({ args, body }) =>
        new Stanza(
          args,
          body.map((byte) => byte ^ 1),
        ),
    ],
    [
      'a stranger before it',
      'the value of a secret',
      (stanza) => [new Stanza(['X25519', share(Buffer.alloc(32, 9))], stanza.body), stanza],
    ],
  ];
  for (const [what, ending, spoil] of spoilt) {
    const encrypter = new Encrypter();
    encrypter.addRecipient({
      async wrapFileKey(fileKey) {
        const whole = await stanzaOf(fileKey, recipient);
        return [spoil(whole)].flat();
      },
    });
    const file = await encrypter.encrypt(plain);
    expect({ what, ...(await endings(file, mine)) }).toEqual({ what, ours: ending, theirs: ending });
  }
});

async function stanzaOf(fileKey: Uint8Array, recipient: string): Promise<Stanza> {
  const [stanza] = await x25519Recipient(recipient).wrapFileKey(fileKey);
  if (stanza === undefined) throw new Error('no stanza');
  return new Stanza(stanza.args, stanza.body);
}
