/**
 * Where a new value waits, sealed to its readers, until the remote has it (protocol R5, §7.4). A spool file belongs
 * to one claim at a time: whoever takes it over takes it away from the former owner, who then knows that its key
 * may be adopted and leaves it alone.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { KeyturnError } from '../errors.ts';
import type { GitRepository } from '../git/open.ts';

/** A version number is never used twice, so this names one rotation for good. */
export interface SpoolKey {
  repo: string;
  uid: string;
  v: number;
}

export interface Spool {
  /** Throws where nothing could be kept: before anything is made. */
  check(): Promise<void>;
  /** On the disk for good when it returns. */
  put(key: SpoolKey, claim: string, bytes: Uint8Array): Promise<void>;
  /** What was put last, which belongs to `claim` from now on; null: nothing. */
  take(key: SpoolKey, claim: string): Promise<Uint8Array | null>;
  /** Removes it if it still is `claim`'s, and says whether it was. */
  drop(key: SpoolKey, claim: string): Promise<boolean>;
}

/** The same in the remote, on a ref of its own, where the branch refuses the push. */
export interface Spill {
  /** Null where it is now; else why not. */
  put(key: SpoolKey, claim: string, bytes: Uint8Array): Promise<string | null>;
  find(key: SpoolKey): Promise<Uint8Array | null>;
  drop(key: SpoolKey): Promise<void>;
}

export function diskSpool(folder: string): Spool {
  const place = ({ repo, uid, v }: SpoolKey): string => join(folder, `${repo}.${uid}.${v}`);
  const write = async (path: string, bytes: Uint8Array): Promise<void> => {
    const file = await open(path, 'wx', 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
  };
  const sync = async (path: string): Promise<void> => {
    const handle = await open(path, 'r');
    await handle.sync().finally(() => handle.close());
  };
  let checked: Promise<void> | undefined;
  const writable = async (): Promise<void> => {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const probe = join(folder, `${randomUUID()}.part`);
    await write(probe, new Uint8Array(4096)).finally(() => rm(probe, { force: true }));
  };
  return {
    check() {
      checked ??= writable().catch(() => {
        checked = undefined;
        throw new KeyturnError(folder, 'cannot be written, and a new value would have no place to wait', {
          hint: 'free some space, or give this user the right to write there',
        });
      });
      return checked;
    },
    async put(key, claim, bytes) {
      await mkdir(place(key), { recursive: true, mode: 0o700 });
      const path = join(place(key), `${claim}.age`);
      const draft = `${path}.${randomUUID()}.part`;
      await write(draft, bytes);
      await rename(draft, path);
      for (const dir of [place(key), folder]) await sync(dir);
    },
    async take(key, claim) {
      const mine = join(place(key), `${claim}.age`);
      const files = (await readdir(place(key)).catch(() => [])).filter((name) => name.endsWith('.age'));
      for (const name of files.sort().reverse()) {
        const moved = await rename(join(place(key), name), mine).then(
          () => true,
          () => false,
        );
        if (moved) return readFile(mine);
      }
      return null;
    },
    async drop(key, claim) {
      const was = await rm(join(place(key), `${claim}.age`)).then(
        () => true,
        () => false,
      );
      if (was) await rm(place(key), { recursive: true, force: true });
      return was;
    },
  };
}

export function spillTo({ side }: Pick<GitRepository, 'side'>): Spill {
  const prefix = ({ uid, v }: SpoolKey): string => `${uid}/${v}-`;
  return {
    put: (key, claim, bytes) => side.put(`${prefix(key)}${claim}`, bytes),
    find: async (key) => (await side.find(prefix(key)))[0] ?? null,
    drop: (key) => side.drop(prefix(key)),
  };
}
