/**
 * Does a plan: phases in the order of protocol §4.5, waves within a phase, secrets of a wave side by side.
 * One push carries a wave's claims together with what the wave before it concluded (G7). A failure stays
 * with its secret. Whenever the process dies, the remote holds everything that a rerun needs.
 */
import type { Desired } from '../manifests/model.ts';
import type { Change } from '../state/ledger.ts';
import { SpareLogins } from '../targets/spare.ts';
import { after, type Carried, type Concluded, carryOut } from './carry-out.ts';
import { base, notNow, redraws } from './conclude.ts';
import type { Action, Plan, Result } from './model.ts';
import { Places } from './places.ts';
import { effective } from './plan.ts';
import { type Item, type Prepared, prepare } from './prepare.ts';
import { claimProblem, push, told } from './push.ts';
import { endedBy } from './retire-issued.ts';
import { Together } from './together.ts';
import { failureResult } from './trouble.ts';
import { upkeep } from './upkeep.ts';
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

async function rotateAll(
  actions: readonly Action[],
  size: number,
  desired: Desired,
  world: World,
  done: (result: Result) => void,
): Promise<void> {
  const queue: Item[] = actions.flatMap((action) => {
    const secret = desired.secrets.get(action.secret);
    return secret ? [{ action, secret, refusals: 0 }] : [];
  });
  const places = new Map([...desired.targets.values()].map((t) => [t.name, new Places(t.concurrency)]));
  const sideBySide = <T>(target: string, work: (world: World) => Promise<T>): Promise<T> =>
    (places.get(target) ?? new Places(1)).within(work, world);

  let concluded: Concluded[] = [];
  while (queue.length > 0 || concluded.length > 0) {
    const wave = world.stopping() ? [] : queue.splice(0, size);
    if (world.stopping()) for (const item of queue.splice(0)) done(stopped(item.action));
    const prepared = await Promise.all(
      wave.map((item) => sideBySide(item.secret.target, () => prepareSafely(item, desired, world))),
    );
    const ready: { item: Item; attempt: Carried; change: Change }[] = [];
    for (const { item, prepared: p, trouble } of prepared) {
      if (trouble) done(trouble);
      else if (p?.r === 'ready') ready.push({ item, attempt: p.attempt, change: p.change });
      else if (p) concluded.push({ item, ...notNow(item.action, p.record, p.keep, world.clock.now()) });
    }
    const outcome = await push(
      ready.map((r) => r.change),
      concluded,
      world,
    );
    for (const { item, result, redraw, change, again } of concluded) {
      const pushed = outcome ? told(result, change, outcome) : result;
      const settled = again && (again.always || pushed !== result) ? await after(pushed, again.look) : pushed;
      if (redraw && settled === result && item.refusals + 1 < redraws && item.action.restore === undefined)
        queue.push({ ...item, refusals: item.refusals + 1, action: { ...item.action, verb: 'rotate' } });
      else done(settled);
    }
    concluded = [];
    if (ready.length === 0) continue;
    const mine = ready.filter(({ change, attempt, item }) => {
      const problem = outcome && claimProblem(outcome, change);
      if (problem) {
        done({ ...base(item.action), ...problem });
        void attempt.rotator.close();
      }
      return !problem;
    });
    if (mine.length > 0) await world.ledger.refresh().catch(() => undefined);
    concluded = await Promise.all(
      mine.map(({ item, attempt }) =>
        sideBySide(item.secret.target, (inPlace) => carryOut(item, attempt, desired, inPlace)),
      ),
    );
  }
}

async function prepareSafely(
  item: Item,
  desired: Desired,
  world: World,
): Promise<{ item: Item; prepared?: Prepared; trouble?: Result }> {
  try {
    const prepared = await prepare(item, desired, world);
    if (prepared.r === 'ready')
      for (const text of prepared.warnings)
        world.emit({ kind: 'note', level: 'warning', secret: item.secret.name, text });
    return { item, prepared };
  } catch (error) {
    return { item, trouble: failureResult(item.action, error) };
  }
}

const stopped = (action: Action): Result => ({
  ...base(action),
  outcome: 'waiting',
  detail: 'the run was asked to stop',
});

function partition<T>(all: readonly T[], is: (item: T) => boolean): [T[], T[]] {
  return [all.filter(is), all.filter((item) => !is(item))];
}
