import { createHash } from 'node:crypto';
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
  const canonical = canonicalize(secret) ?? '';
  return `sha256:${createHash('sha256').update(canonical).digest('hex')}`;
}
