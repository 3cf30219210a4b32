/**
 * The machine for values that we choose (protocol §3): claim -> fence -> set -> verify -> promote. The claim
 * is pushed before this file is entered and the promotion after it is left, so the value is recorded
 * whenever it may be live; whatever happens in between ends in one `Outcome`, never in an exception.
 */
import type { SetResult, Witness } from '../targets/driver.ts';
import { type Attempt, keep, type Outcome } from './attempt.ts';
import { fence, say } from './fence.ts';
import { otherValue } from './other-value.ts';
import { ask, settle } from './settle.ts';
import type { World } from './world.ts';

/** An answer may get lost this often in one run before the secret waits for the next. */
const lostAnswers = 2;
const verifyPauses = [200, 500, 1000, 2000, 4000];

export async function rotateChosen(attempt: Attempt, world: World): Promise<Outcome> {
  let provenNotLive = false;
  for (let answersLost = 0; ; ) {
    if (attempt.replay) {
      say(attempt, world, 'reclaim');
      const settled = await settle(attempt, world);
      if (settled.r === 'keep') return settled;
      if (settled.r === 'live')
        return settled.how === 'witness' ? verify(attempt, world) : finish(attempt, settled);
      provenNotLive = settled.proven;
    }
    const fenced = await fence(attempt, world);
    if (fenced) return fenced;
    const set = await setValue(attempt, world);
    switch (set.r) {
      case 'applied':
        return verify(attempt, world);
      case 'not-sent':
        return keep('set', 'unreachable', set, { left: attempt.replay ? 'unknown' : 'unchanged' });
      case 'other':
        return otherValue(attempt, set.given, world);
      case 'refused':
        return refused(attempt, set, provenNotLive, world);
      case 'ambiguous':
        answersLost += 1;
        if (answersLost >= lostAnswers) return keep('set', 'ambiguous', set);
        attempt.replay = true;
    }
  }
}

/** P3. */
async function setValue(attempt: Attempt, world: World): Promise<SetResult> {
  say(attempt, world, 'set');
  await world.failpoint('set.beforeConnect');
  const result = await attempt.rotator.set(attempt.value, attempt.record.pending?.baseline ?? {});
  await world.failpoint('set.afterAck');
  return result;
}

/**
 * §3.4: a refusal does not prove that the value is not live; after a lost answer it may be refused *because* it
 * is. `provenNotLive`: logins have shown it just now, so asking again would be a second wrong attempt (I4).
 */
async function refused(
  attempt: Attempt,
  set: Extract<SetResult, { r: 'refused' }>,
  provenNotLive: boolean,
  world: World,
): Promise<Outcome> {
  // the target's own credential was rotated between our look and our SET: the next run reads the new one
  const loginMoved = set.why === 'bad-current' && attempt.actor === 'target';
  const left = attempt.replay ? 'unknown' : 'refused';
  if (set.why !== 'policy' && set.why !== 'history')
    return keep('set', set.why, set, {
      left,
      outcome: set.why === 'readonly' || set.why === 'too-soon' || loginMoved ? 'waiting' : 'human',
      hint: refusalHint[set.why],
    });
  const proven =
    provenNotLive || (attempt.rotator.proof === 'witness' && (await isWitnessed(attempt)) === 'not-applied');
  if (proven) return { r: 'refused', code: set.code, detail: set.detail };
  const settled = await ask(attempt, world);
  if (settled.r === 'live') return finish(attempt, settled);
  if (settled.r === 'set' && settled.proven) return { r: 'refused', code: set.code, detail: set.detail };
  if (settled.r === 'keep') return settled;
  return keep('set', set.why, set, { left, outcome: 'human', hint: refusalHint[set.why] });
}

export const refusalHint: Record<Extract<SetResult, { r: 'refused' }>['why'], string> = {
  policy: "bring passwordPolicy in line with the target's own policy",
  history: "bring passwordPolicy in line with the target's own policy",
  permission: 'grant the privilege to the user that changes the password; the detail names the account',
  'bad-current': 'somebody changed the password by hand: keyturn reconcile or keyturn adopt',
  readonly: 'point the target at the writer',
  'no-account': 'create the account, or correct the manifest',
  'too-soon': 'lower the minimum age at the target, or let the target set it (authenticateAs: target)',
  untrusted: 'compare the host key with the host itself; keyturn doctor shows what to pin',
};

