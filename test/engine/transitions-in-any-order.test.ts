/** Whatever order the transitions come in, a record stays sound. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { failed, unlocked } from '../../src/state/bookkeeping.ts';
import type { SecretRecord, Stage } from '../../src/state/model.ts';
import { recordProblem } from '../../src/state/record-shape.ts';
import { abandoned, pruned, rekeyed, retired, takenOver, versionOf } from '../../src/state/transitions.ts';
import { day, hour, minute } from './schedules.ts';
import { adopt, blank, claim, promote, sealed } from './steps.ts';
import { frozen, now } from './wishes-and-records.ts';

type Step = { step: string; pause: number; grace: boolean; keep: number };

describe('in whatever order the steps come', () => {
  const steps = fc.array(
    fc.record<Step>({
      step: fc.constantFrom(
        'claim',
        'claim',
        'promote',
        'promote',
        'take',
        'abandon',
        'adopt',
        'retire',
        'fail',
        'unlock',
        'rekey',
        'prune',
      ),
      pause: fc.constantFrom(0, minute, hour, day, 40 * day),
      grace: fc.boolean(),
      keep: fc.integer({ min: 1, max: 5 }),
    }),
    { minLength: 5, maxLength: 60 },
  );
  const oldest = (of: SecretRecord): string | undefined =>
    Object.keys(of.versions).find((v) => of.versions[v]?.stage === 'retiring');

  test('there is one current and one pending at most, numbers are never used twice, nothing needed goes', () => {
    fc.assert(
      fc.property(steps, (all) => {
        let of = blank;
        let time = now.getTime();
        let highest = 0;
        for (const { step, pause, grace, keep } of all) {
          time += pause;
          const when = new Date(time);
          const before = frozen(of);
          of = next(before, step, when, grace, keep);
          check(before, of, step, when, keep, highest);
          highest = Math.max(highest, ...Object.keys(of.versions).map(Number));
        }
      }),
      { numRuns: 500 },
    );
  });

  function next(of: SecretRecord, step: string, when: Date, grace: boolean, keep: number): SecretRecord {
    const iso = when.toISOString();
    const retiring = oldest(of);
    if (step === 'claim' && !of.pending) return claim(of, 'CLAIM', iso);
    if (step === 'promote' && of.pending)
      return promote(of, grace ? new Date(when.getTime() + day).toISOString() : null, iso);
    if (step === 'take' && of.pending) return takenOver(of, { ...of.pending.claim, id: 'TAKEN', at: iso });
    if (step === 'abandon' && of.pending) return abandoned(of, iso);
    if (step === 'adopt') return adopt(of, iso);
    if (step === 'retire' && retiring) return retired(of, Number(retiring), iso);
    if (step === 'fail')
      return failed(of, { failure: { class: 'unreachable', code: 'X', step: 'set' }, nextAttemptAt: iso });
    if (step === 'unlock') return unlocked(of);
    if (step === 'rekey')
      return rekeyed(
        of,
        of.name,
        new Map(Object.keys(of.versions).map((v) => [Number(v), sealed(Number(v))])),
      );
    if (step === 'prune') return pruned(of, keep, when).record;
    return of;
  }

  function check(
    was: SecretRecord,
    is: SecretRecord,
    step: string,
    when: Date,
    keep: number,
    highest: number,
  ): void {
    const having = (stage: Stage): string[] =>
      Object.keys(is.versions).filter((v) => is.versions[v]?.stage === stage);
    expect(recordProblem(JSON.parse(JSON.stringify(is)), 'record')).toBeNull();
    expect(having('current')).toEqual(is.current === null ? [] : [String(is.current)]);
    expect(having('pending')).toEqual(is.pending === null ? [] : [String(is.pending.v)]);
    if (was.pending && is.pending?.v !== was.pending.v)
      expect(['promote', 'abandon', 'adopt']).toContain(step);
    const added = Object.keys(is.versions)
      .filter((v) => !was.versions[v])
      .map(Number);
    for (const v of added) expect(v).toBe(highest + 1);
    const gone = Object.keys(was.versions).filter((v) => !is.versions[v]);
    if (gone.length === 0) return;
    expect(step).toBe('prune');
    expect(Object.keys(is.versions).length).toBeGreaterThanOrEqual(keep);
    for (const v of gone) {
      const { stage, retiredAt } = versionOf(was, Number(v));
      expect(['retired', 'abandoned']).toContain(stage);
      expect(when.getTime() - Date.parse(retiredAt ?? '')).toBeGreaterThanOrEqual(30 * day);
      expect(Math.max(...Object.keys(is.versions).map(Number))).toBeGreaterThan(Number(v));
    }
  }
});
