/** One file of the journal: what it holds, what `append` never writes, and what it makes of the records before. */
import { damaged } from '../age/age.ts';
import type { Format } from './envelope.ts';
import type { Identity } from './identity.ts';
import type { SecretRecord } from './model.ts';
import { asWritten, type Edit, edited, editsBetween, editsProblem } from './patch.ts';
import { idPattern, instant, recordProblem, sha256 } from './record-shape.ts';
import { open } from './sealed.ts';
import { listOf, mapOf, objectOf, oneOf, text, whole } from './shape.ts';

export interface Segment {
  /** From 2 on a segment has a `patch`; from 3 on the pointers of readers stand beside the folders of values. */
  fmt: Format;
  purpose: 'state';
  repo: string;
  serial: number;
  /** Digest of the file before; empty for the very first. */
  prev: string;
  kind: 'segment' | 'snapshot';
  /** ISO time. */
  at: string;
  /** Who wrote it, for the history. */
  by: string;
  /** Fingerprints that it is sealed to, sorted: age files do not name them. */
  readers: string[];
  /** Whole records: all of a snapshot; new ones of a segment. Without a `patch` those that replace others, too. */
  put: Record<string, SecretRecord>;
  /** What changes of the records that exist; of a segment only. Older versions of keyturn wrote none. */
  patch?: Record<string, Edit[]>;
  drop: string[];
}

const fields = objectOf<Segment>({
  fmt: whole(1),
  purpose: oneOf('state'),
  repo: text(idPattern),
  serial: whole(1),
  prev: (value, at) => (value === '' ? null : sha256(value, at)),
  kind: oneOf('segment', 'snapshot'),
  at: instant,
  by: text(),
  readers: listOf(text(/^fp:[0-9a-f]{16}$/)),
  put: mapOf(idPattern, recordProblem),
  patch: { optional: mapOf(idPattern, editsProblem) },
  drop: listOf(text(idPattern)),
});

/** Where a value is no segment, or null. Whether its edits make sense, only `step` can tell. */
export function segmentProblem(value: unknown, at: string): string | null {
  const wrong = fields(value, at);
  if (wrong !== null) return wrong;
  const { fmt, kind, put, patch = {}, drop } = value as Segment;
  if ('patch' in (value as Segment) !== (fmt > 1 && kind === 'segment')) return `${at}.patch`;
  if (fmt === 2 && kind === 'snapshot') return `${at}.fmt`;
  const foreign = Object.keys(put).find((uid) => put[uid]?.uid !== uid);
  if (foreign !== undefined) return `${at}.put.${foreign}.uid`;
  const all = [...Object.keys(put), ...Object.keys(patch)];
  const once = new Set(all);
  if (once.size < all.length) return `${at}.patch`;
  return drop.some((uid) => once.has(uid)) ? `${at}.drop` : null;
}

/** One file of the journal by itself: signature, place and shape, but not its link to the one before. */
export async function openSegment(
  bytes: Uint8Array,
  of: { path: string; serial: number; identity: Identity },
): Promise<{ segment: Segment; bytes: Uint8Array }> {
  const { path: place, serial, identity } = of;
  const { envelope } = await open(bytes, { identity, place, expect: { purpose: 'state', serial } });
  const wrong = segmentProblem(envelope, 'state');
  if (wrong !== null) throw damaged(place, `does not hold what keyturn writes, at ${wrong}`);
  return { segment: envelope as unknown as Segment, bytes };
}

/**
 * Brings `records` from the step before to this one; a snapshot is all there is. Returns the records that it writes
 * or changes, whole. Throws KeyturnError (exit 3) where the segment does not fit what was before, and what `judge` throws
 * of a record that it changes: whoever only wants to know where many steps lead judges what they end with.
 */
export function step(
  records: Map<string, SecretRecord>,
  { fmt, kind, put, patch = {}, drop }: Segment,
  place: string,
  judge: (record: SecretRecord, uid: string, place: string) => void = refuseOdd,
): Map<string, SecretRecord> {
  if (kind === 'snapshot') records.clear();
  const written = new Map(Object.entries(put));
  const again = fmt === 1 ? undefined : [...written.keys()].find((uid) => records.has(uid));
  if (again !== undefined) throw damaged(place, `writes the record ${again}, which there is already`);
  for (const [uid, edits] of Object.entries(patch)) {
    const record = changed(records.get(uid), { uid, edits, place });
    judge(record, uid, place);
    written.set(uid, record);
  }
  const renames = [...written].some(([uid, { name }]) => records.get(uid)?.name !== name);
  for (const uid of drop) records.delete(uid);
  for (const [uid, record] of written) records.set(uid, record);
  const names = renames ? new Set(Array.from(records.values(), (record) => record.name)) : undefined;
  if (names !== undefined && names.size !== records.size)
    throw damaged(place, 'gives two records the same name');
  return written;
}

function changed(
  before: SecretRecord | undefined,
  { uid, edits, place }: { uid: string; edits: readonly Edit[]; place: string },
): SecretRecord {
  if (before === undefined) throw damaged(place, `changes the record ${uid}, which there is not`);
  const after = edited(before, edits);
  if (after === null) throw damaged(place, `changes the record ${uid} in a way that keyturn does not write`);
  return after as SecretRecord;
}

/** Throws KeyturnError (exit 3) for what edits have made of a record, where that is none. */
export function refuseOdd(record: SecretRecord, uid: string, place: string): void {
  const at = `state.patch.${uid}`;
  const wrong = recordProblem(record, at) ?? (record.uid === uid ? null : `${at}.uid`);
  if (wrong !== null) throw damaged(place, `does not hold what keyturn writes, at ${wrong}`);
}

/** `put` and `patch` of a segment: what is new, whole, and what changes of the rest. Equal records leave no trace. */
export function changes(
  records: ReadonlyMap<string, SecretRecord>,
  becoming: readonly SecretRecord[],
): Required<Pick<Segment, 'put' | 'patch'>> {
  const put: Segment['put'] = {};
  const patch: Record<string, Edit[]> = {};
  for (const record of becoming) {
    const before = records.get(record.uid);
    const edits = before && editsBetween(before, record);
    if (edits === undefined) put[record.uid] = asWritten(record);
    else if (edits.length > 0) patch[record.uid] = edits;
  }
  return { put, patch };
}
