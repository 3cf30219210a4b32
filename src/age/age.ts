/** The one door to age: whole files in memory; X25519, hybrid post-quantum and SSH keys. Loads the library on first use. */
import { KeyturnError } from '../errors.ts';
import { Secret } from '../secret.ts';
import { fromBech32 } from './bech32.ts';
import { parseSshPublic, sshIdentity, sshProblem, sshPublicOf, sshPublicText, sshRecipient } from './ssh.ts';
import type { AgeIdentity, AgeRecipient } from './stanza.ts';
import { newX25519Identity, x25519Identity, x25519Recipient, x25519RecipientOf } from './x25519.ts';

export { fingerprint } from './fingerprint.ts';

let library: Promise<typeof import('age-encryption')> | undefined;

/** Asked for once: a run opens and seals thousands of files, and each `import()` looks the module up again. */
function load(): Promise<typeof import('age-encryption')> {
  library ??= import('age-encryption');
  return library;
}

/** Begins to load what opens and seals files, which takes its time, for whoever has to wait for something else. */
export const preloadAge = (): void => {
  load().catch(() => undefined);
};

/** The library's only way to tell a stranger's file from a broken one; pinned by a test. */
const nobodyMatched = "no identity matched any of the file's recipients";

/**
 * An age file that each of the recipients opens; a recipient named twice counts once. Never the same bytes twice.
 * Refuses an empty list: such a file could be opened by nobody.
 */
export async function encrypt(plain: Uint8Array, recipients: string[]): Promise<Uint8Array> {
  const unique = new Set(recipients);
  if (unique.size === 0) {
    throw new KeyturnError('encryption', 'there is nobody to encrypt to', {
      hint: 'list at least one age recipient under spec.reconcilers in keyturn.yaml',
    });
  }
  const { Encrypter } = await load();
  const encrypter = new Encrypter();
  for (const recipient of unique) encrypter.addRecipient(recipientFor(recipient));
  return wholeOf(await encrypter.encrypt(streamOf(plain)));
}

/** Taken apart once: a run seals a thousand values to the same few. What is no object is left to the library. */
const knownRecipients = new Map<string, AgeRecipient | string>();
const knownIdentities = new WeakMap<Secret, AgeIdentity | string>();

function recipientFor(text: string): AgeRecipient | string {
  const known = knownRecipients.get(text);
  if (known !== undefined) return known;
  const problem = recipientProblem(text);
  if (problem !== null) throw new KeyturnError('recipient', problem, { hint: recipientHint });
  const made = isSsh(text) ? sshRecipient(text) : text.startsWith('age1pq1') ? text : x25519Recipient(text);
  knownRecipients.set(text, made);
  return made;
}

/** Throws for what is no identity. */
function identityFor(identity: Secret): AgeIdentity | string {
  const known = knownIdentities.get(identity);
  if (known !== undefined) return known;
  const text = identity.reveal();
  const made = isPem(text) ? sshIdentity(text) : isHybrid(text) ? text : x25519Identity(text);
  knownIdentities.set(identity, made);
  return made;
}

/** Streams in and out: what the library makes of bytes goes through `Response`, which takes 27 ms to load. */
function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(bytes);
      controller.close();
    },
  });
}

async function wholeOf(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  const whole = Buffer.concat(parts);
  return new Uint8Array(whole.buffer, whole.byteOffset, whole.length);
}

/**
 * The plaintext of an age file, whole or not at all. `place` names the file in errors, whose codes are
 * `NO_IDENTITY` (exit 1: none of the identities is a recipient) and `DAMAGED` (exit 3). A file whose header was
 * damaged exactly where it names the reader cannot be told from a stranger's.
 */
export async function decrypt(bytes: Uint8Array, identities: Secret[], place: string): Promise<Uint8Array> {
  const { Decrypter } = await load();
  const decrypter = new Decrypter();
  for (const identity of identities) {
    try {
      decrypter.addIdentity(identityFor(identity));
    } catch {
      throw malformedIdentity();
    }
  }
  try {
    return await wholeOf(await decrypter.decrypt(streamOf(bytes)));
  } catch (error) {
    if (!(error instanceof Error && error.message === nobodyMatched))
      throw damaged(place, 'is not a whole age file');
    const mine = (await Promise.all(identities.map(recipientOf))).map(shortened).join(', ');
    throw new KeyturnError(place, 'not for you: it is not encrypted to your identity', {
      code: 'NO_IDENTITY',
      hint: `yours is ${mine || 'missing'}: keyturn access shows who can read what, --identity FILE uses another one`,
    });
  }
}

