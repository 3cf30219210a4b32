/**
 * Brings the user's checked-out branch to what keyturn published, when nothing of the user's is in the way
 * (protocol G10). Git's two-way merge of index and files does it wholly or touches nothing; no changed,
 * staged, untracked or ignored file is overwritten.
 */
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import type { Oid, Tip } from './contract.ts';
import { isBelow, readHead, shortName } from './history.ts';
import type { Place } from './place.ts';
import { type Git, lastWords, text } from './plumbing.ts';

/** The folders that keyturn writes; elsewhere its commits change nothing. */
const written = ['state', 'values', 'requests'];
/** How far back an interrupted run may have left the files of a repository without a remote. */
const lookBack = 64;

const users = { worktree: true };

/**
 * Null when nothing was needed, else what was done or why not and what to type. `from` is what `shownTree`
 * said before the first publication of this run; undefined when there was none.
 */
export async function follow(
  git: Git,
  place: Place,
  tip: Oid,
  from: Oid | null | undefined,
): Promise<string | null> {
  const head = await readHead(git);
  if (head.ref !== place.ref) return null;
  return place.hasRemote ? followRemote(git, place, tip, head.commit) : followRef(git, place, tip, from);
}

async function followRemote(git: Git, place: Place, tip: Oid, head: Oid | null): Promise<string | null> {
  const branch = shortName(place.ref);
  if (head !== null && (await isBelow(git, tip, head))) return null;
  if (head !== null && !(await isBelow(git, head, tip))) {
    return `${branch} has commits of its own and was left alone: run \`git pull --rebase\``;
  }
  const dirty = await git.run(['status', '--porcelain=v1', '-z', '--untracked-files=no'], users);
  if (dirty.code !== 0 || dirty.out.length > 0) {
    return `${branch} was left alone because of uncommitted changes: run \`git pull --ff-only\` when they are committed`;
  }
  const old = head ?? (await emptyTree(git));
  const moved = await merge(git, old, tip);
  if (moved !== null)
    return `${branch} was left alone (${moved}): run \`git pull --ff-only\` when that is out of the way`;
  const reason = 'keyturn: fast-forward';
  const update = await git.run(['update-ref', '-m', reason, place.ref, tip, head ?? '']);
  if (update.code !== 0) {
    await merge(git, tip, old);
    return `${branch} was left alone (${lastWords(update.err)}): run \`git pull --ff-only\``;
  }
  return `${branch} fast-forwarded to ${tip.slice(0, 7)}`;
}

/** Without a remote the publication moved the branch itself: only index and files are behind. */
async function followRef(
  git: Git,
  place: Place,
  tip: Oid,
  from: Oid | null | undefined,
): Promise<string | null> {
  const branch = shortName(place.ref);
  const shown = from === undefined ? await shownTree(git, tip) : from;
  if (shown === tip) return null;
  const moved = shown === null ? 'they were changed by hand' : await merge(git, shown, tip);
  if (moved === null) return `files brought to ${branch} ${tip.slice(0, 7)}`;
  return `${branch} has moved on but its files were left alone (${moved}): save your changes to ${written.join(', ')}, then run \`git checkout HEAD -- ${written.join(' ')}\``;
}

/**
 * The newest commit (or the empty tree) whose keyturn folders are the ones in the index: `base`, or an older
 * one when a run died before it could follow. Null when the index shows none of them.
 */
export async function shownTree(git: Git, base: Tip): Promise<Oid | null> {
  if (base === null) return emptyTree(git);
  const history = await git.run(['rev-list', '--first-parent', `--max-count=${lookBack}`, base]);
  const trees = text(history).split('\n');
  if (trees.length < lookBack) trees.push(await emptyTree(git));
  for (const tree of trees) {
    const same = await git.run(['diff-index', '--cached', '--quiet', tree, '--', ...written], users);
    if (same.code === 0) return tree;
  }
  return null;
}

/** Takes index and files from one tree to another, wholly or not at all; says what was in the way, or null. */
async function merge(git: Git, from: Oid, to: Oid): Promise<string | null> {
  const taken = await inTheWay(git, from, to);
  if (taken !== null) return `${taken} is in the way`;
  await git.run(['update-index', '-q', '--refresh'], users);
  const answer = await git.run(['read-tree', '-m', '-u', from, to], users);
  return answer.code === 0 ? null : lastWords(answer.err);
}

/** A file of the user's where a new one would go. Git itself takes ignored files for worthless. */
async function inTheWay(git: Git, from: Oid, to: Oid): Promise<string | null> {
  const added = await git.run([
    'diff-tree',
    '-r',
    '-z',
    '--name-only',
    '--no-renames',
    '--diff-filter=A',
    from,
    to,
  ]);
  for (const path of added.out.toString().split('\0').filter(Boolean)) {
    if (isThere(join(git.cwd, path))) return path;
  }
  return null;
}

/** Also where nobody can tell. */
function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return true;
  }
}

const emptyTree = async (git: Git): Promise<Oid> =>
  text(await git.run(['hash-object', '-t', 'tree', '-w', '--stdin']));
