/**
 * Protocol §12.3(b): what an explorer does with every setup of its machine, against the promises of §0.
 * `KEYTURN_SCHEDULE=7` plays seed 7 of every setup alone, `KEYTURN_SCHEDULES=1000` a thousand seeds of each.
 */
import { describe, expect, test, vi } from 'vitest';
import { firstSeed } from '../fuzz/seeds.ts';
import { tally } from '../tally.ts';
import { type Budget, play, Violation } from './explore.ts';
import { everyChoice, randomly } from './scheduler.ts';
import { type Broken, type Setup, universe } from './world.ts';

export const none: Budget = { runs: 1, sideBySide: 1, faults: 0, switches: 0, jumps: 0, months: 0 };

/** Milliseconds, on a busy machine: of thousands of schedules, and of each further one that was asked for. */
const patience = 240_000;
const patienceEach = 2_000;
const mostSeeds = 3_000;

export function explore(of: {
  setups: Record<string, Setup>;
  /** Engines with one rule broken: the setup that shows it, and the promise that it breaks. */
  mutants: Record<string, { broken: Broken; setup: string; promise: RegExp }>;
  /** What several processes may do to each other. */
  busy: Budget;
  /** Fewer schedules of one process than this mean that nothing was explored. */
  least: number;
}): void {
  const { setups, mutants, busy, least } = of;
  vi.setConfig({ testTimeout: patience });

  describe('one process and every single fault', () => {
    test.each(Object.entries(setups))('%s', async (_, setup) => {
      const start = await universe(setup);
      const schedules = await everyChoice((choose) => play(start, { ...none, faults: 1 }, choose));
      tally('schedules one by one', schedules);
      expect(schedules).toBeGreaterThan(least);
    });
  });

  describe('several processes at random', () => {
    const wanted = process.env.KEYTURN_SCHEDULE;
    const first = wanted === undefined ? firstSeed : Number(wanted);
    const count = wanted === undefined ? Number(process.env.KEYTURN_SCHEDULES ?? 125) : 1;
    /** Two at once, or three: a seed is one or the other. */
    const crowd = (seed: number): Budget => ({ ...busy, runs: 5 + (seed % 2), sideBySide: 2 + (seed % 2) });
    test.each(Object.entries(setups))(
      `%s, seeds ${first} to ${first + count - 1}`,
      async (_, setup) => {
        const start = await universe(setup);
        for (let seed = first; seed < first + count; seed += 1)
          await play(start, crowd(seed), randomly(seed)).catch((error: Error) => {
            throw new Error(`KEYTURN_SCHEDULE=${seed} replays it: ${error.message}`);
          });
        tally('random schedules', count);
      },
      patience + count * patienceEach,
    );
  });

  describe('the promises are seen to break when', () => {
    test.each(Object.entries(mutants))('%s', async (_, { broken, setup: name, promise }) => {
      const setup = setups[name];
      if (!setup) throw new Error(`no setup ${name}`);
      const start = await universe(setup);
      for (let seed = 1; seed <= mostSeeds; seed += 1) {
        const found = await play(start, busy, randomly(seed), broken).catch((error: unknown) => error);
        if (found === undefined) continue;
        expect(found).toBeInstanceOf(Violation);
        expect(String((found as Violation).message)).toMatch(promise);
        tally('broken engines seen', 1);
        return;
      }
      throw new Error(`${mostSeeds} schedules did not show it`);
    });
  });
}