/** The error for bytes that are not what keyturn wrote, by accident or not. */
export function damaged(place: string, what: string): KeyturnError {
  return new KeyturnError(place, `tampered: ${what}`, {
    code: 'DAMAGED',
    exit: 3,
    hint: 'restore the file from the git history; nothing was changed',
  });
}

/**
 * The plaintext of a file that a passphrase protects (`age -p`), armored or not. Null when the passphrase is wrong;
 * what `decrypt` throws for a file that is not whole.
 */
export async function decryptWithPassphrase(
  bytes: Uint8Array,
  passphrase: Secret,
  place: string,
): Promise<Secret | null> {
  const { Decrypter } = await load();
  const file = isArmored(bytes) ? await dearmor(Buffer.from(bytes).toString(), place) : bytes;
  const decrypter = new Decrypter();
  decrypter.addPassphrase(passphrase.reveal());
  try {
    return new Secret(Buffer.from(await wholeOf(await decrypter.decrypt(streamOf(file)))).toString());
  } catch (error) {
    if (error instanceof Error && error.message === nobodyMatched) return null;
    throw damaged(place, 'is not a whole age file');
  }
}

const isArmored = (bytes: Uint8Array): boolean => startsWith(bytes, '-----BEGIN AGE ENCRYPTED FILE-----');

/** Whether the bytes begin an age file, armored or not. */
export const isAgeFile = (bytes: Uint8Array): boolean =>
  isArmored(bytes) || startsWith(bytes, 'age-encryption.org/v1\n');

const startsWith = (bytes: Uint8Array, text: string): boolean =>
  Buffer.from(bytes.subarray(0, text.length)).toString('latin1') === text;

/** Identities are `AGE-SECRET-KEY-1…`, `AGE-SECRET-KEY-PQ-1…`, or the PKCS #8 PEM of an SSH key. */
const isPem = (identity: string): boolean => identity.startsWith('-----BEGIN ');
const isHybrid = (identity: string): boolean => identity.startsWith('AGE-SECRET-KEY-PQ-1');

const isSsh = (recipient: string): boolean => recipient.startsWith('ssh-');

/** The spelling of a recipient that its fingerprint is made of: an SSH key without its comment. */
export function plainRecipient(text: string): string {
  const ssh = isSsh(text) ? parseSshPublic(text) : null;
  return ssh ? sshPublicText(ssh) : text;
}

/** The public recipient (`age1…`, `age1pq1…`, `ssh-…`) of an identity. */
export async function recipientOf(identity: Secret): Promise<string> {
  try {
    const text = identity.reveal();
    if (isPem(text)) return sshPublicOf(text);
    if (isHybrid(text)) return await (await load()).identityToRecipient(text);
    return x25519RecipientOf(text);
  } catch {
    throw malformedIdentity();
  }
}

/** A fresh X25519 identity. */
export const generateIdentity = (): Secret => new Secret(newX25519Identity());

/** What a person should do about any `recipientProblem`. */
export const recipientHint =
  'a recipient is the public key that keyturn keygen or age-keygen prints, or a line of ~/.ssh/id_ed25519.pub';

/** Why keyturn cannot encrypt to `text`, as a phrase after its subject, or null. Never repeats the text. */
export function recipientProblem(text: string): string | null {
  if (/^age-secret-key-/i.test(text.trim())) return 'is a secret key where a public one (age1…) belongs';
  if (/-----BEGIN [A-Z ]*PRIVATE KEY/.test(text))
    return 'is a private key where a public one (ssh-ed25519 …) belongs';
  if (/^(ssh|ecdsa|sk)-/.test(text)) return sshProblem(text);
  if (!text.startsWith('age1')) return 'is not an age recipient (age1…) or SSH public key (ssh-…)';
  if (fromBech32(text, 'age', 32) ?? fromBech32(text, 'age1pq', 1216)) return null;
  if (!text.startsWith('age1pq1') && text.indexOf('1', 4) > 0)
    return 'needs an age plugin, which is not supported';
  return 'is mistyped or cut off';
}

/** The text form (`-----BEGIN AGE ENCRYPTED FILE-----`) of an age file. */
export async function armor(bytes: Uint8Array): Promise<string> {
  return (await load()).armor.encode(bytes);
}

/** The age file in its text form, which must be whole; `place` names it in errors. */
export async function dearmor(text: string, place: string): Promise<Uint8Array> {
  const library = await load();
  try {
    return library.armor.decode(text);
  } catch {
    throw damaged(place, 'is not a whole armored age file');
  }
}

const shortened = (recipient: string) => (recipient.length > 70 ? `${recipient.slice(0, 24)}…` : recipient);

const malformedIdentity = () =>
  new KeyturnError('identity', 'is not an age identity', { hint: 'it starts with AGE-SECRET-KEY-1' });
