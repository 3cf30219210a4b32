/** Schedules of the real engine: several processes, faults and time, then a recovery that must end well. */
import { effective } from '../../src/engine/plan.ts';
import { KeyturnError } from '../../src/errors.ts';
import { hostNames } from './desired.ts';
import { leftovers } from './issuer-oracle.ts';
import { broken, internal, recorded } from './oracle.ts';
import { type Chooser, healthy, Puppet } from './scheduler.ts';
import { hour, minute } from './schedules.ts';
import { type Broken, fork, run, type Universe } from './world.ts';

/** How much may happen in one schedule. */
export interface Budget {
  /** Processes, one after the other or side by side. */
  runs: number;
  sideBySide: number;
  /** Effects that end in another way than `ok`. */
  faults: number;
  /** Times that somebody else goes on while the one before could have. */
  switches: number;
  /** Times that the clock jumps past a lease. */
  jumps: number;
  /** Times that it jumps by a month, so that the next rotation is due. */
  months: number;
}

export class Violation extends Error {
  constructor(found: readonly string[], trace: readonly string[]) {
    super(`${found.join('\n')}\n\nafter:\n${trace.map((line) => `  ${line}`).join('\n')}`);
  }
}

interface Move {
  label: string;
  weight: number;
  cost: keyof Budget | null;
  make: () => Promise<void> | void;
  who: Puppet | null;
}

/** Plays one schedule from a copy of `start`. Throws Violation at the first broken promise. */
export async function play(
  start: Universe,
  budget: Budget,
  choose: Chooser,
  mutant: Broken = {},
): Promise<void> {
  const world = fork(start);
  const left = { ...budget };
  const trace: string[] = [];
  const puppets: Puppet[] = [];
  let last: Puppet | null = null;
  const check = async (more: readonly string[] = []): Promise<void> => {
    const found = [...more, ...(await broken(world))];
    if (found.length > 0) throw new Violation(found, trace);
  };
  await check();
  for (;;) {
    const moves = movesOf(world, puppets, left, last, mutant);
    if (moves.length === 0) break;
    const move = moves.length === 1 ? moves[0] : moves[choose(moves.map(({ weight }) => weight))];
    if (!move) throw new Error('no such move');
    if (move.who && last?.parked && move.who !== last) left.switches -= 1;
    if (move.cost) left[move.cost] -= 1;
    trace.push(move.label);
    await move.make();
    last = move.who ?? last;
    const bug = move.who?.failure;
    await check(bug === undefined || bug instanceof KeyturnError ? [] : [`a run threw ${String(bug)}`]);
  }
  await recover(world, trace, check);
}

function movesOf(
  world: Universe,
  puppets: Puppet[],
  left: Budget,
  last: Puppet | null,
  mutant: Broken,
): Move[] {
  const moves: Move[] = [];
  const alive = puppets.filter((puppet) => puppet.parked !== null && puppet.state === 'alive');
  const maySwitch = !last?.parked || last.state !== 'alive' || left.switches > 0;
  for (const who of alive) {
    if (who !== last && !maySwitch) continue;
    for (const ending of who.parked?.endings ?? []) {
      if (ending !== 'ok' && left.faults === 0) continue;
      moves.push({
        label: `runner ${puppets.indexOf(who) + 1}: ${who.parked?.label} ${ending}`,
        // Whoever is under way mostly goes on, so that the others are away for long.
        weight: ending !== 'ok' ? 1 : who === last ? 60 : 3,
        cost: ending === 'ok' ? null : 'faults',
        make: () => who.go(ending),
        who,
      });
    }
  }
  if (last?.parked && !last.stopping && left.faults > 0)
    moves.push({
      label: `runner ${puppets.indexOf(last) + 1}: is asked to stop`,
      weight: 1,
      cost: 'faults',
      make: () => {
        last.stopping = true;
      },
      who: last,
    });
  if (left.runs > 0 && alive.length < left.sideBySide && (alive.length === 0 || maySwitch)) {
    const pid = puppets.length + 1;
    const who = new Puppet();
    moves.push({
      label: `runner ${pid}: starts`,
      weight: alive.length === 0 ? 60 : 5,
      cost: 'runs',
      make: () => {
        puppets.push(who);
        return who.start(async (hand) => {
          const { results } = await run(world, hand, pid, mutant);
          const bugs = internal(results);
          if (bugs.length > 0) throw new Error(bugs.join());
        });
      },
      who,
    });
  }
  // No call outlasts a lease (G6), so time does not jump while one that changes the target is under way.
  const mutating = ['set', 'retire', 'issue', 'disable', 'remove', 'renew'];
  const busy = alive.some(({ parked }) => parked !== null && mutating.includes(parked.label));
  const idleButDue = alive.length > 0 || left.runs > 0;
  const jump = (label: string, cost: 'jumps' | 'months', by: number): Move => ({
    label,
    weight: 3,
    cost,
    make: () => {
      world.time += by;
    },
    who: null,
  });
  if (left.jumps > 0 && !busy && idleButDue) moves.push(jump('26 minutes pass', 'jumps', 26 * minute));
  if (left.months > 0 && !busy && idleButDue) moves.push(jump('a month passes', 'months', 31 * 24 * hour));
  for (const [machine, disk] of world.spools.disks.entries())
    if (disk.size > 0 && left.faults > 0)
      moves.push({
        label: `machine ${machine} is evicted`,
        weight: 1,
        cost: 'faults',
        make: () => disk.clear(),
        who: null,
      });
  for (const commit of world.remote.inFlight)
    moves.push({
      label: `${commit} arrives`,
      weight: 3,
      cost: null,
      make: () => {
        world.remote.inFlight = world.remote.inFlight.filter((other) => other !== commit);
        world.remote.push(commit);
      },
      who: null,
    });
  return moves;
}

