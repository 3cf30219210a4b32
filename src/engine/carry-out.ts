/** A claimed rotation through the machine of its kind, to what its record says then. */
import type { Desired } from '../manifests/model.ts';
import { type Conclusion, conclude } from './conclude.ts';
import { concludeHosts } from './conclude-hosts.ts';
import { concludeIssued } from './conclude-issued.ts';
import { concludeSlot } from './conclude-slot.ts';
import type { Result } from './model.ts';
import type { Item, Prepared } from './prepare.ts';
import { reread } from './read-slot.ts';
import { rotateChosen } from './rotate-chosen.ts';
import { rotateGiven } from './rotate-given.ts';
import { rotateHosts } from './rotate-hosts.ts';
import { rotateIssued } from './rotate-issued.ts';
import { rotateSlot } from './rotate-slot.ts';
import { failureResult } from './trouble.ts';
import type { World } from './world.ts';

export type Carried = Extract<Prepared, { r: 'ready' }>['attempt'];
export type Concluded = Conclusion & {
  item: Item;
  /** Somebody else had the claim before or has it now: what is at the target is looked at once more. */
  again?: { always: boolean; look: () => Promise<boolean> };
};

/** Whatever happens, no connection stays open. */
export async function carryOut(
  item: Item,
  attempt: Carried,
  desired: Desired,
  world: World,
): Promise<Concluded> {
  try {
    if (attempt.machine === 'hosts') {
      const outcomes = await rotateHosts(attempt, world);
      return { item, ...concludeHosts(item.action, attempt, outcomes, world.ledger, world.clock.now()) };
    }
    if (attempt.machine === 'slots') {
      const outcome = await rotateSlot(attempt, world);
      const conclusion = concludeSlot(item.action, attempt, outcome, world.ledger, world.clock.now());
      const { secret, driver, record } = attempt;
      const always = outcome.r === 'lost' || (record.pending?.claim.attempt ?? 1) > 1;
      const before = record.pending?.baseline.slot;
      const look = () => reread(secret, driver, before, desired, world);
      return { item, ...conclusion, again: { always, look } };
    }
    if (attempt.machine === 'issued') {
      const outcome = await rotateIssued(attempt, world);
      return { item, ...concludeIssued(item.action, attempt, outcome, world.ledger, world.clock.now()) };
    }
    const outcome =
      attempt.machine === 'given' ? await rotateGiven(attempt, world) : await rotateChosen(attempt, world);
    return { item, ...conclude(item.action, attempt, outcome, world.ledger, world.clock.now()) };
  } catch (error) {
    const result = { ...failureResult(item.action, error), left: 'unknown' as const };
    return { item, change: null, redraw: false, result };
  } finally {
    await attempt.rotator.close();
  }
}

/** Of two runs that did the same: what the target holds now is recorded, whoever was last. */
export async function after(result: Result, look: () => Promise<boolean>): Promise<Result> {
  const found = await look().catch(() => false);
  return found
    ? {
        ...result,
        outcome: 'done',
        left: 'changed',
        detail: 'two runs renewed it: what it holds now is recorded',
      }
    : result;
}
