/**
 * Sessions of people on targets. While one is open, a file in `requests/sessions/` says so, pushed by whoever opened it
 * and renewed until it ends: it needs no right but to push, and everybody with a clone can see it. Apply takes the
 * files into the records, signed, and removes those that have ended. Anybody who may push may write such a file, so it
 * proves nothing but the wish to rotate, or to wait for an hour at most.
 */
import type { Write } from '../git/contract.ts';

export interface SessionFile {
  id: string;
  secret: string;
  /** The version that was current. */
  version: number;
  /** The person, as git knows them: `Alice <alice@example.org>`. */
  by: string;
  /** Their machine and user there. */
  from: string;
  protocol: string;
  /** Where to: `db.internal:3306`, or an address. */
  host: string;
  exclusive: boolean;
  /** ISO times. */
  openedAt: string;
  renewedAt: string;
  closedAt?: string;
  /** It ended before the target had let anybody in. */
  unused?: true;
}

/** What a record keeps of one. */
export interface SessionNote extends Omit<SessionFile, 'secret' | 'renewedAt' | 'closedAt'> {
  endedAt?: string;
  /** `left`: said so; `lapsed`: its process died, or lost the remote; `gone`: its file was removed. */
  end?: 'left' | 'lapsed' | 'gone';
}

/** A session without a sign of life for so long has ended then. Milliseconds. */
export const sessionLease = 60 * 60_000;
/** A sign of life may be this far ahead of our clock. */
const skew = 5 * 60_000;
/** Sessions that have ended stay in the record up to this number; the journal keeps them all. */
const remembered = 10;

export const sessionFolder = 'requests/sessions';

export const sessionPath = (id: string): string => `${sessionFolder}/${id}.json`;

export const sessionWrite = (file: SessionFile): Write => ({
  path: sessionPath(file.id),
  bytes: Buffer.from(`${JSON.stringify(file, null, 2)}\n`),
});

/** What the files at a tip say, oldest first; whatever is no session is left alone. */
export function readSessions(files: ReadonlyMap<string, Uint8Array>): SessionFile[] {
  return [...files]
    .flatMap(([path, bytes]) => parse(path, bytes) ?? [])
    .sort((a, b) => (a.openedAt < b.openedAt ? -1 : 1));
}

/** How and when it ended; null while it goes on. */
export function endOf(file: SessionFile, now: Date): Required<Pick<SessionNote, 'endedAt' | 'end'>> | null {
  if (file.closedAt !== undefined) return { endedAt: file.closedAt, end: 'left' };
  const renewed = Date.parse(file.renewedAt);
  if (renewed > now.getTime() + skew) return { endedAt: now.toISOString(), end: 'lapsed' };
  const lapses = renewed + sessionLease;
  return lapses > now.getTime() ? null : { endedAt: new Date(lapses).toISOString(), end: 'lapsed' };
}

export const noteOf = (file: SessionFile, now: Date): SessionNote => {
  const { secret: _, renewedAt: __, closedAt: ___, ...kept } = file;
  return { ...kept, ...endOf(file, now) };
};

/** Sessions of one secret as of now, oldest first: what its record knows, and what files say beyond. */
export function sessionsOf(
  noted: readonly SessionNote[],
  files: readonly SessionFile[],
  now: Date,
): SessionNote[] {
  const found = new Map(files.map((file) => [file.id, noteOf(file, now)]));
  const old = noted.map((note): SessionNote => {
    const newer = found.get(note.id);
    if (note.endedAt !== undefined) return note;
    return newer ?? { ...note, endedAt: now.toISOString(), end: 'gone' };
  });
  const known = new Set(noted.map(({ id }) => id));
  const fresh = [...found.values()].filter(({ id }) => !known.has(id));
  const all = [...old, ...fresh].sort((a, b) => (a.openedAt < b.openedAt ? -1 : 1));
  const ended = all.filter(({ endedAt }) => endedAt !== undefined);
  const forgotten = new Set(ended.slice(0, Math.max(0, ended.length - remembered)).map(({ id }) => id));
  return all.filter(({ id }) => !forgotten.has(id));
}

function parse(path: string, bytes: Uint8Array): SessionFile | null {
  if (bytes.length > 4096) return null;
  try {
    const all = JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>;
    const text = (key: string): string => {
      const value = all[key];
      if (typeof value !== 'string' || value.length > 300) throw new TypeError(key);
      return value;
    };
    const time = (key: string): string => new Date(text(key)).toISOString();
    const { version, exclusive } = all;
    const id = text('id');
    if (sessionPath(id) !== path || !/^[0-9A-Za-z]{1,40}$/.test(id)) return null;
    if (typeof version !== 'number' || !Number.isSafeInteger(version) || version < 1) return null;
    return {
      id,
      secret: text('secret'),
      version,
      by: text('by'),
      from: text('from'),
      protocol: text('protocol'),
      host: text('host'),
      exclusive: exclusive === true,
      openedAt: time('openedAt'),
      renewedAt: time('renewedAt'),
      ...(all.closedAt === undefined ? {} : { closedAt: time('closedAt') }),
      ...(all.unused === true ? { unused: true as const } : {}),
    };
  } catch {
    return null;
  }
}
