/** One push of a wave: what it carries, and what became of it. */
import type { Change, CommitOutcome } from '../state/ledger.ts';
import type { Concluded } from './carry-out.ts';
import type { Result } from './model.ts';
import type { World } from './world.ts';

/** Claims of this wave and conclusions of the last, in one segment. Null when there was nothing to say. */
export async function push(
  claims: Change[],
  concluded: Concluded[],
  world: World,
): Promise<CommitOutcome | null> {
  const conclusions = concluded.flatMap(({ change }) => (change ? [change] : []));
  const changes = [...conclusions, ...claims];
  if (changes.length === 0) return null;
  const steps = [
    ...(conclusions.length > 0 ? ['promote'] : []),
    ...(claims.length > 0 ? [claims.some((c) => c.from?.pending) ? 'takeover' : 'claim'] : []),
  ];
  const subject = `keyturn: ${describe(concluded, claims)}`;
  for (const step of steps) await world.failpoint(`${step}.beforeCommit`);
  const outcome = await world.ledger.commit(changes, subject, [], steps);
  for (const step of steps) await world.failpoint(`${step}.afterPush`);
  if (outcome.r === 'committed')
    world.emit({
      kind: 'pushed',
      subject,
      serial: outcome.serial,
      commit: outcome.commit,
      secrets: changes.map((change) => change.name),
    });
  return outcome;
}

function describe(concluded: Concluded[], claims: Change[]): string {
  const promotions = concluded
    .filter((c) => c.change && c.result.left === 'changed')
    .map((c) => c.result.secret);
  const notes = concluded.filter((c) => c.change && c.result.left !== 'changed').map((c) => c.result.secret);
  const say = (verb: string, names: string[]): string[] =>
    names.length === 0 ? [] : [`${verb} ${names.length === 1 ? names[0] : `${names.length} secrets`}`];
  return [
    ...say('promote', promotions),
    ...say('note', notes),
    ...say(
      'claim',
      claims.map((c) => c.name),
    ),
  ].join(', ');
}

/** A conclusion that did not reach the remote: the value stays recorded as pending, the next run ends it. */
export function told(result: Result, change: Change | null, outcome: CommitOutcome): Result {
  if (!change) return result;
  if (outcome.r === 'committed')
    return outcome.lost.includes(change)
      ? { ...result, outcome: 'waiting', detail: 'another run took it over and finishes it' }
      : result;
  return {
    ...result,
    outcome: 'waiting',
    left: result.left === 'unchanged' ? 'unchanged' : 'unknown',
    detail: `the outcome could not be pushed (${outcome.detail}); it is recorded as pending and the next run finishes it`,
  };
}

/** Why a claim is not ours; null: it is. */
export function claimProblem(outcome: CommitOutcome, change: Change): Partial<Result> | null {
  switch (outcome.r) {
    case 'committed':
      return outcome.lost.includes(change)
        ? { outcome: 'waiting', left: 'unchanged', detail: 'another run claimed it first' }
        : null;
    case 'refused':
      return {
        outcome: 'failed',
        left: 'unchanged',
        detail: `the claim was refused by the remote: ${outcome.detail}`,
        hint:
          outcome.why === 'protected'
            ? 'let this job push to the branch, or keep the state on its own: spec.state.ref: refs/heads/keyturn-state'
            : 'give this job write access to the repository',
      };
    case 'unknown':
      return {
        outcome: 'waiting',
        left: 'unchanged',
        detail: `the claim may or may not be in the remote (${outcome.detail}); the value was not sent`,
      };
  }
}
