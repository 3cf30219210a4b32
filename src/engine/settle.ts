/**
 * Which value is live? The recovery table of protocol §3.3: witness first, then, where the target's
 * credentials can set it without harm, no question at all, then one login with the pending value and at
 * most one with the current one. Never more than that, so that nobody is locked out by our asking.
 */
import { type Attempt, type Keep, keep, type Outcome } from './attempt.ts';
import type { World } from './world.ts';

export type Settled =
  | Extract<Outcome, { r: 'live' }>
  | Keep
  /** Not applied, or harmless to apply again: SET the same value. */
  | { r: 'set'; proven: boolean };

const probingPause = 24 * 3_600_000;

export async function settle(attempt: Attempt, world: World): Promise<Settled> {
  const { rotator, value, actor, retain } = attempt;
  const baseline = attempt.record.pending?.baseline ?? {};
  const witness = await rotator.witness(value, baseline);
  if (witness === 'applied') return { r: 'live', how: 'witness', health: 'ok', alarm: null };
  if (witness === 'not-applied') return { r: 'set', proven: false };
  if (actor === 'target' && !retain) return { r: 'set', proven: false };
  return ask(attempt, world);
}

/** The part of the table that costs a login. */
export async function ask(attempt: Attempt, world: World): Promise<Settled> {
  const { rotator, value, actor, record } = attempt;
  const privileged = actor === 'target';
  const pause = record.sched.probeAfter;
  if (pause !== null && Date.parse(pause) > world.clock.now().getTime())
    return privileged
      ? { r: 'set', proven: false }
      : keep('observe', 'blocked', {
          code: 'paused',
          detail: `the account may be locked; no login is tried before ${pause}`,
        });

  // Where both values may be accepted, the current one says nothing about the pending one.
  const currentFirst = record.sched.lastError?.class === 'half-known' && !attempt.retain;
  if (currentFirst) {
    const first = await tryCurrent(attempt);
    if (first !== 'denied') return first;
  }
  const probe = await rotator.probe(value);
  switch (probe.r) {
    case 'ok':
      return { r: 'live', how: 'login', health: 'ok', alarm: null };
    case 'ok-restricted':
      return privileged && !attempt.retain
        ? { r: 'set', proven: false }
        : {
            r: 'live',
            how: 'login',
            health: 'restricted',
            alarm: `the new value is right, but ${probe.detail}`,
          };
    case 'blocked':
      return privileged
        ? { r: 'set', proven: false }
        : keep('observe', 'blocked', probe, {
            probeAfter: new Date(world.clock.now().getTime() + probingPause).toISOString(),
            hint: 'unlock the account at the target, then keyturn unlock',
          });
    case 'unreachable':
    case 'inconclusive':
      return keep('observe', probe.r, probe);
    case 'denied': {
      if (currentFirst) return neither(attempt);
      const current = await tryCurrent(attempt);
      return current === 'denied' ? neither(attempt) : current;
    }
  }
}

async function tryCurrent(attempt: Attempt): Promise<Settled | 'denied'> {
  if (!attempt.current) return 'denied';
  const probe = await attempt.rotator.probe(attempt.current);
  switch (probe.r) {
    case 'ok':
    case 'ok-restricted':
      return { r: 'set', proven: true };
    case 'denied':
      return 'denied';
    case 'blocked':
    case 'unreachable':
    case 'inconclusive':
      return keep('observe', 'half-known', {
        code: probe.code,
        detail: `the pending value is not accepted, and about the current one there is no answer: ${probe.detail}`,
      });
  }
}

/** Neither logs in. The target's credentials overwrite; an account that is alone tries one retained value a run. */
async function neither(attempt: Attempt): Promise<Settled> {
  const { actor, rotator, record } = attempt;
  if (actor === 'target') return { r: 'set', proven: false };
  const older = await attempt.older();
  const unknown = {
    code: 'neither',
    detail: 'the target accepts neither the pending nor the current value: somebody changed it',
  };
  if (!older)
    return keep('observe', 'unknown', unknown, {
      outcome: 'human',
      health: 'blocked',
      hint: `keyturn reconcile ${record.name} sets it with the target's credentials, keyturn adopt ${record.name} takes a value that you know`,
    });
  const probe = await rotator.probe(older.value);
  if (probe.r === 'ok' || probe.r === 'ok-restricted') {
    await rotator.close();
    attempt.current = older.value;
    attempt.rotator = attempt.withCurrent(older.value);
    return { r: 'set', proven: true };
  }
  return keep('observe', 'unknown', unknown, { health: 'drift', tried: older.v });
}
