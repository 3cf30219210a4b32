import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { declaredFor } from '../../src/engine/audience.ts';
import { decide } from '../../src/engine/decide.ts';
import type { Action } from '../../src/engine/model.ts';
import { retryAt } from '../../src/engine/retry.ts';
import { nextDue } from '../../src/engine/why.ts';
import { beforeRotating, type Case } from './decide-cases.ts';
import { rotating } from './decide-rotations.ts';
import { sessions } from './decide-sessions.ts';
import { day, hour, minute, schedule } from './schedules.ts';
import {
  ahead,
  bob,
  frozen,
  now,
  observed,
  reconciler,
  record,
  sched,
  secret,
  version,
} from './wishes-and-records.ts';

const cases: Record<string, Case> = { ...beforeRotating, ...rotating, ...sessions };

const told = ({ verb, from, to, why, reason }: Action): string =>
  `${verb} ${from ?? 'new'} -> ${to ?? '-'}${why === null ? '' : ` (${why})`}: ${reason}`;

function decided({ wants = {}, has = {}, sees = {} }: Omit<Case, 'does'>): Action[] {
  const known = has === null ? undefined : record(has);
  return decide(frozen(secret(wants)), frozen(known), frozen([reconciler]), now, frozen(observed(sees)));
}

describe('what one secret needs', () => {
  test.each(Object.entries(cases))('%s', (_, given) => {
    const actions = decided(given);
    expect(actions.map(told)).toEqual(given.does);
    for (const action of actions)
      expect(action).toMatchObject({ secret: 'app', target: 'db', uid: given.has === null ? '' : 'UID1' });
  });

  test('is the same for the same input, which stays as it was', () => {
    for (const given of Object.values(cases)) expect(decided(given)).toEqual(decided(given));
  });

  test('never is two rotations, never a rotation beside a rekey', () => {
    const any = fc.constantFrom(...Object.values(cases));
    fc.assert(
      fc.property(any, any, any, fc.boolean(), (a, b, c, force) => {
        const has = b.has === null ? null : { ...b.has };
        const verbs = decided({ wants: { ...a.wants }, has, sees: { ...c.sees, force } }).map(
          ({ verb }) => verb,
        );
        const exclusive = verbs.filter((verb) => ['adopt', 'rotate', 'resume', 'block'].includes(verb));
        expect(exclusive.length).toBeLessThanOrEqual(1);
        expect(verbs.includes('rotate') && verbs.includes('rekey')).toBe(false);
      }),
    );
  });
});

test('nothing falls due by itself without a current version, a promotion or a schedule', () => {
  expect(nextDue(secret(), record())).toEqual(new Date(now.getTime() + 20 * day));
  expect(nextDue(secret(), record({ current: null }))).toBeNull();
  expect(nextDue(secret({ schedule: schedule({ auto: false }) }), record())).toBeNull();
  expect(nextDue(secret(), record({ versions: { 3: version({ stage: 'current' }) } }))).toBeNull();
});

test('a version is sealed to reconcilers and readers, each once, sorted', () => {
  const readers = [bob, { name: 'ci', recipient: reconciler }, { name: 'bob too', recipient: bob.recipient }];
  const recipients = declaredFor(secret({ readers }), [reconciler], now).map((reader) => reader.recipient);
  expect(recipients).toEqual([bob.recipient, reconciler]);
});

test.each([
  [0, false, 15 * minute],
  [1, false, 30 * minute],
  [6, false, 16 * hour],
  [7, false, day],
  [60, false, day],
  [0, true, day],
])('after %i failures, a human needed: %s', (failures, human, pause) => {
  expect(retryAt(record({ sched: sched({ failures }) }), human, now)).toBe(ahead(pause));
});
