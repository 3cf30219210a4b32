/**
 * The one codec of every `.age` file (protocol §8): age( an envelope ). Age has neither a sender nor associated data, so
 * the envelope says where it belongs and who wrote it; `open` refuses whatever is not byte for byte what `seal` writes,
 * not signed by somebody we trust, or not at its place.
 */
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { damaged, decrypt, encrypt } from '../age/age.ts';
import { KeyturnError } from '../errors.ts';
import {
  type Contents,
  type Envelope,
  readEnvelope,
  type Signature,
  sizeLimit,
  tooBig,
  writeEnvelope,
} from './envelope.ts';
import type { Identity } from './identity.ts';
import { isSignedBy, type Signer } from './signing.ts';

export interface Opened {
  envelope: Envelope;
  /** False only where the caller asked for no signature and the identity trusts nobody. */
  verified: boolean;
  /** Who signed, or, unverified, who is said to have. */
  kid: string;
}

/** Signs and encrypts. Whoever may read it needs no keyturn: `age -d f | gunzip` of state, else `age -d f | jq -r .value`. */
export async function seal(
  contents: Contents,
  options: { recipients: string[]; signer: Signer },
): Promise<Uint8Array> {
  const { recipients, signer } = options;
  const sealed = await encrypt(writeEnvelope(contents, signer), recipients);
  if (sealed.length > sizeLimit) throw tooBig(contents.purpose, sizeLimit);
  return sealed;
}

/**
 * Decrypts and verifies. Errors carry the codes `NO_IDENTITY`, `DAMAGED`, `NEWER_FORMAT`, `UNKNOWN_SIGNER`,
 * `TAMPERED` and `WRONG_PLACE`; but for the first and `NEWER_FORMAT` they exit with 3. `expect` lists fields that must equal.
 * `requireSignature: false` counts only for an identity without any trust line: whoever can verify, does.
 */
export async function open(
  bytes: Uint8Array,
  options: {
    identity: Identity;
    place: string;
    expect: Partial<Contents>;
    requireSignature?: boolean;
  },
): Promise<Opened> {
  const { identity, place, expect, requireSignature = true } = options;
  if (bytes.length > sizeLimit) throw damaged(place, 'is larger than 64 MiB');
  const plain = await decrypt(bytes, identity.ageIdentities, place);
  const { envelope, sig, signed } = await readEnvelope(plain, place);
  const verified = requireSignature || identity.trust.size > 0;
  if (verified) verifySignature(signed, sig, identity, place);
  if (signed.length >= large) forget(signed);
  for (const [field, wanted] of Object.entries(expect)) {
    if (canonicalize(envelope[field]) === canonicalize(wanted)) continue;
    throw misplaced(place, `holds ${field} ${shown(envelope[field])} where ${shown(wanted)} belongs`);
  }
  return { envelope, verified, kid: sig.kid };
}

/** Digest of a file's bytes as records and the journal's chain hold it. */
export const digest = (bytes: Uint8Array): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** The error for a file that is whole and readable, but not what its writer put there. */
export function tampered(place: string, what: string): KeyturnError {
  return new KeyturnError(place, `tampered: ${what}`, {
    code: 'TAMPERED',
    exit: 3,
    hint: 'somebody replaced or forged it: find out who, then restore the file from the git history',
  });
}

/** The error for a genuine file that belongs elsewhere: another version, secret or repository. */
export function misplaced(place: string, what: string): KeyturnError {
  return new KeyturnError(place, `wrong place: ${what}`, {
    code: 'WRONG_PLACE',
    exit: 3,
    hint: 'somebody moved or swapped it: find out who, then restore the file from the git history',
  });
}

/** Bytes of a text that is given up as soon as it is read, for it may be half a run's memory until V8 looks again. */
const large = 1024 * 1024;

/** Gives the memory behind `bytes` back. Nobody may read them, or anything that shares it, any more. */
function forget({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}

function verifySignature(signed: Uint8Array, sig: Signature, identity: Identity, place: string): void {
  const key = identity.trust.get(sig.kid);
  if (!key) {
    throw new KeyturnError(place, `is signed by ${sig.kid}, whom your identity does not trust`, {
      code: 'UNKNOWN_SIGNER',
      exit: 3,
      hint: `if ${sig.kid} may write here, add their line \`KEYTURN-TRUST-1 ${sig.kid} …\` to ${identity.source}`,
    });
  }
  if (!isSignedBy(key, signed, sig.ed25519)) {
    throw tampered(place, `has a signature that ${sig.kid} did not make`);
  }
}

/** Unverified text must not reach a terminal as it is. */
function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = typeof value === 'string' ? value : (canonicalize(value) ?? '');
  return (text.length > 80 ? `${text.slice(0, 80)}…` : text).replace(/[^ -~…]/g, '?') || 'nothing';
}
