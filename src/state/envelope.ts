/**
 * How what is sealed is spelled (protocol §8): JCS JSON with a signature inside, in one way only, so that a reader can
 * refuse whatever is not byte for byte what a writer writes.
 */
import { gzipSync } from 'node:zlib';
import canonicalize from 'canonicalize';
import { damaged } from '../age/age.ts';
import { KeyturnError } from '../errors.ts';
import { readCanonical } from './canonical.ts';
import { inflate } from './inflate.ts';
import { domain, isKid, type Signer } from './signing.ts';

/**
 * Formats that this version reads. New in the second: segments of the journal with edits, a signature in one string,
 * and files of versions with fewer bytes, which are the only ones that say no purpose. New in the third: where the
 * pointers of readers stand (`pointers.ts`), and even fewer bytes of a version.
 */
export type Format = 1 | 2 | 3;
export const newest = 3;

/** Bytes of an encrypted file, and so of any text but a state. */
export const sizeLimit = 64 * 1024 * 1024;

/** Bytes of a state once decompressed: a hundred thousand secrets are some ninety megabytes. */
const plainLimit = 256 * 1024 * 1024;

export type Purpose = 'state' | 'version' | 'spool';

/** What is sealed. Plain JSON values only; a `Secret` among them would be sealed as `[secret]`. */
export interface Contents {
  purpose: Purpose;
  /** Of all but a version of format 2 and later. */
  repo?: string;
  /** The first unless said otherwise: what an older keyturn can read says so. */
  fmt?: Format;
  [field: string]: unknown;
}

export interface Envelope extends Contents {
  fmt: Format;
}

export interface Signature {
  kid: string;
  ed25519: Buffer;
}

const isCompressed = (purpose: unknown): boolean => purpose === 'state';

/**
 * The text of `contents`, signed. State is gzipped, everything else plain; of a version of format 2 and later the length
 * of the value is hidden, as `padding` says.
 */
export function writeEnvelope(contents: Contents, signer: Signer): Buffer {
  const body = spelled({ fmt: 1, ...contents });
  const compressed = isCompressed(contents.purpose);
  const limit = compressed ? plainLimit : sizeLimit;
  const signed = utf8(body);
  if (signed.length > limit) throw tooBig(contents.purpose, limit);
  const sig = signatureText(signer.kid, signer.sign(signed), body.fmt);
  const plain = Buffer.concat([utf8({ ...body, sig }), Buffer.alloc(padding(contents), ' ')]);
  if (plain.length > limit) throw tooBig(contents.purpose, limit);
  return compressed ? gzipSync(plain) : plain;
}

export const tooBig = (purpose: Purpose, limit: number): KeyturnError =>
  new KeyturnError(purpose, `would be larger than the ${limit / 1024 / 1024} MiB that are ever read`, {
    code: 'TOO_BIG',
  });

/**
 * What `bytes` say, who is said to have signed it, and, after `domain`, what was signed. Throws KeyturnError (`DAMAGED`)
 * for any spelling but our own, and `NEWER_FORMAT`.
 */
export async function readEnvelope(
  bytes: Uint8Array,
  place: string,
): Promise<{ envelope: Envelope; sig: Signature; signed: Uint8Array }> {
  const compressed = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const whole = compressed ? await inflate(bytes, domain, plainLimit) : Buffer.concat([domain, bytes]);
  if (whole === 'too large') throw damaged(place, 'is larger than 256 MiB once decompressed');
  const spaces = whole === 'damaged' ? 0 : trailing(whole, ' ');
  const json = whole === 'damaged' ? whole : whole.subarray(0, whole.length - spaces);
  let parsed: unknown;
  let canonical = false;
  try {
    if (json !== 'damaged') ({ value: parsed, canonical } = readCanonical(json.subarray(domain.length)));
  } catch {
    // no JSON at all
  }
  if (json === 'damaged' || !isObject(parsed)) throw damaged(place, 'does not hold what keyturn writes');
  if (typeof parsed.fmt === 'number' && parsed.fmt > newest) {
    throw new KeyturnError(place, 'was written by a newer keyturn', {
      code: 'NEWER_FORMAT',
      hint: 'upgrade keyturn; nothing was changed',
    });
  }
  const { sig: text, ...body } = parsed;
  const envelope = Object.hasOwn(body, 'purpose') ? body : { purpose: 'version', ...body };
  const sig = parsedSignature(text, body.fmt);
  if (
    !isEnvelope(envelope) ||
    isCompressed(envelope.purpose) !== compressed ||
    Object.keys(spelled(envelope)).length !== Object.keys(body).length ||
    sig === null ||
    !canonical ||
    spaces !== padding(envelope)
  ) {
    throw damaged(place, 'does not hold what keyturn writes');
  }
  return { envelope, sig, signed: withoutSignature(json, body, text) };
}