/** Everybody is dead; healthy runs must end with nothing pending and the current value live (I2), and then rest. */
async function recover(
  world: Universe,
  trace: string[],
  check: (more?: readonly string[]) => Promise<void>,
): Promise<void> {
  world.remote.inFlight = [];
  world.target.refusals = Math.min(world.target.refusals, 1);
  await untilQuiet(world, trace, check);
  if (world.setup.issues || world.setup.slots) {
    // What a claim's late owner made shows itself to the next rotation.
    world.time += 31 * 24 * hour;
    await untilQuiet(world, trace, check);
  }
  const wasBlocked = trace.some((line) => line.endsWith('probe blocked'));
  await check(await quiet(world, wasBlocked));
}

async function untilQuiet(
  world: Universe,
  trace: string[],
  check: (more?: readonly string[]) => Promise<void>,
): Promise<void> {
  for (let round = 1; ; round += 1) {
    world.time += 30 * minute;
    world.target.wrongAttempts = 0;
    const pushes = world.remote.pushes;
    const { plan, results } = await run(world, healthy, 1000 + round);
    trace.push(
      `healthy run ${round}: ${results.map((r) => `${r.verb} ${r.outcome}: ${r.detail}`).join('; ') || 'nothing to do'}`,
    );
    const wrong = world.target.wrongAttempts;
    await check([
      ...internal(results),
      ...(wrong > world.desired.secrets.size * world.setup.hosts
        ? [`I4: ${wrong} wrong passwords in one run`]
        : []),
    ]);
    const pending = (await recorded(world)).filter((record) => record.pending !== null);
    // What only a person can end is asked for again in every run, and changes nothing.
    const waits = results.length > 0 && results.every(({ outcome }) => outcome === 'human');
    const still = waits && world.remote.pushes === pushes;
    if ((effective(plan).length === 0 || still) && pending.length === 0) {
      if (world.remote.pushes !== pushes) await check(['a run with nothing to do pushed']);
      break;
    }
    if (round > 60) await check([`I2: not quiet after ${round} healthy runs`]);
    if (effective(plan).length === 0) world.time += 6 * hour;
  }
}

/** Nothing but current and retiring versions is accepted, and health is ok, or unverified after a blocked login (§3.5). */
async function quiet(world: Universe, wasBlocked: boolean): Promise<string[]> {
  const found: string[] = [];
  for (const record of await recorded(world)) {
    const { name, health, current } = record;
    if (current === null) found.push(`I2: ${name} has no current version`);
    if (health !== 'ok' && !(wasBlocked && health === 'unverified'))
      found.push(`I2: the health of ${name} is ${health} in the end`);
    if (world.setup.issues) {
      found.push(...leftovers(world, record));
      continue;
    }
    if (world.setup.slots) continue;
    const behind = Object.values(record.hosts ?? {}).filter(({ v }) => v !== current);
    if (behind.length > 0) found.push(`I2: ${behind.length} hosts of ${name} lack v${current} in the end`);
    const working = Object.values(record.versions).filter(
      (version) => version.stage === 'current' || version.stage === 'retiring',
    );
    const users = world.desired.secrets.get(name)?.account.usernames ?? [];
    for (const host of hostNames(world.setup)) {
      const accepted = users.flatMap((user) => world.target.acceptedFor(world.target.nameOf(user, host)));
      if (accepted.length > working.length)
        found.push(
          `${accepted.length} values of ${name} are accepted, ${working.length} are current or retiring`,
        );
    }
  }
  return found;
}
