/** Why the job runs: the event's name and payload, as far as it concerns us. */
import { readFileSync } from 'node:fs';
import { KeyturnError } from '../errors.ts';

export interface PullRequest {
  number: number;
  /** Newest commit of the branch that it wants to be merged into, when the event happened. */
  base: string;
  /** Newest commit of its own branch. */
  head: string;
  /** Its branch lies in another repository: the job has no secrets, and a token that only reads. */
  fork: boolean;
}

/**
 * The pull request that the job checks; null for every other event. Throws a KeyturnError for `pull_request_target`,
 * which gives secrets and a token that writes to files of people who may have neither.
 */
export function readPullRequest(env: NodeJS.ProcessEnv): PullRequest | null {
  const { GITHUB_EVENT_NAME, GITHUB_EVENT_PATH } = env;
  if (GITHUB_EVENT_NAME === 'pull_request_target')
    throw new KeyturnError('pull_request_target', 'is not an event that keyturn runs on', {
      hint: 'write `on: pull_request`: it needs no key, and works for forks',
    });
  if (GITHUB_EVENT_NAME !== 'pull_request') return null;
  const { pull_request: pull, repository } = payload(GITHUB_EVENT_PATH ?? '');
  const here = pull?.base?.repo?.full_name ?? repository?.full_name;
  const there = pull?.head?.repo?.full_name;
  const number = pull?.number;
  const base = pull?.base?.sha;
  const head = pull?.head?.sha;
  if (!isNumber(number) || !isText(base) || !isText(head))
    throw new KeyturnError('GITHUB_EVENT_PATH', 'tells of no pull request', {
      hint: 'run it in a job of GitHub Actions `on: pull_request`',
    });
  // A fork that is deleted has no repository any more.
  return { number, base, head, fork: !isText(there) || there !== here };
}

interface Payload {
  repository?: { full_name?: unknown };
  pull_request?: {
    number?: unknown;
    base?: { sha?: unknown; repo?: { full_name?: unknown } };
    head?: { sha?: unknown; repo?: { full_name?: unknown } | null };
  };
}

const isNumber = (value: unknown): value is number => Number.isSafeInteger(value);
const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';

function payload(file: string): Payload {
  try {
    const read: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return typeof read === 'object' && read !== null ? read : {};
  } catch {
    return {};
  }
}
