/** Scratch repositories with real git, apart from the configuration of whoever runs the tests. */
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Clock } from '../../src/clock.ts';
import type { Publication, Tip } from '../../src/git/contract.ts';
import { type GitRepository, type OpenOptions, openRepository } from '../../src/git/open.ts';

export interface Scratch {
  root: string;
  env: NodeJS.ProcessEnv;
  /** Path of something below the scratch directory. */
  at(...parts: string[]): string;
  git(cwd: string, ...args: string[]): string;
  /** A bare repository with one commit on main: `README.md` and `manifests/a.yaml`. */
  remote(name?: string): string;
  emptyRemote(name?: string): string;
  clone(remote: string, name: string, ...args: string[]): string;
  open(cwd: string, options?: Partial<OpenOptions>): Promise<GitRepository>;
  remove(): void;
}

/** Time that passes only when somebody sleeps, so that back-off costs nothing. */
export function testClock(): Clock {
  let ms = 0;
  return {
    now: () => new Date(Date.UTC(2030, 0, 1) + ms),
    monotonic: () => ms,
    async sleep(time) {
      ms += time;
    },
  };
}

export function scratch(): Scratch {
  const root = mkdtempSync(join(tmpdir(), 'keyturn-test-git-'));
  const at = (...parts: string[]) => join(root, ...parts);
  mkdirSync(at('home'));
  const env: NodeJS.ProcessEnv = {
    PATH: process.env.PATH,
    HOME: at('home'),
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CEILING_DIRECTORIES: root,
  };
  const person = { GIT_AUTHOR_NAME: 'dev', GIT_AUTHOR_EMAIL: 'dev@example.org' };
  const committer = { GIT_COMMITTER_NAME: 'dev', GIT_COMMITTER_EMAIL: 'dev@example.org' };
  const git = (cwd: string, ...args: string[]) =>
    execFileSync('git', args, {
      cwd,
      env: { ...env, ...person, ...committer },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
      .toString()
      .trimEnd();
  const emptyRemote = (name = 'remote.git') => {
    git(root, 'init', '--quiet', '--bare', '--initial-branch=main', name);
    return at(name);
  };
  const clone = (remote: string, name: string, ...args: string[]) => {
    const address = /^\w+:\/\//.test(remote) ? remote : `file://${remote}`;
    git(root, 'clone', '--quiet', ...args, address, name);
    return at(name);
  };
  return {
    root,
    env,
    at,
    git,
    emptyRemote,
    clone,
    remote(name = 'remote.git') {
      const path = emptyRemote(name);
      const seed = clone(path, `${name}-seed`);
      put(join(seed, 'README.md'), 'hello\n');
      put(join(seed, 'manifests/a.yaml'), 'kind: Target\n');
      git(seed, 'add', '.');
      git(seed, 'commit', '--quiet', '-m', 'first');
      git(seed, 'push', '--quiet', 'origin', 'HEAD:refs/heads/main');
      return path;
    },
    open: (cwd, options = {}) =>
      openRepository(cwd, { env, clock: testClock(), random: (n) => randomBytes(n), ...options }),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}

export function put(path: string, content: string | Uint8Array, mode = 0o644): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content, { mode });
}

/** A publication of text files; null removes one. */
export const publication = (
  base: Tip,
  files: Record<string, string | null>,
  subject = 'rotate a',
): Publication => ({
  base,
  subject,
  body: '',
  writes: Object.entries(files).map(([path, content]) => ({
    path,
    bytes: content === null ? null : Buffer.from(content),
  })),
});

/** Every byte of working tree, index, HEAD, branches, tags, shallow cuts and settings; not objects or remote-tracking refs. */
export function footprint(clone: string): string {
  const hash = createHash('sha256');
  const skipped = new Set(['objects', 'keyturn', 'remotes']);
  const walk = (folder: string, inside: boolean) => {
    for (const name of readdirSync(folder).sort()) {
      const path = join(folder, name);
      if (inside && skipped.has(name)) continue;
      if (statSync(path).isDirectory()) walk(path, inside || name === '.git');
      else hash.update(path).update(readFileSync(path));
    }
  };
  walk(clone, false);
  return hash.digest('hex');
}
