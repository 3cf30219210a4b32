/**
 * Rollback detection (protocol A4, A5): remembers on this machine, or in the CI cache, how far a journal had
 * come, so that a force-push to an older state, another state or none at all is seen. Only a hint in the
 * attacker's way: a machine that has never seen the repository cannot tell.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { KeyturnError } from '../errors.ts';
import type { State } from './model.ts';
import { idPattern, sha256 } from './record-shape.ts';
import { objectOf, text, whole } from './shape.ts';

type Lineage = Pick<State, 'repo' | 'serial' | 'head'>;

const shape = objectOf<Lineage>({ repo: text(idPattern), serial: whole(1), head: sha256 });

/** Where lineages are remembered: below $XDG_CACHE_HOME or ~/.cache. */
export function lineageDir(env: NodeJS.ProcessEnv, home: string): string {
  const configured = env.XDG_CACHE_HOME;
  return join(configured && isAbsolute(configured) ? configured : join(home, '.cache'), 'keyturn');
}

/**
 * Throws KeyturnError (`ROLLED_BACK`, exit 3) when `state` is older than, or another one than, what was remembered
 * for `key`, which tells remotes and refs apart. An absent or unreadable memory is none.
 */
export async function checkLineage(state: Lineage, cacheDir: string, key: string): Promise<void> {
  const file = cacheFile(cacheDir, key);
  const seen = await recall(file);
  const problem = seen && difference(seen, state);
  if (!problem) return;
  throw new KeyturnError('state', problem, {
    code: 'ROLLED_BACK',
    exit: 3,
    hint: `restore the branch that holds it; if somebody put it back on purpose, delete ${file}`,
  });
}

/** Remembers `state` for `key`, unless a newer one of the same lineage is. Atomic; a cache that cannot be written is none. */
export async function rememberLineage(state: Lineage, cacheDir: string, key: string): Promise<void> {
  const { repo, serial, head } = state;
  if (serial === 0) return;
  const file = cacheFile(cacheDir, key);
  const draft = `${file}.${randomUUID()}`;
  try {
    const seen = await recall(file);
    if (seen && seen.repo === repo && seen.serial >= serial) return;
    await mkdir(cacheDir, { recursive: true, mode: 0o700 });
    await writeFile(draft, `${JSON.stringify({ repo, serial, head })}\n`, { mode: 0o600, flag: 'wx' });
    await rename(draft, file);
  } catch {
    await rm(draft, { force: true }).catch(() => undefined);
  }
}

function difference(seen: Lineage, state: Lineage): string | null {
  if (state.serial === 0) return `is gone, and had serial ${seen.serial} when it was last seen from here`;
  if (state.repo !== seen.repo) return 'is not the one that was last seen from here, but was started anew';
  if (state.serial < seen.serial) return `went back from serial ${seen.serial} to ${state.serial}`;
  if (state.serial === seen.serial && state.head !== seen.head) {
    return `has another content at serial ${state.serial} than when it was last seen from here`;
  }
  return null;
}

async function recall(file: string): Promise<Lineage | null> {
  try {
    const parsed: unknown = JSON.parse(await readFile(file, 'utf8'));
    return shape(parsed, '') === null ? (parsed as Lineage) : null;
  } catch {
    return null;
  }
}

const cacheFile = (cacheDir: string, key: string): string =>
  join(cacheDir, `${createHash('sha256').update(key).digest('hex').slice(0, 32)}.json`);
