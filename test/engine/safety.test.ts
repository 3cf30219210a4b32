import { describe, expect, test } from 'vitest';
import type { Action, Verb } from '../../src/engine/model.ts';
import { unsafeReasons } from '../../src/engine/safety.ts';
import { frozen } from './wishes-and-records.ts';

const actions = (verb: Verb, count: number): Action[] =>
  Array.from({ length: count }, (_, index) => ({
    verb,
    secret: `s${index}`,
    uid: '',
    target: 'db',
    from: null,
    to: null,
    why: null,
    reason: '',
  }));

describe('a plan is unsafe when', () => {
  test.each<[string, number, number, { maxRotations: number; maxShare: number }, string[]]>([
    ['nothing rotates', 0, 100, { maxRotations: 0, maxShare: 0 }, []],
    ['there is nothing at all', 0, 0, { maxRotations: 20, maxShare: 0.5 }, []],
    ['as many rotate as may', 20, 100, { maxRotations: 20, maxShare: 0.5 }, []],
    [
      'one more rotates than may',
      21,
      100,
      { maxRotations: 20, maxShare: 0.5 },
      ['21 rotations are more than limits.maxRotations (20)'],
    ],
    ['exactly the share rotates', 5, 10, { maxRotations: 20, maxShare: 0.5 }, []],
    [
      'more than the share rotates',
      6,
      10,
      { maxRotations: 20, maxShare: 0.5 },
      ['60% of 10 secrets would rotate, more than limits.maxShare (50%)'],
    ],
    ['all of fewer than ten rotate', 9, 9, { maxRotations: 20, maxShare: 0.5 }, []],
    [
      'both',
      30,
      30,
      { maxRotations: 20, maxShare: 0.25 },
      [
        '30 rotations are more than limits.maxRotations (20)',
        '100% of 30 secrets would rotate, more than limits.maxShare (25%)',
      ],
    ],
  ])('%s', (_, rotating, total, limits, reasons) => {
    expect(unsafeReasons(frozen(actions('rotate', rotating)), total, frozen(limits))).toEqual(reasons);
  });

  test('only rotations count: whatever recovers, retires, re-encrypts or waits is always safe', () => {
    const others: Verb[] = ['adopt', 'retire', 'resume', 'rekey', 'hold', 'block', 'forget'];
    const all = others.flatMap((verb) => actions(verb, 50));
    expect(unsafeReasons(all, 50, { maxRotations: 0, maxShare: 0 })).toEqual([]);
  });
});
