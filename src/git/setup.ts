/** What the user's configuration and checkout say: which remote, which ref, whose name. */
import { KeyturnError } from '../errors.ts';
import type { Authorship } from './commit.ts';
import { shortName } from './history.ts';
import { done, type Git } from './plumbing.ts';

/** Configuration keys, lower case but for the middle part, with all their values. */
export type Settings = Map<string, string[]>;

const wanted =
  '^(remote\\..*\\.url|branch\\..*\\.remote|(user|author|committer)\\.(name|email)|commit\\.gpgsign)$';

/** One look at the settings that matter. */
export async function readSettings(git: Git): Promise<Settings> {
  const answer = await git.run(['config', '--null', '--get-regexp', wanted]);
  const settings: Settings = new Map();
  if (answer.code === 1) return settings;
  for (const entry of done(answer, 'git config').out.toString().split('\0').filter(Boolean)) {
    const end = entry.indexOf('\n');
    const [key, value] = end < 0 ? [entry, 'true'] : [entry.slice(0, end), entry.slice(end + 1)];
    settings.set(key, [...(settings.get(key) ?? []), value]);
  }
  return settings;
}

/** `origin`, else the only remote, else the branch's upstream; null when there is no remote. */
export function chooseRemote(settings: Settings, ref: string): string | null {
  const remotes = [...settings.keys()]
    .filter((key) => key.startsWith('remote.'))
    .map((key) => key.slice(7, -4));
  if (remotes.includes('origin')) return 'origin';
  const [first, ...others] = remotes;
  if (first === undefined) return null;
  if (others.length === 0) return first;
  const upstream = settings.get(`branch.${shortName(ref)}.remote`)?.at(-1);
  if (upstream !== undefined && remotes.includes(upstream)) return upstream;
  throw new KeyturnError('git remotes', `none of ${remotes.join(', ')} is called origin or is upstream`, {
    hint: `run \`git config branch.${shortName(ref)}.remote ${first}\``,
  });
}

/**
 * `state.ref`, else the checked-out branch, else in a GitHub or GitLab job the branch that it runs for; for a pull
 * request that is the one it wants to be merged into.
 */
export async function chooseRef(
  git: Git,
  branch: string | null,
  stateRef: string | undefined,
  env: NodeJS.ProcessEnv,
): Promise<string> {
  if (stateRef !== undefined) {
    const valid = await git.run(['check-ref-format', stateRef]);
    if (stateRef.startsWith('refs/') && valid.code === 0) return stateRef;
    throw new KeyturnError('state.ref', `"${stateRef}" is not the full name of a ref`, {
      hint: 'write it like `refs/heads/keyturn-state`',
    });
  }
  if (branch !== null) return branch;
  const job = jobRef(env);
  if (job !== undefined) return job;
  throw new KeyturnError('git', 'no branch is checked out, so there is no place for the state', {
    hint: 'set `state.ref` in keyturn.yaml, e.g. `refs/heads/main`, or check out a branch',
  });
}

function jobRef(env: NodeJS.ProcessEnv): string | undefined {
  const { GITHUB_ACTIONS, GITHUB_REF, GITHUB_BASE_REF, GITLAB_CI, CI_COMMIT_BRANCH } = env;
  if (GITHUB_ACTIONS === 'true' && GITHUB_BASE_REF) return `refs/heads/${GITHUB_BASE_REF}`;
  if (GITHUB_ACTIONS === 'true' && GITHUB_REF?.startsWith('refs/heads/')) return GITHUB_REF;
  if (GITLAB_CI === 'true' && CI_COMMIT_BRANCH) return `refs/heads/${CI_COMMIT_BRANCH}`;
  return undefined;
}

const yes = new Set(['true', 'yes', 'on', '1']);

/** The user's identity where there is one, else keyturn's own name; signed when the user signs. */
export function authorship(settings: Settings, env: NodeJS.ProcessEnv): Authorship {
  const own: Record<string, string> = { NAME: 'keyturn', EMAIL: 'keyturn@localhost' };
  const missing: Record<string, string> = {};
  for (const role of ['author', 'committer']) {
    for (const [part, fallback] of Object.entries(own)) {
      const variable = `GIT_${role.toUpperCase()}_${part}`;
      const keys = [`user.${part.toLowerCase()}`, `${role}.${part.toLowerCase()}`];
      const known = env[variable] ?? (part === 'EMAIL' ? env.EMAIL : undefined);
      if (!known && !keys.some((key) => settings.has(key))) missing[variable] = fallback;
    }
  }
  const sign = settings.get('commit.gpgsign')?.at(-1)?.toLowerCase() ?? 'false';
  return { sign: yes.has(sign), env: missing };
}
