/**
 * Protocol §12.3(b): the real engine, crashed and interrupted at every effect, against the promises of §0.
 * `KEYTURN_SCHEDULE=7` plays seed 7 of every setup alone, `KEYTURN_SCHEDULES=1000` a thousand seeds of each.
 */
import { describe, expect, test, vi } from 'vitest';
import { firstSeed } from '../fuzz/seeds.ts';
import { tally } from '../tally.ts';
import { type Budget, play, Violation } from './explore.ts';
import { mutants } from './mutants.ts';
import { everyChoice, randomly } from './scheduler.ts';
import { day } from './schedules.ts';
import { type Setup, setup, universe } from './world.ts';

// Thousands of schedules on a busy machine.
vi.setConfig({ testTimeout: 240_000 });

const setups: Record<string, Setup> = {
  'single value, by the target': setup({}),
  'single value, by the target, with a witness': setup({ rules: { witness: true } }),
  'single value, by the target, history': setup({ rules: { history: true } }),
  'single value, by the account': setup({ authenticateAs: 'user' }),
  'single value, by the account, history': setup({ authenticateAs: 'user', rules: { history: true } }),
  'two values, by the target': setup({ grace: day, rules: { overlap: 'dual' } }),
  'two values, by the target, witness, history': setup({
    grace: day,
    rules: { overlap: 'dual', witness: true, history: true },
  }),
  'two values, by the account': setup({ grace: day, authenticateAs: 'user', rules: { overlap: 'dual' } }),
  'two values but no grace, by the target': setup({ rules: { overlap: 'dual' } }),
  'two users': setup({ grace: day, rules: { overlap: 'alternate' } }),
  'two users, witness': setup({ grace: day, rules: { overlap: 'alternate', witness: true } }),
  'one policy refusal, by the target': setup({ refusals: 1 }),
  'one policy refusal, by the account': setup({ refusals: 1, authenticateAs: 'user' }),
  'the first version': setup({ adopted: false }),
  'three hosts, by their targets': setup({ hosts: 3 }),
  'two hosts, by their targets, witness, history': setup({
    hosts: 2,
    rules: { witness: true, history: true },
  }),
  'two hosts, by the account': setup({ hosts: 2, authenticateAs: 'user' }),
  'two hosts, two values': setup({ hosts: 2, grace: day, rules: { overlap: 'dual', witness: true } }),
  'two hosts, one policy refusal': setup({ hosts: 2, refusals: 1 }),
  'two hosts, the second of which refuses a value': setup({
    hosts: 2,
    refusals: 1,
    rules: { picky: 'db-2' },
  }),
  'two hosts, the second refuses a value, by the account': setup({
    hosts: 2,
    refusals: 1,
    authenticateAs: 'user',
    rules: { picky: 'db-2' },
  }),
  'two hosts, the first version': setup({ hosts: 2, adopted: false }),
  'two secrets, by the target': setup({ secrets: 2, refusals: 1 }),
  'two secrets, two values, by the account': setup({
    secrets: 2,
    grace: day,
    authenticateAs: 'user',
    rules: { overlap: 'dual' },
  }),
};

const none: Budget = { runs: 1, sideBySide: 1, faults: 0, switches: 0, jumps: 0, months: 0 };

describe('one process and every single fault', () => {
  test.each(Object.entries(setups))('%s', async (_, of) => {
    const start = await universe(of);
    const schedules = await everyChoice((choose) => play(start, { ...none, faults: 1 }, choose));
    tally('schedules one by one', schedules);
    expect(schedules).toBeGreaterThan(20);
  });
});

describe('two processes and every way to take turns', () => {
  const budget: Budget = { ...none, runs: 2, sideBySide: 2, switches: 2, jumps: 1 };
  test.each(['single value, by the target', 'two values, by the account'])('%s', async (name) => {
    const start = await universe(setups[name] ?? setup({}));
    const schedules = await everyChoice((choose) => play(start, budget, choose));
    tally('schedules one by one', schedules);
    expect(schedules).toBeGreaterThan(20);
  });
});

const busy: Budget = { runs: 5, sideBySide: 2, faults: 3, switches: 20, jumps: 4, months: 1 };
/** Two at once, or three: a seed is one or the other. */
const crowd = (seed: number): Budget => ({ ...busy, runs: 5 + (seed % 2), sideBySide: 2 + (seed % 2) });

describe('several processes at random', () => {
  const wanted = process.env.KEYTURN_SCHEDULE;
  const first = wanted === undefined ? firstSeed : Number(wanted);
  const count = wanted === undefined ? Number(process.env.KEYTURN_SCHEDULES ?? 125) : 1;
  test.each(Object.entries(setups))(`%s, seeds ${first} to ${first + count - 1}`, async (_, of) => {
    const start = await universe(of);
    for (let seed = first; seed < first + count; seed += 1)
      await play(start, crowd(seed), randomly(seed)).catch((error: Error) => {
        throw new Error(`KEYTURN_SCHEDULE=${seed} replays it: ${error.message}`);
      });
    tally('random schedules', count);
  });
});

describe('the promises are seen to break when', () => {
  test.each(Object.entries(mutants))('%s', async (_, { broken, setup: name, promise }) => {
    const of = setups[name];
    if (!of) throw new Error(`no setup ${name}`);
    const start = await universe(of);
    for (let seed = 1; seed <= 3000; seed += 1) {
      const found = await play(start, busy, randomly(seed), broken).catch((error: unknown) => error);
      if (found === undefined) continue;
      expect(found).toBeInstanceOf(Violation);
      expect(String((found as Violation).message)).toMatch(promise);
      tally('broken engines seen', 1);
      return;
    }
    throw new Error('1000 schedules did not show it');
  });
});