/** P4 and §3.5. */
export async function verify(attempt: Attempt, world: World): Promise<Outcome> {
  say(attempt, world, 'verify');
  await world.failpoint('verify.before');
  const { rotator, value, actor, record } = attempt;
  if (rotator.proof === 'witness') {
    const witnessed = await verifyByWitness(attempt, world);
    if (witnessed) return witnessed;
  }
  for (const pause of [...verifyPauses, null]) {
    const probe = await rotator.probe(value);
    if (probe.r === 'ok') return finish(attempt, { r: 'live', how: 'login', health: 'ok', alarm: null });
    if (probe.r === 'ok-restricted')
      return finish(attempt, {
        r: 'live',
        how: 'login',
        health: 'restricted',
        alarm: `the new value is right, but ${probe.detail}`,
      });
    if (probe.r === 'blocked' || probe.r === 'denied') {
      const witness = await rotator.witness(value, record.pending?.baseline ?? {});
      if (witness === 'applied' || witness === 'changed' || (probe.r === 'blocked' && actor === 'target'))
        return unverified(attempt, probe.detail);
      if (probe.r === 'blocked') return keep('verify', 'blocked', probe);
      return notEffective(attempt, probe.detail);
    }
    if (pause === null) return keep('verify', probe.r, probe);
    await world.clock.sleep(pause);
  }
  throw new Error('unreachable');
}

const isWitnessed = ({ rotator, value, record }: Attempt): Promise<Witness> =>
  rotator.witness(value, record.pending?.baseline ?? {});

/** Where nobody here can log in, the target's word is the proof; it may come a little late. Null: it says nothing. */
async function verifyByWitness(attempt: Attempt, world: World): Promise<Outcome | null> {
  for (const pause of [...verifyPauses, null]) {
    const witness = await isWitnessed(attempt);
    if (witness === 'applied' || witness === 'changed')
      return finish(attempt, { r: 'live', how: 'witness', health: 'ok', alarm: null });
    if (witness === 'unknown') return null;
    if (pause !== null) await world.clock.sleep(pause);
  }
  return attempt.actor === 'target' ? unverified(attempt, 'it does not show the change yet') : null;
}

/** The target acknowledged a value that it then denies. */
async function notEffective(attempt: Attempt, detail: string): Promise<Outcome> {
  if (!attempt.current)
    return attempt.actor === 'target'
      ? unverified(attempt, detail)
      : keep('verify', 'denied', { code: 'denied', detail });
  const probe = await attempt.rotator.probe(attempt.current);
  if (probe.r === 'denied') return unverified(attempt, detail);
  return keep(
    'verify',
    'not-effective',
    { code: probe.code, detail: 'the target acknowledged the new value but still wants the old one' },
    {
      outcome: 'human',
      health: 'not-effective',
      hint: 'is the login that is verified the account that was changed (user@host, replica, proxy)?',
    },
  );
}

const unverified = (attempt: Attempt, detail: string): Promise<Outcome> =>
  finish(attempt, {
    r: 'live',
    how: 'acknowledged',
    health: 'unverified',
    alarm: `the target took the new value, but no login could prove it: ${detail}`,
  });

/** Without grace nothing but the new value may stay valid on this account; a secondary left by earlier grace goes too. */
async function finish(attempt: Attempt, live: Extract<Outcome, { r: 'live' }>): Promise<Outcome> {
  if (attempt.retain || attempt.secret.account.usernames.length === 2) return live;
  const result = await attempt.rotator.retire(attempt.value);
  const replaced = attempt.actor === 'self' && attempt.secret.keyType === undefined;
  if (result.r === 'retired' || replaced) return live;
  const alarm = `an older password may still be accepted: ${result.detail}`;
  return { ...live, alarm: live.alarm ? `${live.alarm}; ${alarm}` : alarm };
}
