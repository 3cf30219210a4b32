/** The state ref at a remote. The user's refs stay as they are: what is fetched is pinned below `refs/keyturn/`. */
import type { Clock } from '../clock.ts';
import { KeyturnError } from '../errors.ts';
import type { Objects } from './batch.ts';
import type { Oid, Tip } from './contract.ts';
import { isBelow } from './history.ts';
import type { Place } from './place.ts';
import { type Answer, type Git, text } from './plumbing.ts';
import { isRace, sentence, unreadable } from './refusals.ts';

/** Two runs in one clone fetch into the same pin; the loser of its lock tries again. */
const lockTries = 5;

export interface Remote {
  remote: string;
  ref: string;
  clock: Clock;
  /** Whether the clone is, when the run begins. */
  shallow: boolean;
  /** Milliseconds a network call may take. */
  timeout: number;
}

export function remotePlace(
  git: Git,
  objects: Objects,
  { remote, ref, shallow, clock, timeout }: Remote,
): Place {
  const name = `${remote} (${ref})`;
  const pin = ref.replace(/^refs\//, 'refs/keyturn/');
  const call = { network: timeout };

  async function fetchWith(depth: string[]): Promise<Answer> {
    // an empty refmap keeps the remote-tracking refs where they are
    const still = ['--no-tags', '--no-prune', '--no-write-fetch-head', '--refmap='];
    for (let tries = 1; ; tries++) {
      const answer = await git.run(['fetch', ...still, ...depth, remote, `+${ref}:${pin}`], call);
      if (answer.code === 0 || !isRace(answer) || tries === lockTries) return answer;
      await clock.sleep(50 * tries);
    }
  }

  const isShallow = async () => text(await git.run(['rev-parse', '--is-shallow-repository'])) === 'true';

  async function fetch(): Promise<Tip> {
    // In a shallow clone that never saw the branch, one commit is enough. Where it has been seen, only what
    // is new comes; a depth would cut off the history that the user has.
    const seen = [pin, ref, ref.replace(/^refs\/heads\//, `refs/remotes/${remote}/`)];
    const once = shallow && text(await git.run(['for-each-ref', '--format=%(refname)', ...seen])) === '';
    const fetching = fetchWith(once ? ['--depth=1'] : []);
    objects.warmUp();
    const answer = await fetching;
    if (answer.code !== 0) {
      if (!/couldn't find remote ref/i.test(answer.err)) throw unreadable(name, answer);
      await git.run(['update-ref', '-d', pin]);
      return null;
    }
    const commit = await objects.get(`${pin}^{commit}`);
    if (commit === null)
      throw new KeyturnError(name, 'is no commit', { hint: 'look at what was pushed there' });
    return commit.oid;
  }

  async function look(): Promise<Tip> {
    const answer = await git.run(['ls-remote', '--refs', remote, ref], call);
    if (answer.code !== 0) throw unreadable(name, answer);
    const line = text(answer)
      .split('\n')
      .find((row) => row.endsWith(`\t${ref}`));
    return line?.split('\t')[0] ?? null;
  }

  async function contains(tip: Oid, commit: Oid, base: Tip): Promise<boolean> {
    // no ref holds our commit: without these tips the server would send what we have, or a whole history
    const common = [commit, ...(base === null ? [] : [base])].map((oid) => `--negotiation-tip=${oid}`);
    const brought = await fetchWith(common);
    if (brought.code !== 0) throw unreadable(name, brought);
    if (await isBelow(git, commit, tip)) return true;
    if (base === null || (await isBelow(git, base, tip)) || !(await isShallow())) return false;
    // a cut between the base and the tip hides what is below: only more history can answer
    const deeper = await fetchWith(['--deepen=100']);
    if (deeper.code !== 0) throw unreadable(name, deeper);
    return isBelow(git, commit, tip);
  }

  return {
    name,
    ref,
    hasRemote: true,
    fetch,
    look,
    contains,
    async send(commit, base) {
      const lease = `--force-with-lease=${ref}:${base ?? ''}`;
      const args = ['push', '--porcelain', '--no-verify', lease, remote, `${commit}:${ref}`];
      return sentence(await git.run(args, call));
    },
  };
}
