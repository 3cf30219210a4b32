import { describe, expect, test } from 'vitest';
import { tally } from '../tally.ts';
import { explore } from './explorer.ts';
import { ptype } from './ptype.ts';
import type { Config as PConfig } from './ptype-state.ts';
import { rtype } from './rtype.ts';
import type { Config as RConfig } from './rtype-state.ts';

/**
 * State counts, verdicts and trace lengths are those of the models that the protocol was designed with, at
 * their default bounds: a count that moves means that a rule changed.
 */
interface Passes {
  states: number;
  wrongProbes?: number;
}

interface Fails {
  states: number;
  invariant: string;
  /** Length of a shortest way there. */
  within: number;
}

const p: PConfig = {
  runners: 2,
  rotations: 2,
  crashes: 1,
  ambiguous: 2,
  refusals: 1,
  retain: 3,
  as: 'target',
  lease: true,
};

describe('a value that we choose', () => {
  const dual = { dual: true, discard: true };
  const noLease = { lease: false };

  test.each<[string, Partial<PConfig>, Passes]>([
    ['set by the target', {}, { states: 17_603, wrongProbes: 1 }],
    ['set by the target, with a history policy', { history: true }, { states: 17_603, wrongProbes: 1 }],
    ['set by the account', { as: 'self' }, { states: 17_912, wrongProbes: 1 }],
    [
      'set by the account, with a history policy',
      { as: 'self', history: true },
      { states: 17_912, wrongProbes: 1 },
    ],
    ['set again blindly on takeover', { blind: true }, { states: 19_096, wrongProbes: 0 }],
    [
      'set again blindly, with a history policy',
      { blind: true, history: true },
      { states: 20_373, wrongProbes: 0 },
    ],
    ['dual password with a witness', { ...dual, witness: true }, { states: 22_701, wrongProbes: 1 }],
    ['dual password without a witness', dual, { states: 22_701, wrongProbes: 1 }],
    ['no lease, drift allowed', { ...noLease, driftAllowed: true }, { states: 14_218, wrongProbes: 2 }],
    [
      'no lease, set by the account, drift allowed',
      { ...noLease, as: 'self', driftAllowed: true },
      { states: 13_476, wrongProbes: 2 },
    ],
    [
      'no lease, one value retained, two rotations, drift allowed',
      { ...noLease, retain: 1, driftAllowed: true },
      { states: 13_968, wrongProbes: 2 },
    ],
  ])('is never lost: %s', (_, config, { states, wrongProbes }) => {
    tally('states', states);
    expect(explore(ptype({ ...p, ...config }))).toEqual({
      states,
      maxWrongProbes: wrongProbes,
      violation: undefined,
    });
  });

  test.each<[string, Partial<PConfig>, Fails]>([
    ['no lease', noLease, { invariant: 'I3', states: 3437, within: 12 }],
    [
      'no lease, set by the account',
      { ...noLease, as: 'self' },
      { invariant: 'I3', states: 3437, within: 12 },
    ],
    [
      'no lease with a dual password',
      { ...noLease, ...dual, witness: true, driftAllowed: true },
      { invariant: 'I5', states: 8540, within: 15 },
    ],
    [
      'no lease and one value retained over three rotations',
      { ...noLease, retain: 1, rotations: 3, driftAllowed: true },
      { invariant: 'I1', states: 28_810, within: 23 },
    ],
    [
      'a dual password set again blindly',
      { ...dual, blind: true },
      { invariant: 'I5', states: 940, within: 9 },
    ],
    ['no journal', { mutant: 'nojournal' }, { invariant: 'I1', states: 3, within: 2 }],
    ['the journal after SET', { mutant: 'latejournal' }, { invariant: 'I1', states: 3, within: 2 }],
    ['pending dropped on an error', { mutant: 'drop-on-error' }, { invariant: 'I1', states: 50, within: 5 }],
    [
      'pending dropped on a refusal',
      { mutant: 'drop-on-reject', blind: true, history: true },
      { invariant: 'I2', states: 20, within: 4 },
    ],
    [
      'abandoned values forgotten',
      { mutant: 'forget-abandoned', ...noLease, driftAllowed: true },
      { invariant: 'I1', states: 2439, within: 11 },
    ],
    [
      'a takeover with a new value',
      { mutant: 'takeover-newvalue' },
      { invariant: 'I1', states: 244, within: 7 },
    ],
    [
      'a takeover with a new value, set by the account',
      { mutant: 'takeover-newvalue', as: 'self' },
      { invariant: 'I2', states: 20, within: 4 },
    ],
    ['no fence', { mutant: 'nofence' }, { invariant: 'I3', states: 5227, within: 13 }],
  ])('the checker sees what is wrong with %s', (_, config, fails) => {
    expectViolation(explore(ptype({ ...p, ...config })), fails);
  });
});

const r: RConfig = {
  runners: 2,
  rotations: 2,
  kills: 1,
  evictions: 1,
  ambiguous: 2,
  lease: true,
  sweep: true,
  exclusive: true,
};

describe('a value that the target issues', () => {
  const shared = { sweep: false, exclusive: false };

  test.each<[string, Partial<RConfig>, Passes]>([
    ['one key at the start', {}, { states: 233_061 }],
    ['both slots taken at the start', { hasPrevious: true }, { states: 183_646 }],
    ["somebody else's key in the second slot", { ...shared, foreign: true }, { states: 1505 }],
    ['an account that is not ours alone', shared, { states: 233_061 }],
    ['no lease', { lease: false }, { states: 130_438 }],
    ['no lease, no sweep', { lease: false, sweep: false }, { states: 130_438 }],
  ])('is never lost: %s', (_, config, { states }) => {
    tally('states', states);
    expect(explore(rtype({ ...r, ...config }))).toEqual({ states, maxWrongProbes: 0, violation: undefined });
  });

  test.each<[string, Partial<RConfig>, Fails]>([
    ['a stale spool', { ...shared, mutant: 'stale-spool' }, { invariant: 'J3', states: 18_116, within: 16 }],
    [
      'an unjournalled delete',
      { lease: false, mutant: 'unjournaled-delete' },
      { invariant: 'J1', states: 10_933, within: 16 },
    ],
    [
      'the old key deactivated first',
      { mutant: 'deactivate-first' },
      { invariant: 'J1', states: 25, within: 4 },
    ],
    ['the old key deleted first', { mutant: 'del-old-first' }, { invariant: 'J1', states: 145, within: 6 }],
    [
      'no baseline beside a foreign key',
      { ...shared, foreign: true, mutant: 'nobaseline' },
      { invariant: 'J4', states: 61, within: 5 },
    ],
    [
      'a blind compensation',
      { lease: false, mutant: 'compensate-blind' },
      { invariant: 'J1', states: 7035, within: 13 },
    ],
  ])('the checker sees what is wrong with %s', (_, config, fails) => {
    expectViolation(explore(rtype({ ...r, ...config })), fails);
  });
});

function expectViolation({ states, violation }: ReturnType<typeof explore>, expected: Fails): void {
  expect(violation?.why).toMatch(new RegExp(`^${expected.invariant} `));
  expect(violation?.trace.length).toBeGreaterThan(1);
  expect(violation?.trace.length).toBeLessThanOrEqual(expected.within);
  expect(states).toBe(expected.states);
  tally('broken rules seen', 1);
}
