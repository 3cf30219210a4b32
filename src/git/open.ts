/** The door to git: finds the repository, the remote and the ref, and ties the room together. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Clock } from '../clock.ts';
import { KeyturnError } from '../errors.ts';
import { type Objects, openObjects } from './batch.ts';
import { writeCommit } from './commit.ts';
import type { Oid, StateRepository, Tip } from './contract.ts';
import { follow, shownTree } from './follow.ts';
import { isBelow, readHead, shortName } from './history.ts';
import { Listing } from './listing.ts';
import { localPlace } from './local.ts';
import { listAdded, listFiles, readBlobs, readFiles } from './objects.ts';
import { createGit, done, type Git, lastWords, text } from './plumbing.ts';
import { settle } from './publish.ts';
import { remotePlace } from './remote.ts';
import { authorship, chooseRef, chooseRemote, readSettings } from './setup.ts';
import { type SideRefs, sideRefs } from './spill.ts';

export interface OpenOptions {
  /** `state.ref`; without it the checked-out branch. Git looks around while it is waited for. */
  stateRef?: string | undefined | Promise<string | undefined>;
  /** `process.env` when absent. Git children see an allow list of it. */
  env?: NodeJS.ProcessEnv;
  clock: Clock;
  random: (n: number) => Uint8Array;
  /** Awaited at `push.beforeSend` and `push.afterApply`. */
  failpoint?: (name: string) => Promise<void>;
  /** Ends whatever git does: nobody waits for it any more. */
  signal?: AbortSignal;
  /** Milliseconds one network call may take; 30 s when absent. */
  networkTimeout?: number;
}

export interface GitRepository extends StateRepository {
  /** Absolute path of the top level. */
  readonly root: string;
  readonly hasRemote: boolean;
  /** Refs beside the branch. */
  readonly side: SideRefs;
  /** What is checked out: `branch` is a short name, null when detached; `commit` is null on an unborn branch. */
  head(): Promise<{ commit: Oid | null; branch: string | null }>;
  /** Uncommitted files at or below the paths, untracked ones too, sorted. Ignored files don't count. */
  changedPaths(paths: string[]): Promise<string[]>;
  /** The commit that a revision names. Throws a KeyturnError (`NO_COMMIT`) where it is not here. */
  commitAt(revision: string): Promise<Oid>;
  /** Files below the folders (`''` is the top) at any revision that is here: path -> bytes. */
  readAt(revision: string, folders: string[]): Promise<Map<string, Uint8Array>>;
  /** Those of the files that are there at a commit that is here, path -> bytes; without listing any folder. */
  readFiles(tip: Tip, paths: readonly string[]): Promise<Map<string, Uint8Array>>;
  /** The state branch holds other files there than HEAD, and HEAD does not build on it. False where they cannot meet. */
  isOutdated(tip: Tip, paths: string[]): Promise<boolean>;
  /** Every file that a commit up to the tip has added below `folder`, as far as this clone's history reaches. */
  everAdded(tip: Tip, folder: string): Promise<Map<string, Uint8Array>>;
  /** The person whose name a commit made now would carry: `Alice <alice@example.org>`. */
  author(): Promise<string>;
}

