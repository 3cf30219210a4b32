import { hash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { RotatedSecret } from './model.ts';

/** What `specDigest` does not cover: who reads it or has sessions with it, who is told, what people call it, where it stands. */
type Uncovered =
  | 'access'
  | 'readers'
  | 'description'
  | 'tags'
  | 'source'
  | 'notify'
  | 'ownSchedule'
  | 'specDigest';

/**
 * `sha256:<hex>` over the RFC 8785 form of everything that says how a secret is rotated. Keys that are undefined
 * count as absent, so that a field added to the model later leaves old digests as they were.
 */
export function specDigest(secret: Omit<RotatedSecret, Uncovered>): string {
  const parts = secret as unknown as Record<string, unknown>;
  const members = Object.keys(parts)
    .filter((key) => parts[key] !== undefined)
    .sort()
    .map((key) => `"${key}":${spelled(parts[key])}`);
  return `sha256:${hash('sha256', `{${members.join()}}`)}`;
}

/** Parts that many secrets share are frozen, and spelled once. */
const known = new WeakMap<object, string>();

function spelled(part: unknown): string {
  if (typeof part !== 'object' || part === null) return canonicalize(part) ?? '';
  const before = known.get(part);
  if (before !== undefined) return before;
  const text = canonicalize(part) ?? '';
  if (Object.isFrozen(part)) known.set(part, text);
  return text;
}
