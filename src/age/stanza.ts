/** What an identity and a recipient are to the library of age, and what X25519 and SSH stanzas have in common. */
import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';

export interface AgeStanza {
  readonly args: string[];
  readonly body: Uint8Array;
}

export interface AgeRecipient {
  wrapFileKey(fileKey: Uint8Array): AgeStanza[] | Promise<AgeStanza[]>;
}

export interface AgeIdentity {
  /** Null where no stanza is for this identity. Throws for one that nobody could have meant. */
  unwrapFileKey(stanzas: AgeStanza[]): Uint8Array | null | Promise<Uint8Array | null>;
}

const fileKeyLength = 16;
const tagLength = 16;
/** A wrapping key is used once. */
const nonce = Buffer.alloc(12);
const aead = 'chacha20-poly1305';
const length = { authTagLength: tagLength };

// Keys go in as key objects: of anything else Node finds out by an exception, with a stack trace, what it is not.

/** HKDF-SHA-256 of what two keys share, tied to both of them. */
export const wrappingKey = (
  shared: Uint8Array,
  share: Uint8Array,
  theirs: Uint8Array,
  label: string,
): KeyObject => {
  const salt = Buffer.concat([share, theirs]);
  return createSecretKey(Buffer.from(hkdfSync('sha256', createSecretKey(shared), salt, label, 32)));
};

export function wrap(fileKey: Uint8Array, key: KeyObject): Uint8Array {
  const cipher = createCipheriv(aead, key, nonce, length);
  const body = Buffer.concat([cipher.update(fileKey), cipher.final(), cipher.getAuthTag()]);
  return new Uint8Array(body);
}

/** The file key, or null where another key wrapped it. Throws for a body that cannot hold one. */
export function unwrap(body: Uint8Array, key: KeyObject): Uint8Array | null {
  if (body.length !== fileKeyLength + tagLength) throw new Error('malformed stanza');
  const cipher = createDecipheriv(aead, key, nonce, length);
  cipher.setAuthTag(body.subarray(fileKeyLength));
  const fileKey = cipher.update(body.subarray(0, fileKeyLength));
  try {
    cipher.final();
  } catch {
    return null;
  }
  return new Uint8Array(fileKey);
}

export const unpadded = (bytes: Uint8Array): string =>
  Buffer.from(bytes).toString('base64').replace(/=+$/, '');

/** The public key that a stanza carries. Throws for any spelling but the one of 32 bytes. */
export function shareIn(text: string | undefined): Buffer {
  const share = Buffer.from(text ?? '', 'base64');
  if (share.length !== 32 || unpadded(share) !== text) throw new Error('malformed stanza');
  return share;
}
