/** Every segment that the branch's history still holds: the audit trail, checked signature by signature, link by link. */
import { KeyturnError } from '../errors.ts';
import type { Tip } from '../git/contract.ts';
import type { Identity } from './identity.ts';
import type { SecretRecord } from './model.ts';
import { digest, tampered } from './sealed.ts';
import { openSegment, type Segment, step } from './segment.ts';

/** What the walk needs of git. */
export interface History {
  everAdded(tip: Tip, folder: string): Promise<Map<string, Uint8Array>>;
}

/** A segment, with the records that it wrote or changed as they were from then on. */
export type Walked = Omit<Segment, 'put' | 'patch'> & { records: ReadonlyMap<string, SecretRecord> };

/**
 * Oldest first. In a shallow clone the walk begins where the history does: its oldest commit still has the snapshot
 * that was the newest then. Throws KeyturnError (exit 3) at the first segment that is missing, not signed by a trusted
 * key, not linked to the one before, or not what `append` writes after that.
 */
export async function walkHistory(history: History, tip: Tip, identity: Identity): Promise<Walked[]> {
  const files = [...(await history.everAdded(tip, 'state'))].sort(([a], [b]) => (a < b ? -1 : 1));
  const segments: Walked[] = [];
  const records = new Map<string, SecretRecord>();
  let head: string | null = null;
  for (const [path, bytes] of files) {
    const serial = Number(/^state\/(\d{8})\.age$/.exec(path)?.[1] ?? 0);
    if (serial === 0) throw tampered(path, 'is no file that keyturn writes');
    const opened: Segment | null = await openSegment(bytes, { path, serial, identity }).then(
      ({ segment }) => segment,
      (error: unknown) => {
        if (error instanceof KeyturnError && error.code === 'NO_IDENTITY' && segments.length === 0)
          return null;
        throw error;
      },
    );
    if (!opened) continue;
    const before = segments.at(-1);
    if (before && before.serial + 1 !== serial)
      throw tampered(path, `follows serial ${before.serial}: some are missing`);
    if (head !== null && opened.prev !== head)
      throw tampered(path, 'does not follow from the file before it');
    if (!before && opened.kind !== 'snapshot')
      throw tampered(path, 'is the oldest file of the state, but no snapshot: older ones are missing');
    const { put: _, patch: __, ...segment } = opened;
    segments.push({ ...segment, records: step(records, opened, path) });
    head = digest(bytes);
  }
  return segments;
}
