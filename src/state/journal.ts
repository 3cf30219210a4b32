/**
 * The state on disk (protocol §8): `state/00000041.age`, a snapshot, and one segment per push after it, each
 * naming the digest of the one before. Reading is strict, because the state decides what is set at targets:
 * whatever `append` would not have written is refused, and nothing is repaired on the way.
 */
import { fingerprint } from '../age/fingerprint.ts';
import { KeyturnError } from '../errors.ts';
import type { Write } from '../git/contract.ts';
import { type Format, newest } from './envelope.ts';
import type { Identity } from './identity.ts';
import type { SecretRecord, State } from './model.ts';
import { digest, misplaced, seal, tampered } from './sealed.ts';
import { changes, openSegment, refuseOdd, type Segment, segmentProblem, step } from './segment.ts';
import type { Signer } from './signing.ts';

export interface Folded {
  state: State;
  /** What the tree holds: a snapshot and `count` segments after it. */
  tail: {
    count: number;
    /** Sizes of the segments together. */
    bytes: number;
    snapshotBytes: number;
    /** Of the newest file; 0 where there is none. */
    fmt: Format | 0;
    /** Fingerprints that the newest file is sealed to. */
    readers: string[];
    /** Oldest first, the snapshot included. */
    paths: string[];
  };
}

/** `put` are records as they become; `drop` names uids, absent ones included. No uid in both. */
export interface JournalChange {
  put: SecretRecord[];
  drop: string[];
}

/**
 * A tail beyond these is replaced by a snapshot with the next push. Each snapshot says again what every record says, so
 * the longer they are put off the less a rotation adds to git; and every run opens the whole tail, some hundredths of a
 * second for each hundred segments of a few changes.
 */
const longestTail = 128;
const largestTail = (snapshotBytes: number): number => Math.max(4 * snapshotBytes, 64 * 1024);
const lastSerial = 99_999_999;

/** `state/00000041.age`. */
export const segmentPath = (serial: number): string => `state/${String(serial).padStart(8, '0')}.age`;

/**
 * The state that the files of `state/` (path -> bytes) add up to; the empty state for none. Throws KeyturnError
 * naming the first file that is wrong: what `open` of `sealed.ts` throws, and exit 3 for a file too many, a
 * missing one, a broken chain, or a record that is none. The newest snapshot vouches for what came before it.
 */
export async function fold(files: ReadonlyMap<string, Uint8Array>, identity: Identity): Promise<Folded> {
  const names = journalNames([...files.keys()]);
  const opened = await Promise.allSettled(
    names.map(({ path, serial }) =>
      openSegment(files.get(path) ?? new Uint8Array(), { path, serial, identity }),
    ),
  );
  let folded: Folded = { state: { repo: '', serial: 0, head: '', records: {} }, tail: emptyTail };
  const records = new Map<string, SecretRecord>();
  /** Where each record was changed last: once for all its changes it is looked at. */
  const changed = new Map<string, string>();

  for (const [index, { path }] of names.entries()) {
    const result = opened[index];
    if (result?.status !== 'fulfilled') throw result?.reason;
    const { segment, bytes } = result.value;
    const { state } = folded;
    if (segment.kind === 'snapshot' && index > 0) {
      throw tampered(names[0]?.path ?? path, `is older than the snapshot ${path}, which replaced it`);
    }
    if (segment.kind === 'segment' && index === 0) {
      throw tampered(path, 'is the oldest file of the state, but no snapshot: older ones are missing');
    }
    if (index > 0 && segment.repo !== state.repo)
      throw misplaced(path, 'belongs to the state of another repository');
    if (index > 0 && segment.prev !== state.head)
      throw tampered(path, 'does not follow from the file before it');
    step(records, segment, path, (_, uid) => changed.set(uid, path));
    folded = {
      state: { repo: segment.repo, serial: segment.serial, head: digest(bytes), records: {} },
      tail: longer(folded.tail, segment, path, bytes.length),
    };
  }
  for (const [uid, path] of changed) {
    const record = records.get(uid);
    if (record !== undefined) refuseOdd(record, uid, path);
  }
  return { ...folded, state: { ...folded.state, records: sorted(records) } };
}

