/**
 * The machine for values that a custom rotator makes (protocol §5): intent -> fence -> ask -> spool -> issued ->
 * verify -> promote. A lost answer is asked for again under the same key where the rotator repeats its answers; where
 * it does not, a new claim asks for a newer value, if that needs no current one; else a login decides.
 *
 * | the rotator …                     | after a lost answer                                              |
 * |-----------------------------------|------------------------------------------------------------------|
 * | replays by key, within a day      | the same key: the same answer                                    |
 * | needs no current value            | another key: a newer value replaces the one that nobody knows    |
 * | needs the current value           | current still valid: another key. Not any more: only a person    |
 */
import { violationOf } from '../password.ts';
import type { Issued } from '../targets/issued.ts';
import { type Keep, keep, type Outcome } from './attempt.ts';
import { fence, say } from './fence.ts';
import { type GivenAttempt, withValue } from './given-attempt.ts';
import { pendingOf } from './issued-attempt.ts';
import { recordIssued } from './record-issued.ts';
import { refusalHint, verify } from './rotate-chosen.ts';
import { leftBehind } from './rotate-issued.ts';
import type { World } from './world.ts';

/** For this long a rotator repeats its answer, and not for long enough to count on its end. */
const repeated = 23 * 3_600_000;

export async function rotateGiven(attempt: GivenAttempt, world: World): Promise<Outcome> {
  if (pendingOf(attempt.record).phase === 'issued') return prove(attempt, world);
  const kept = attempt.replay ? await leftBehind(attempt, world) : null;
  if (kept && 'r' in kept) return kept;
  if (kept) return (await recordIssued(attempt, kept, world)) ?? prove(attempt, world);
  const undecided = attempt.replay ? await askable(attempt, world) : null;
  if (undecided) return undecided;
  const fenced = await fence(attempt, world);
  if (fenced) return fenced;
  say(attempt, world, 'issue');
  await world.failpoint('create.beforeSend');
  const key = keyOf(attempt, world);
  const result = await attempt.rotator.obtain(key);
  await world.failpoint('create.afterReply');
  const left = attempt.replay ? 'unknown' : 'unchanged';
  switch (result.r) {
    case 'not-sent':
      return keep('issue', 'unreachable', result, { left });
    case 'ambiguous':
      return keep('issue', 'ambiguous', result);
    case 'refused':
      return keep('issue', result.why, result, {
        left: attempt.replay ? 'unknown' : 'refused',
        outcome: result.why === 'readonly' || result.why === 'too-soon' ? 'waiting' : 'human',
        hint: refusalHint[result.why],
      });
    case 'given': {
      const { value, username, id } = result.given;
      const made: Issued = {
        handle: key,
        value,
        ...(username === undefined ? {} : { username }),
        ...(id === undefined ? {} : { fields: { id } }),
      };
      return (await recordIssued(attempt, made, world)) ?? prove(attempt, world);
    }
  }
}

/** Whether the rotator still gives the same answer for the key of the first claim. */
function isRepeated({ secret, record, version }: GivenAttempt, world: World): boolean {
  const createdAt = record.versions[version]?.createdAt ?? '';
  return secret.custom?.replays === true && world.clock.now().getTime() - Date.parse(createdAt) < repeated;
}

function keyOf(attempt: GivenAttempt, world: World): string {
  const { baseline, claim } = pendingOf(attempt.record);
  const { key = claim.id } = baseline;
  return claim.attempt === 1 || isRepeated(attempt, world) ? key : `${key}-${claim.attempt}`;
}

/** Null where asking again cannot cost the account. */
async function askable(attempt: GivenAttempt, world: World): Promise<Keep | null> {
  const { actor, current, rotator, record } = attempt;
  if (actor === 'target' || isRepeated(attempt, world)) return null;
  if (current === undefined) return null;
  say(attempt, world, 'reclaim');
  const probe = await rotator.probe(current);
  if (probe.r === 'ok' || probe.r === 'ok-restricted') return null;
  if (probe.r !== 'denied') return keep('observe', probe.r, probe);
  return keep(
    'observe',
    'unknown',
    {
      code: 'lost',
      detail: 'the rotator made a value, its answer was lost, and the former value is no longer valid',
    },
    {
      outcome: 'human',
      health: 'blocked',
      hint: `set a value by hand at the rotator, then keyturn adopt ${record.name}`,
    },
  );
}

/** The recorded value: does it log in, and is it what the policy asks for? It is kept either way. */
async function prove(attempt: GivenAttempt, world: World): Promise<Outcome> {
  const { value } = await world.ledger.readVersion(attempt.record, attempt.version);
  const outcome =
    attempt.rotator.proof === 'witness'
      ? ({ r: 'live', how: 'acknowledged', health: 'ok', alarm: null } as const)
      : await verify(withValue(attempt, value), world);
  if (outcome.r !== 'live') return outcome;
  const { custom, passwordPolicy } = attempt.secret;
  const violation = custom?.hasPolicy === true ? violationOf(value, passwordPolicy) : null;
  if (violation === null) return outcome;
  const alarm = `the value that the rotator made ${violation}; it is kept, since it is live`;
  return { ...outcome, alarm: outcome.alarm === null ? alarm : `${outcome.alarm}; ${alarm}` };
}
