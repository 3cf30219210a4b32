/**
 * The real command line, killed at random instants, against every server at once; judged after every death, and
 * brought to rest at the end: every secret logs in, nothing is pending, nothing at a target is unexplained, no value
 * is where it does not belong.
 */
import { createWorld } from '../crash/world.ts';
import { diceOf } from '../fuzz/seeds.ts';
import { startFleet } from './fleet.ts';
import { Tour } from './tour.ts';

export interface SoakReport {
  seed: number;
  servers: string[];
  secrets: number;
  runs: number;
  killed: number;
  stopped: number;
  evicted: number;
  /** Versions that the state holds in the end. */
  rotations: number;
  /** Secrets found between a claim and its promotion. */
  halfway: number;
  /** Logins by plain clients. */
  logins: number;
  /** Processes whose command line and environment were read while they ran. */
  sampled: number;
  seconds: number;
  /** Everything that was lost, left over or leaked. */
  problems: string[];
}

/** Kills `kills` processes. `say` hears of progress, a line at a time. */
export async function soak(kills: number, seed: number, say: (line: string) => void): Promise<SoakReport> {
  const began = performance.now();
  const dice = diceOf(seed);
  const world = await createWorld({});
  const fleet = await startFleet(world).catch((error: unknown) => {
    world.remove();
    throw error;
  });
  const tour = new Tour(world, fleet, dice);
  const unwatch = fleet.pids.map(([where, pid]) => world.canary.watch(where, pid));
  try {
    await tour.begin();
    say(`${fleet.members.length} secrets on ${fleet.servers.join(', ')}`);
    for (let next = 10; tour.report.killed < kills && tour.report.problems.length === 0; ) {
      await tour.round();
      if (tour.report.killed >= next) {
        say(
          `${tour.report.killed} of ${kills} killed, ${tour.report.halfway} secrets found halfway, ${tour.report.problems.length} lost`,
        );
        next = tour.report.killed + 10;
      }
    }
    // what is lost is lost: nothing is tidied up over it
    if (tour.report.problems.length === 0) {
      await tour.rest();
      await tour.judge(fleet.members, true);
    }
    tour.scan();
  } finally {
    for (const end of unwatch) end();
    await fleet.stop();
    world.remove();
  }
  const { report } = tour;
  return {
    ...report,
    seed,
    servers: fleet.servers,
    secrets: fleet.members.length,
    sampled: world.canary.sampled,
    seconds: Math.round((performance.now() - began) / 1000),
  };
}
