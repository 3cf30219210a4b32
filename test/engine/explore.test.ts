/** Values that keyturn chooses: the real engine, crashed and interrupted at every effect. */
import { describe, expect, test } from 'vitest';
import { tally } from '../tally.ts';
import { explore, none } from './exploration.ts';
import { type Budget, play } from './explore.ts';
import { mutants } from './mutants.ts';
import { everyChoice } from './scheduler.ts';
import { day } from './schedules.ts';
import { type Setup, setup, universe } from './world.ts';

const setups: Record<string, Setup> = {
  'single value, by the target': setup({}),
  'single value, by the target, with a witness': setup({ rules: { witness: true } }),
  'single value, by the target, history': setup({ rules: { history: true } }),
  'single value, a witness of changes alone, one refusal': setup({
    rules: { witness: 'changes' },
    refusals: 1,
  }),
  'single value, a witness of changes alone, late': setup({ rules: { witness: 'late' } }),
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

explore({
  ...{ setups, mutants, least: 20 },
  busy: { runs: 5, sideBySide: 2, faults: 3, switches: 20, jumps: 4, months: 1 },
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
