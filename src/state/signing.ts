/** Ed25519 with raw keys in base64, as identity bundles hold them. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { Secret } from '../secret.ts';

/** Holds the private key; `kid` is the public name under which others trust it. */
export interface Signer {
  kid: string;
  sign(bytes: Uint8Array): Uint8Array;
  /** A compact JWT (RFC 7519, EdDSA) of these claims. It begins with `eyJ`, so no envelope is ever mistaken for one. */
  token(claims: Record<string, string | number>): Secret;
}

/** PKCS #8 (RFC 8410) around a raw Ed25519 seed. */
const seedPrefix = Buffer.from('302e020100300506032b657004220420', 'hex');

/** What is signed begins with this, so that signatures made here mean nothing to any other user of the same key. */
export const domain: Uint8Array = Buffer.from('keyturn sealed envelope 1\n');

/** Letters, digits, `.`, `_`, `@`, `-`; at most 64. */
export const isKid = (text: string): boolean => /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/.test(text);

function rawKey(base64: string): Buffer | null {
  const bytes = Buffer.from(base64, 'base64');
  return bytes.length === 32 && bytes.toString('base64') === base64 ? bytes : null;
}

/** The key in a base64 seed of 32 bytes, or null when it is none. */
export function privateKey(seed: Secret): KeyObject | null {
  const raw = rawKey(seed.reveal());
  return raw && createPrivateKey({ key: Buffer.concat([seedPrefix, raw]), format: 'der', type: 'pkcs8' });
}

/** The key in 32 base64 bytes, or null when it is none. */
export function publicKey(base64: string): KeyObject | null {
  const raw = rawKey(base64);
  return (
    raw &&
    createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') }, format: 'jwk' })
  );
}

/** The base64 form of a public key. */
export function publicText(key: KeyObject): string {
  return Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url').toString('base64');
}

/** A fresh seed in base64, with its public key. */
export function generateSeed(): { seed: Secret; publicKey: string } {
  const pair = generateKeyPairSync('ed25519');
  const seed = new Secret(
    Buffer.from(pair.privateKey.export({ format: 'jwk' }).d ?? '', 'base64url').toString('base64'),
  );
  return { seed, publicKey: publicText(pair.publicKey) };
}

/** Signs envelopes and tokens, and nothing else, with `key`. */
export function signerOf(kid: string, key: KeyObject): Signer {
  const part = (json: object): string => Buffer.from(JSON.stringify(json)).toString('base64url');
  return {
    kid,
    sign: (bytes) => sign(null, Buffer.concat([domain, bytes]), key),
    token: (claims) => {
      const signed = `${part({ alg: 'EdDSA', typ: 'JWT', kid })}.${part(claims)}`;
      return new Secret(`${signed}.${sign(null, Buffer.from(signed), key).toString('base64url')}`);
    },
  };
}

/** Public keys as the verifiers of our tokens want them (RFC 7517). */
export const jwksOf = (
  keys: ReadonlyMap<string, KeyObject>,
): { keys: { kty: string; crv: string; x: string; kid: string; alg: string; use: string }[] } => ({
  keys: [...keys].map(([kid, key]) => ({
    kty: 'OKP',
    crv: 'Ed25519',
    x: key.export({ format: 'jwk' }).x ?? '',
    kid,
    alg: 'EdDSA',
    use: 'sig',
  })),
});

/**
 * Whether `signature` was made by a `Signer` that holds the private half of `key`. `whole` is `domain` and then the
 * bytes that were signed, in one buffer because a copy of a whole state is many megabytes.
 */
export function isSignedBy(key: KeyObject, whole: Uint8Array, signature: Uint8Array): boolean {
  const begins = Buffer.compare(whole.subarray(0, domain.length), domain) === 0;
  return begins && verify(null, whole, key, signature);
}