function trailing(bytes: Buffer, character: ' '): number {
  let from = bytes.length;
  while (from > 0 && bytes[from - 1] === character.charCodeAt(0)) from -= 1;
  return bytes.length - from;
}

/**
 * What was signed, after its domain. Where the signature is the last field, as in a state of many megabytes, it is
 * taken out of `whole` itself, which nobody reads any more.
 */
function withoutSignature(whole: Buffer, body: Record<string, unknown>, sig: unknown): Uint8Array {
  const end = Buffer.from(`,"sig":${canonicalize(sig)}}`);
  const from = whole.length - end.length;
  if (from < 0 || !whole.subarray(from).equals(end)) return Buffer.concat([domain, utf8(body)]);
  whole.write('}', from);
  return whole.subarray(0, from + 1);
}

/** What stands in the file: only a version of format 2 and later says no purpose. */
function spelled({ purpose, ...rest }: Contents): Record<string, unknown> {
  return purpose === 'version' && isBrief(rest.fmt) ? rest : { purpose, ...rest };
}

const isBrief = (fmt: unknown): boolean => fmt === 2 || fmt === 3;

/**
 * How many spaces follow the JSON of a version: as many as the value, spelled in JSON, lacks to the next multiple of
 * 32 bytes, and to 32 at least; of format 2 64, and of the first none. Whoever sees how large the file is learns that
 * multiple and no more of the value; everything else in there is public.
 */
function padding({ purpose, fmt, value }: Record<string, unknown>): number {
  if (purpose !== 'version' || !isBrief(fmt)) return 0;
  const bucket = fmt === 2 ? 64 : 32;
  const length = utf8(value).length - '""'.length;
  return Math.max(bucket, Math.ceil(length / bucket) * bucket) - length;
}

const utf8 = (value: unknown): Buffer => Buffer.from(canonicalize(value) ?? '');

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isEnvelope = (value: Record<string, unknown>): value is Envelope =>
  (value.fmt === 1 || isBrief(value.fmt)) &&
  (value.purpose === 'state' || value.purpose === 'version' || value.purpose === 'spool') &&
  (typeof value.repo === 'string') !== (value.purpose === 'version' && isBrief(value.fmt));

const signatureText = (kid: string, bytes: Uint8Array, fmt: unknown): unknown => {
  const base64 = (of: 'base64' | 'base64url'): string => Buffer.from(bytes).toString(of);
  return fmt === 1 ? { kid, ed25519: base64('base64') } : `${kid}:${base64('base64url')}`;
};

/** Null for what `signatureText` never gives. */
function parsedSignature(sig: unknown, fmt: unknown): Signature | null {
  const [kid, text] =
    fmt !== 1 && typeof sig === 'string' ? sig.split(':') : isObject(sig) ? [sig.kid, sig.ed25519] : [];
  if (typeof kid !== 'string' || typeof text !== 'string' || !isKid(kid)) return null;
  const ed25519 = Buffer.from(text, 'base64');
  const is = ed25519.length === 64 && canonicalize(signatureText(kid, ed25519, fmt)) === canonicalize(sig);
  return is ? { kid, ed25519 } : null;
}
