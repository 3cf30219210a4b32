/**
 * Does a plan: phases in the order of protocol §4.5, waves within a phase, secrets of a wave side by side.
 * One push carries a wave's claims together with what the wave before it concluded (G7). A failure stays
 * with its secret. Whenever the process dies, the remote holds everything that a rerun needs.
 */
import pLimit from 'p-limit';
import type { Desired } from '../manifests/model.ts';
import type { Change, CommitOutcome } from '../state/ledger.ts';
import { SpareLogins } from '../targets/spare.ts';
import { base, type Conclusion, conclude, notNow, redraws } from './conclude.ts';
import { concludeHosts } from './conclude-hosts.ts';
import { concludeIssued } from './conclude-issued.ts';
import { concludeSlot } from './conclude-slot.ts';
import type { Action, Plan, Result } from './model.ts';
import { effective } from './plan.ts';
import { type Item, type Prepared, prepare } from './prepare.ts';
import { reread } from './read-slot.ts';
import { endedBy } from './retire-issued.ts';
import { rotateChosen } from './rotate-chosen.ts';
import { rotateGiven } from './rotate-given.ts';
import { rotateHosts } from './rotate-hosts.ts';
import { rotateIssued } from './rotate-issued.ts';
import { rotateSlot } from './rotate-slot.ts';
import { failureResult } from './trouble.ts';
import { upkeep } from './upkeep.ts';
import { credentialSecrets, type World } from './world.ts';

/** Never more claims in one push: few unknowns after a crash, all done well within half a lease. */
const waveSize = 32;

export async function apply(plan: Plan, desired: Desired, world: World): Promise<Result[]> {
  const spare = new SpareLogins();
  try {
    return await inPhases(plan, desired, { ...world, spare });
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

type Carried = Extract<Prepared, { r: 'ready' }>['attempt'];
type Concluded = Conclusion & {
  item: Item;
  /** Somebody else had the claim before or has it now: what is at the target is looked at once more. */
  again?: { always: boolean; look: () => Promise<boolean> };
};

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
  const limits = new Map([...desired.targets.values()].map((t) => [t.name, pLimit(t.concurrency)]));
  const sideBySide = <T>(target: string, work: () => Promise<T>): Promise<T> =>
    (limits.get(target) ?? pLimit(1))(work);

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
        sideBySide(item.secret.target, () => carryOut(item, attempt, desired, world)),
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

async function carryOut(item: Item, attempt: Carried, desired: Desired, world: World): Promise<Concluded> {
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
      return { item, ...conclusion, again: { always, look: () => reread(secret, driver, desired, world) } };
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

async function after(result: Result, look: () => Promise<boolean>): Promise<Result> {
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

/** Claims of this wave and conclusions of the last, in one segment. Null when there was nothing to say. */
async function push(claims: Change[], concluded: Concluded[], world: World): Promise<CommitOutcome | null> {
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
function told(result: Result, change: Change | null, outcome: CommitOutcome): Result {
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

function claimProblem(outcome: CommitOutcome, change: Change): Partial<Result> | null {
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

const stopped = (action: Action): Result => ({
  ...base(action),
  outcome: 'waiting',
  detail: 'the run was asked to stop',
});

function partition<T>(all: readonly T[], is: (item: T) => boolean): [T[], T[]] {
  return [all.filter(is), all.filter((item) => !is(item))];
}
