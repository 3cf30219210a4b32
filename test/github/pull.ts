/** A pull request as actions/checkout leaves it in a job: its merge commit, detached, with the history of `depth`. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { put, type World } from '../crash/world.ts';
import type { Github } from '../servers/github.ts';
import { event } from './runner.ts';

/** Where the remote is, and a git for anywhere. */
export type Place = Pick<World, 'root' | 'remote' | 'at' | 'git'>;

export interface Pull {
  /** `GITHUB_WORKSPACE`. */
  workspace: string;
  /** Commit that was checked out. */
  merge: string;
  /** What the runner sets for the job. */
  env: NodeJS.ProcessEnv;
}

export interface PullOptions {
  number?: number;
  depth?: number;
  /** `full_name` of the repository that the branch lies in; null: it is deleted. */
  from?: string | null;
  /** Checks out another revision than the merge commit. */
  checkout?: 'merge' | 'head';
  eventName?: string;
}

let pulls = 0;

/** Merges a branch with these changes into main, at the side, and checks the result out. */
export function openPull(
  world: Place,
  github: Github,
  files: Record<string, string | null>,
  options: PullOptions = {},
): Pull {
  const { number = 7, depth = 2, from = github.repository, checkout = 'merge' } = options;
  pulls += 1;
  const author = world.at(`author-${pulls}`);
  const git = (...args: string[]) => world.git(author, ...args);
  world.git(world.root, 'clone', '--quiet', `file://${world.remote}`, author);
  git('checkout', '--quiet', '-b', 'topic');
  for (const [path, text] of Object.entries(files))
    if (text === null) rmSync(join(author, path));
    else put(join(author, path), text);
  git('add', '--all');
  git('commit', '--quiet', '--allow-empty', '-m', 'Topic');
  const head = git('rev-parse', 'HEAD');
  git('checkout', '--quiet', 'main');
  const base = git('rev-parse', 'HEAD');
  git('merge', '--quiet', '--no-ff', '-m', `Merge ${head} into ${base}`, 'topic');
  const merge = git('rev-parse', 'HEAD');
  git(
    'push',
    '--quiet',
    '--force',
    'origin',
    `${merge}:refs/pull/${number}/merge`,
    `${head}:refs/pull/${number}/head`,
  );

  const workspace = world.at(`workspace-${pulls}`);
  world.git(world.root, 'init', '--quiet', workspace);
  world.git(workspace, 'remote', 'add', 'origin', `file://${world.remote}`);
  world.git(workspace, 'fetch', '--quiet', `--depth=${depth}`, 'origin', `refs/pull/${number}/${checkout}`);
  world.git(workspace, 'checkout', '--quiet', '--detach', 'FETCH_HEAD');
  return {
    workspace,
    merge,
    env: {
      ...runnerEnv(world, github, workspace),
      GITHUB_SHA: merge,
      GITHUB_REF: `refs/pull/${number}/merge`,
      GITHUB_BASE_REF: 'main',
      GITHUB_HEAD_REF: 'topic',
      ...event(world.at('events'), options.eventName ?? 'pull_request', {
        action: 'opened',
        number,
        repository: { full_name: github.repository },
        pull_request: {
          number,
          base: { sha: base, ref: 'main', repo: { full_name: github.repository } },
          head: { sha: head, ref: 'topic', repo: from === null ? null : { full_name: from } },
        },
      }),
    },
  };
}

/** What every step of a job has, with a home of its own. */
export const runnerEnv = (world: Place, github: Github, workspace: string): NodeJS.ProcessEnv => ({
  PATH: process.env.PATH,
  HOME: world.at('runner-home'),
  GIT_CONFIG_NOSYSTEM: '1',
  GITHUB_WORKSPACE: workspace,
  GITHUB_REPOSITORY: github.repository,
  GITHUB_RUN_ID: '4711',
  GITHUB_RUN_ATTEMPT: '1',
  GITHUB_API_URL: github.url,
  GITHUB_SERVER_URL: 'https://github.example',
});
