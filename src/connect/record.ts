/**
 * A session on record, from before it begins until after it has ended: pushed by compare-and-swap, so that of two
 * exclusive sessions one alone begins, and renewed while it lasts. It needs the right to push, and no key.
 */
import type { Clock } from '../clock.ts';
import { KeyturnError } from '../errors.ts';
import type { Tip } from '../git/contract.ts';
import type { GitRepository } from '../git/open.ts';
import { currentPath, parseCurrent, readPointers } from '../state/pointers.ts';
import {
  endOf,
  readSessions,
  type SessionFile,
  sessionFolder,
  sessionLease,
  sessionWrite,
} from '../state/sessions.ts';

/** Pushes that may come first before somebody is asked to try again. */
const tries = 8;

export interface OnRecord {
  /** The promoted version when it began. */
  current: number | null;
  /** Says that it goes on. The version that is current now, or null where the remote did not answer. */
  renew(): Promise<number | null>;
  /** Says that it has ended. Null where that could not be said, so that its lease has to run out; else as `renew`. */
  close(unused: boolean): Promise<{ current: number | null } | null>;
}

/** Puts it on record. Throws KeyturnError: no right to push (1), somebody else's exclusive session or a rotation (75). */
export async function putOnRecord(
  repository: GitRepository,
  clock: Clock,
  session: Omit<SessionFile, 'openedAt' | 'renewedAt'>,
): Promise<OnRecord> {
  const openedAt = clock.now().toISOString();
  let file: SessionFile = { ...session, openedAt, renewedAt: openedAt };
  const began = await push(repository, file, 'open', (tip) => refuseBusy(repository, tip, file, clock.now()));
  return {
    current: await currentAt(repository, began, file.secret),
    renew: async () => {
      file = { ...file, renewedAt: clock.now().toISOString() };
      try {
        const tip = await push(repository, file, 'renew');
        return await currentAt(repository, tip, file.secret);
      } catch (error) {
        if (error instanceof KeyturnError) return null;
        throw error;
      }
    },
    close: async (unused) => {
      const at = clock.now().toISOString();
      file = { ...file, renewedAt: at, closedAt: at, ...(unused ? { unused: true as const } : {}) };
      try {
        const tip = await push(repository, file, 'close');
        return { current: await currentAt(repository, tip, file.secret) };
      } catch (error) {
        if (error instanceof KeyturnError) return null;
        throw error;
      }
    },
  };
}

async function push(
  repository: GitRepository,
  file: SessionFile,
  verb: string,
  check: (tip: Tip) => Promise<void> = async () => undefined,
): Promise<Tip> {
  for (let attempt = 1; ; attempt += 1) {
    const base = await repository.fetch();
    await check(base);
    const outcome = await repository.publish({
      base,
      writes: [sessionWrite(file)],
      subject: `keyturn: ${verb} a session on ${file.secret}`,
      body: `${file.by}, ${file.protocol} to ${file.host}`,
    });
    if (outcome.r === 'published') return outcome.tip;
    if (outcome.r === 'refused')
      throw new KeyturnError(repository.place, `refused the record of the session: ${outcome.detail}`, {
        hint: 'a session needs the right to push there',
      });
    if (outcome.r === 'unknown' || attempt === tries)
      throw new KeyturnError(
        repository.place,
        outcome.r === 'moved' ? 'moved meanwhile, again and again' : outcome.detail,
        { hint: 'run it again', exit: 75 },
      );
  }
}

/** Every session open at a tip. */
export async function openSessions(repository: GitRepository, tip: Tip, now: Date): Promise<SessionFile[]> {
  const listed = await repository.list(tip, [sessionFolder]);
  const blobs = await repository.read([...listed.values()]);
  const files = new Map([...listed].map(([path, oid]) => [path, blobs.get(oid) ?? new Uint8Array()]));
  return readSessions(files).filter((file) => endOf(file, now) === null);
}

/**
 * One at a time where either side wants that. A version newer than the promoted one is about to be set, which an
 * exclusive session must not meet; the other half is the engine's fence, which sees our file.
 */
async function refuseBusy(repository: GitRepository, tip: Tip, mine: SessionFile, now: Date): Promise<void> {
  const { secret, id } = mine;
  const others = (await openSessions(repository, tip, now)).filter(
    (other) => other.secret === secret && other.id !== id && (other.exclusive || mine.exclusive),
  );
  const [other] = others;
  if (other !== undefined) {
    const until = new Date(Date.parse(other.renewedAt) + sessionLease).toISOString().slice(11, 16);
    throw new KeyturnError(
      secret,
      `is in use by ${other.by} from ${other.from}, and one session goes at a time`,
      {
        hint: `try again when they have left; without a sign of life it ends at ${until} UTC`,
        exit: 75,
      },
    );
  }
  if (!mine.exclusive) return;
  const versions = [...(await repository.list(tip, [`values/${secret}`])).keys()];
  const newest = Math.max(0, ...versions.map((path) => Number(/\/(\d+)\.age$/.exec(path)?.[1] ?? 0)));
  const current = await currentAt(repository, tip, secret);
  if (current !== null && newest > current)
    throw new KeyturnError(
      secret,
      `is being rotated to v${newest}, and an exclusive session would meet that`,
      {
        hint: `try again when keyturn show ${secret} shows nothing pending`,
        exit: 75,
      },
    );
}

async function currentAt(repository: GitRepository, tip: Tip, secret: string): Promise<number | null> {
  const path = currentPath(secret);
  const bytes = (await readPointers((paths) => repository.readFiles(tip, paths), [path])).get(path);
  return bytes === undefined ? null : parseCurrent(bytes, path);
}
