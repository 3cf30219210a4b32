/**
 * Does a plan: phases in the order of protocol §4.5, waves within a phase. A failure stays with its secret.
 * Whenever the process dies, the remote holds everything that a rerun needs.
 */
import type { Desired } from '../manifests/model.ts';
import { SpareLogins } from '../targets/spare.ts';
import type { Action, Plan, Result } from './model.ts';
import { effective } from './plan.ts';
import { endedBy } from './retire-issued.ts';
import { Together } from './together.ts';
import { upkeep } from './upkeep.ts';
import { rotateAll } from './waves.ts';
import { credentialSecrets, type World } from './world.ts';

/** Never more claims in one push: few unknowns after a crash, all done well within half a lease. */
const waveSize = 32;

export async function apply(plan: Plan, desired: Desired, world: World): Promise<Result[]> {
  const spare = new SpareLogins();
  try {
    return await inPhases(plan, desired, { ...world, spare, together: new Together(world.ledger) });
  } finally {
    await spare.close();
  }
}

async function inPhases(plan: Plan, desired: Desired, world: World): Promise<Result[]> {
  const results: Result[] = [];
  const done = (result: Result): void => {
    results.push(result);
    world.emit({ kind: 'done', result });
  };
  for (const { actions, size } of phases(effective(plan), credentialSecrets(desired))) {
    const [rotations, others] = partition(actions, (a) => a.verb === 'rotate' || a.verb === 'resume');
    if (others.length > 0) for (const result of await upkeep(others, desired, world)) done(result);
    if (rotations.length > 0) await rotateAll(rotations, size, desired, world, done);
    const ended = endedBy(rotations, world);
    if (ended.length > 0) for (const result of await upkeep(ended, desired, world)) done(result);
  }
  return results;
}

/** Targets' credentials are recovered first and rotated last, one at a time. */
function phases(
  actions: readonly Action[],
  credentials: ReadonlySet<string>,
): { actions: Action[]; size: number }[] {
  const pick = (verbs: string[], admin: boolean): Action[] =>
    actions.filter((a) => verbs.includes(a.verb) && credentials.has(a.secret) === admin);
  return [
    { actions: pick(['resume'], true), size: 1 },
    { actions: pick(['adopt'], true), size: 1 },
    { actions: pick(['resume'], false), size: waveSize },
    { actions: pick(['adopt', 'retire', 'rekey', 'verify'], false), size: waveSize },
    { actions: pick(['retire', 'rekey', 'verify'], true), size: 1 },
    { actions: pick(['rotate'], false), size: waveSize },
    { actions: pick(['rotate'], true), size: 1 },
  ].filter((phase) => phase.actions.length > 0);
}

function partition<T>(all: readonly T[], is: (item: T) => boolean): [T[], T[]] {
  return [all.filter(is), all.filter((item) => !is(item))];
}
