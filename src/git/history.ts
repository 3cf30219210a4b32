import type { Oid } from './contract.ts';
import { type Git, text } from './plumbing.ts';

/** True when `commit` is `tip` or an ancestor of it, as far as the history here reaches. */
export async function isBelow(git: Git, commit: Oid, tip: Oid): Promise<boolean> {
  // every best common ancestor, because criss-cross merges have several
  const bases = text(await git.run(['merge-base', '--all', commit, tip])).split('\n');
  return bases.includes(commit);
}

export interface Head {
  /** null on an unborn branch. */
  commit: Oid | null;
  /** Full name of the checked-out branch, e.g. `refs/heads/main`; null when HEAD is detached. */
  ref: string | null;
}

export async function readHead(git: Git): Promise<Head> {
  const [commit, ref] = await Promise.all([
    git.run(['rev-parse', '--verify', '--quiet', 'HEAD^{commit}']),
    git.run(['symbolic-ref', '--quiet', 'HEAD']),
  ]);
  return { commit: text(commit) || null, ref: text(ref) || null };
}

export const shortName = (ref: string): string => ref.replace(/^refs\/heads\//, '');