/** Opens the repository around `cwd`. Throws a KeyturnError (exit 1) that says what is missing. */
export async function openRepository(cwd: string, options: OpenOptions): Promise<GitRepository> {
  const env = options.env ?? process.env;
  const here = existing(cwd);
  const anywhere = createGit(here, env, options.signal);
  const looking = Promise.all([lookAround(anywhere, here), readSettings(anywhere)]);
  // what is wrong with the caller's answer is said first
  looking.catch(() => undefined);
  const stateRef = await options.stateRef;
  const [{ root, shallow, branch }, settings] = await looking;
  const git = createGit(root, env, options.signal);
  const objects = openObjects(git);
  const ref = await chooseRef(git, branch, stateRef, env);
  const remote = chooseRemote(settings, ref);
  const timeout = options.networkTimeout ?? 30_000;
  const place =
    remote === null
      ? localPlace(git, ref)
      : remotePlace(git, objects, { remote, ref, shallow, clock: options.clock, timeout });
  const who = authorship(settings, env);
  const failpoint = options.failpoint ?? (async () => undefined);
  const publishing = { place, clock: options.clock, random: options.random, failpoint };
  const listing = new Listing(git);
  // without a remote, what index and files showed before this run moved the branch under them
  let shown: Oid | null | undefined;

  return {
    root,
    place: place.name,
    hasRemote: place.hasRemote,
    side: sideRefs(git, objects, { remote, who, random: options.random, timeout }),
    fetch: () => place.fetch(),
    list: (tip, folders) => listing.of(tip, folders),
    read: (blobs) => readBlobs(objects, blobs),
    async publish(publication) {
      const commit = await writeCommit(git, publication, who, options.random);
      listing.made(commit, publication);
      if (remote === null && shown === undefined) shown = await shownTree(git, publication.base);
      return settle(publishing, commit, publication);
    },
    async followTip(tip) {
      const words = await follow(git, place, tip, shown);
      shown = undefined;
      return words;
    },
    async head() {
      const { commit, ref: current } = await readHead(git);
      return { commit, branch: current === null ? null : shortName(current) };
    },
    changedPaths: (paths) => changedPaths(git, paths),
    commitAt: (revision) => commitAt(git, revision),
    async readAt(revision, folders) {
      return contents(objects, await listFiles(git, await commitAt(git, revision), folders));
    },
    readFiles: (tip, paths) => readFiles(objects, tip, paths),
    async isOutdated(tip, paths) {
      const { commit, ref: current } = await readHead(git);
      if (commit === null || tip === null || (current !== null && current !== ref)) return false;
      const [mine, theirs] = await Promise.all([listFiles(git, commit, paths), listFiles(git, tip, paths)]);
      if (theirs.size === 0) return false;
      const differ = [...new Set([...mine.keys(), ...theirs.keys()])].some(
        (p) => mine.get(p) !== theirs.get(p),
      );
      return differ && !(await isBelow(git, tip, commit));
    },
    async author() {
      const ident = done(await git.run(['var', 'GIT_AUTHOR_IDENT'], { env: who.env }), 'git identity');
      return text(ident).replace(/ \d+ [+-]\d{4}$/, '');
    },
    everAdded: async (tip, folder) => contents(objects, await listAdded(git, tip, folder)),
  };
}

async function contents(objects: Objects, files: Map<string, Oid>): Promise<Map<string, Uint8Array>> {
  const blobs = await readBlobs(objects, [...files.values()]);
  return new Map([...files].map(([path, oid]) => [path, blobs.get(oid) ?? new Uint8Array()]));
}

const init = { hint: 'go to the repository that holds keyturn.yaml, or run `git init` and `keyturn init`' };

function existing(cwd: string): string {
  const here = resolve(cwd);
  if (existsSync(here)) return here;
  throw new KeyturnError(here, 'no such directory', init);
}

async function commitAt(git: Git, revision: string): Promise<Oid> {
  const args = ['rev-parse', '--verify', '--quiet', '--end-of-options', `${revision}^{commit}`];
  const commit = await git.run(args);
  if (commit.code === 0) return text(commit);
  throw new KeyturnError(revision, 'no such commit in this clone', {
    hint: 'fetch it first, e.g. `git fetch origin main`',
    code: 'NO_COMMIT',
  });
}

interface Surroundings {
  /** The top level. */
  root: string;
  shallow: boolean;
  /** Full name of the checked-out branch; null when HEAD is detached. */
  branch: string | null;
}

async function lookAround(git: Git, here: string): Promise<Surroundings> {
  // a branch with a commit is checked out, nearly always: then one process knows everything
  const head = ['--symbolic-full-name', 'HEAD'];
  const answer = await git.run(['rev-parse', ...head, '--is-shallow-repository', '--show-toplevel']);
  const [branch = '', shallow, ...path] = text(answer).split('\n');
  if (answer.code === 0 && branch.startsWith('refs/heads/'))
    return { root: path.join('\n'), shallow: shallow === 'true', branch };
  const [top, { ref }] = await Promise.all([topLevel(git, here), readHead(git)]);
  return { ...top, branch: ref };
}

async function topLevel(git: Git, here: string): Promise<Omit<Surroundings, 'branch'>> {
  const answer = await git.run(['rev-parse', '--is-shallow-repository', '--show-toplevel']);
  const [shallow, ...path] = text(answer).split('\n');
  if (answer.code === 0) return { root: path.join('\n'), shallow: shallow === 'true' };
  if (answer.err.includes('dubious ownership')) {
    throw new KeyturnError(here, 'the repository belongs to another user', {
      hint: `run \`git config --global --add safe.directory ${here}\``,
    });
  }
  const bare = /must be run in a work tree/.test(answer.err);
  throw new KeyturnError(
    here,
    bare ? 'is a bare repository' : `not in a git repository (${lastWords(answer.err)})`,
    init,
  );
}

async function changedPaths(git: Git, paths: string[]): Promise<string[]> {
  if (paths.length === 0) return [];
  const args = ['status', '--porcelain=v1', '-z', '--no-renames', '--untracked-files=all', '--', ...paths];
  const answer = done(await git.run(args, { worktree: true }), 'git status');
  return answer.out
    .toString()
    .split('\0')
    .filter(Boolean)
    .map((entry) => entry.slice(3))
    .sort();
}