/**
 * What to write so that the state becomes `folded` with `change`, and what it folds to then. One new segment; or,
 * for the first write, a tail that has grown too long, or other recipients, who can read only what is written
 * from then on, a snapshot that replaces every older file.
 */
export async function append(
  folded: Folded,
  change: JournalChange,
  options: {
    signer: Signer;
    recipients: string[];
    at: Date;
    /** For the history, e.g. `host:user`. */
    by: string;
    /** Names a new lineage; called for the first write only. */
    newRepo: () => string;
  },
): Promise<{ writes: Write[]; next: Folded }> {
  const { signer, recipients, at, by } = options;
  const { state, tail } = folded;
  const serial = state.serial + 1;
  if (serial > lastSerial) {
    throw new KeyturnError('state', `has reached its last serial, ${lastSerial}`, {
      exit: 3,
      hint: 'start a new repository',
    });
  }
  const drop = [...new Set(change.drop)].sort();
  const readers = [...new Set(recipients.map(fingerprint))].sort();
  const isSnapshot =
    readers.join() !== tail.readers.join() ||
    state.serial === 0 ||
    tail.count > longestTail ||
    tail.bytes > largestTail(tail.snapshotBytes);
  const draft: Segment = {
    fmt: newest,
    purpose: 'state',
    repo: state.serial === 0 ? options.newRepo() : state.repo,
    serial,
    prev: state.head,
    kind: 'snapshot',
    at: at.toISOString(),
    by,
    readers,
    put: Object.fromEntries(change.put.map((record) => [record.uid, record])),
    drop,
  };
  const wrong =
    change.put.length === Object.keys(draft.put).length ? segmentProblem(draft, 'segment') : 'segment.put';
  if (wrong !== null) throw new Error(`append of a malformed change: ${wrong}`);
  const records = new Map(Object.entries(state.records));
  const segment: Segment = { ...draft, kind: 'segment', ...changes(records, change.put) };
  step(records, segment, segmentPath(serial));
  const all = sorted(records);
  const contents: Segment = isSnapshot ? { ...draft, put: all, drop: [] } : segment;
  const bytes = await seal({ ...contents }, { recipients, signer });
  const path = segmentPath(serial);
  const removed = isSnapshot ? tail.paths.map((old) => ({ path: old, bytes: null })) : [];
  return {
    writes: [...removed, { path, bytes }],
    next: {
      state: { repo: draft.repo, serial, head: digest(bytes), records: all },
      tail: longer(tail, contents, path, bytes.length),
    },
  };
}

/** Whether a tree with these paths has the files that `folded` adds up, and none that somebody added to them. */
export function isWhole({ tail }: Folded, paths: readonly string[]): boolean {
  const there = new Set(paths.filter((path) => path.startsWith('state/')));
  return there.size === tail.paths.length && tail.paths.every((path) => there.has(path));
}

const emptyTail: Folded['tail'] = { count: 0, bytes: 0, snapshotBytes: 0, fmt: 0, readers: [], paths: [] };

function longer(
  tail: Folded['tail'],
  { kind, fmt, readers }: Pick<Segment, 'kind' | 'fmt' | 'readers'>,
  path: string,
  size: number,
): Folded['tail'] {
  if (kind === 'snapshot') return { count: 0, bytes: 0, snapshotBytes: size, fmt, readers, paths: [path] };
  return { ...tail, count: tail.count + 1, bytes: tail.bytes + size, fmt, paths: [...tail.paths, path] };
}

function journalNames(paths: string[]): { path: string; serial: number }[] {
  const names = paths
    .sort()
    .map((path) => ({ path, serial: Number(/^state\/(\d{8})\.age$/.exec(path)?.[1] ?? 0) }));
  for (const [index, { path, serial }] of names.entries()) {
    if (serial === 0) throw tampered(path, 'is no file that keyturn writes');
    const before = names[index - 1];
    if (before && before.serial + 1 !== serial) throw tampered(segmentPath(before.serial + 1), 'is missing');
  }
  return names;
}

function sorted(records: Map<string, SecretRecord>): Record<string, SecretRecord> {
  return Object.fromEntries([...records].sort(([a], [b]) => (a < b ? -1 : 1)));
}
