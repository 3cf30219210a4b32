/** Protocol §12.3(b) for values that the target keeps in slots: the real engine, crashed and interrupted at every effect. */
import { describe, expect, test, vi } from 'vitest';
import { firstSeed } from '../fuzz/seeds.ts';
import { tally } from '../tally.ts';
import { type Budget, play, Violation } from './explore.ts';
import { everyChoice, randomly } from './scheduler.ts';
import { mutants } from './slots-mutants.ts';
import { type Setup, setup, universe } from './world.ts';

vi.setConfig({ testTimeout: 240_000 });

const setups: Record<string, Setup> = {
  'one slot': setup({ slots: { pair: false, lags: false } }),
  'a pair': setup({ slots: { pair: true, lags: false } }),
  'one slot, shown late': setup({ slots: { pair: false, lags: true } }),
  'a pair, shown late': setup({ slots: { pair: true, lags: true } }),
  'one slot, new here': setup({ slots: { pair: false, lags: false }, adopted: false }),
  'a pair, new here': setup({ slots: { pair: true, lags: false }, adopted: false }),
};

const none: Budget = { runs: 1, sideBySide: 1, faults: 0, switches: 0, jumps: 0, months: 0 };
const busy: Budget = { runs: 5, sideBySide: 2, faults: 4, switches: 20, jumps: 4, months: 2 };
/** Two at once, or three: a seed is one or the other. */
const crowd = (seed: number): Budget => ({ ...busy, runs: 5 + (seed % 2), sideBySide: 2 + (seed % 2) });

describe('one process and every single fault', () => {
  test.each(Object.entries(setups))('%s', async (_, rules) => {
    const start = await universe(rules);
    const schedules = await everyChoice((choose) => play(start, { ...none, faults: 1 }, choose));
    tally('schedules one by one', schedules);
    expect(schedules).toBeGreaterThan(5);
  });
});

describe('several processes at random', () => {
  const wanted = process.env.KEYTURN_SCHEDULE;
  const first = wanted === undefined ? firstSeed : Number(wanted);
  const count = wanted === undefined ? Number(process.env.KEYTURN_SCHEDULES ?? 125) : 1;
  test.each(Object.entries(setups))(`%s, seeds ${first} to ${first + count - 1}`, async (_, rules) => {
    const start = await universe(rules);
    for (let seed = first; seed < first + count; seed += 1)
      await play(start, crowd(seed), randomly(seed)).catch((error: Error) => {
        throw new Error(`KEYTURN_SCHEDULE=${seed} replays it: ${error.message}`);
      });
    tally('random schedules', count);
  });
});

describe('the promises are seen to break when', () => {
  test.each(Object.entries(mutants))('%s', async (_, { broken, setup: name, promise }) => {
    const rules = setups[name];
    if (!rules) throw new Error(`no setup ${name}`);
    const start = await universe(rules);
    for (let seed = 1; seed <= 3000; seed += 1) {
      const found = await play(start, busy, randomly(seed), broken).catch((error: unknown) => error);
      if (found === undefined) continue;
      expect(found).toBeInstanceOf(Violation);
      expect(String((found as Violation).message)).toMatch(promise);
      tally('broken engines seen', 1);
      return;
    }
    throw new Error('3000 schedules did not show it');
  });
});
