/** Whose a claim is, and whether that owner is gone (protocol §7.2): what is not known to be dead keeps its lease. */
import type { Host } from './host.ts';
import { githubApi, repositoryPath } from './output/notify/github-api.ts';
import { Undelivered } from './output/notify/http.ts';
import { Secret } from './secret.ts';
import type { Claim, State } from './state/model.ts';

/** Claims are owned by the workflow run inside GitHub Actions, else by a process of this user on this machine. */
export function ownerOf({ env, machine, pid }: Host): Claim['by'] {
  const { GITHUB_ACTIONS, GITHUB_REPOSITORY, GITHUB_RUN_ID, GITHUB_RUN_ATTEMPT } = env;
  const runner =
    GITHUB_ACTIONS === 'true' && GITHUB_RUN_ID !== undefined
      ? `gha:${GITHUB_REPOSITORY}#${GITHUB_RUN_ID}/${GITHUB_RUN_ATTEMPT}`
      : machine;
  return { runner, pid };
}

/**
 * Ids of pending claims whose owner is an earlier attempt of this very workflow run, another run of this repository
 * that GitHub says is over, or a dead process of this machine. Asks GitHub only about such runs, and only with a token.
 */
export async function deadClaims(host: Host, state: State): Promise<Set<string>> {
  const me = ownerOf(host);
  const mine = runOf(me.runner);
  const pending = Object.values(state.records).flatMap(({ pending: one }) => (one ? [one.claim] : []));
  const over = new Map<string, Promise<boolean>>();
  const isDead = async ({ by }: Claim): Promise<boolean> => {
    const theirs = runOf(by.runner);
    if (mine === null) return by.runner === me.runner && !host.isAlive(by.pid);
    if (theirs === null || theirs.repository !== mine.repository) return false;
    if (theirs.id === mine.id) return true;
    const asked = over.get(theirs.id) ?? isOver(host, theirs);
    over.set(theirs.id, asked);
    return asked;
  };
  const dead = await Promise.all(pending.map(async (claim) => ((await isDead(claim)) ? [claim.id] : [])));
  return new Set(dead.flat());
}

interface Run {
  repository: string;
  id: string;
}

function runOf(runner: string): Run | null {
  const { repository, id } = /^gha:(?<repository>.*)#(?<id>\d+)\/\d+$/.exec(runner)?.groups ?? {};
  return repository === undefined || id === undefined ? null : { repository, id };
}

/** False also for a token that may not ask (`actions: read`): then the lease decides, as everywhere else. */
async function isOver({ env }: Host, { repository, id }: Run): Promise<boolean> {
  const { GITHUB_TOKEN, GITHUB_API_URL = 'https://api.github.com' } = env;
  if (!GITHUB_TOKEN) return false;
  try {
    const github = githubApi(new Secret(GITHUB_TOKEN), GITHUB_API_URL);
    const run = await github.get(`${repositoryPath(repository)}/actions/runs/${id}`);
    return typeof run === 'object' && run !== null && 'status' in run && run.status === 'completed';
  } catch (error) {
    if (error instanceof Undelivered) return false;
    throw error;
  }
}
