/**
 * The X25519 identities and recipients of age on node:crypto, for the library to work with: its own, on WebCrypto and
 * JavaScript, take several times as long. They accept what the library's do; proven against the age program by a test.
 */
import {
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { fromBech32, toBech32 } from './bech32.ts';
import {
  type AgeIdentity,
  type AgeRecipient,
  shareIn,
  unpadded,
  unwrap,
  wrap,
  wrappingKey,
} from './stanza.ts';

const label = 'age-encryption.org/v1/X25519';
const type = 'X25519';

/** PKCS #8 (RFC 8410) around a raw key. */
const privatePrefix = Buffer.from('302e020100300506032b656e04220420', 'hex');

const privateKey = (raw: Uint8Array): KeyObject =>
  createPrivateKey({ key: Buffer.concat([privatePrefix, raw]), format: 'der', type: 'pkcs8' });

/** SubjectPublicKeyInfo (RFC 8410) around a raw key. */
const publicPrefix = Buffer.from('302a300506032b656e032100', 'hex');

/** As one string of PEM, which Node takes in a third of the time that any object takes it. */
const publicKey = (raw: Buffer): KeyObject => {
  const whole = Buffer.concat([publicPrefix, raw]).toString('base64');
  return createPublicKey(`-----BEGIN PUBLIC KEY-----\n${whole}\n-----END PUBLIC KEY-----\n`);
};

const rawPublic = (key: KeyObject): Buffer => Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url');

/** Throws for anything but `age1…` of an X25519 key. */
export function x25519Recipient(text: string): AgeRecipient {
  const theirs = fromBech32(text, 'age', 32);
  if (theirs === null) throw new Error('not an X25519 recipient');
  const key = publicKey(theirs);
  return {
    wrapFileKey(fileKey) {
      const ephemeral = generateKeyPairSync('x25519');
      const share = rawPublic(ephemeral.publicKey);
      const shared = diffieHellman({ privateKey: ephemeral.privateKey, publicKey: key });
      const body = wrap(fileKey, wrappingKey(shared, share, theirs, label));
      return [{ args: [type, unpadded(share)], body }];
    },
  };
}

function keyOf(identity: string): KeyObject {
  const raw =
    identity === identity.toUpperCase() && fromBech32(identity.toLowerCase(), 'age-secret-key-', 32);
  if (!raw) throw new Error('not an X25519 identity');
  return privateKey(raw);
}

/** `AGE-SECRET-KEY-1…`; throws for anything else. A stanza of its type that is broken throws, as age demands. */
export function x25519Identity(text: string): AgeIdentity {
  const key = keyOf(text);
  const ours = rawPublic(createPublicKey(key));
  return {
    unwrapFileKey(stanzas) {
      for (const { args, body } of stanzas) {
        if (args[0] !== type) continue;
        if (args.length !== 2) throw new Error('malformed stanza');
        const share = shareIn(args[1]);
        const shared = diffieHellman({ privateKey: key, publicKey: publicKey(share) });
        const fileKey = unwrap(body, wrappingKey(shared, share, ours, label));
        if (fileKey !== null) return fileKey;
      }
      return null;
    },
  };
}

/** The `age1…` of an `AGE-SECRET-KEY-1…`; throws for anything else. */
export const x25519RecipientOf = (identity: string): string =>
  toBech32('age', rawPublic(createPublicKey(keyOf(identity))));

/** A fresh `AGE-SECRET-KEY-1…`. */
export const newX25519Identity = (): string => toBech32('age-secret-key-', randomBytes(32)).toUpperCase();
