/** Every segment that the branch's history still holds: the audit trail, checked signature by signature, link by link. */
import { KeyturnError } from '../errors.ts';
import type { Tip } from '../git/contract.ts';
import type { Identity } from './identity.ts';
import { openSegment, type Segment } from './journal.ts';
import { digest, tampered } from './sealed.ts';

/** What the walk needs of git. */
export interface History {
  everAdded(tip: Tip, folder: string): Promise<Map<string, Uint8Array>>;
}

/**
 * Oldest first. In a shallow clone the walk begins where the history does. Throws KeyturnError (exit 3) at the
 * first segment that is missing, not signed by a trusted key, or not linked to the one before.
 */
export async function walkHistory(history: History, tip: Tip, identity: Identity): Promise<Segment[]> {
  const files = [...(await history.everAdded(tip, 'state'))].sort(([a], [b]) => (a < b ? -1 : 1));
  const segments: Segment[] = [];
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
    segments.push(opened);
    head = digest(bytes);
  }
  return segments;
}
