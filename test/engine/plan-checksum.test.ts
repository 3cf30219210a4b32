import { describe, expect, test } from 'vitest';
import type { Plan } from '../../src/engine/model.ts';
import { plan } from '../../src/engine/plan.ts';
import type { RotatedSecret } from '../../src/manifests/model.ts';
import type { SecretRecord } from '../../src/state/model.ts';
import { day, hour, minute } from './schedules.ts';
import {
  currentSince,
  desired,
  frozen,
  now,
  observed,
  record,
  secret,
  state,
  target,
  version,
} from './wishes-and-records.ts';

const recordFor = (name: string, change: Partial<SecretRecord> = {}): SecretRecord =>
  record({ uid: `U-${name}`, name, ...change });
const due = { versions: { 3: currentSince(33 * day) } };
const _lines = (made: Plan): string[] =>
  made.groups.flatMap((group) =>
    group.actions.map(({ verb, secret: name }) => `${group.target} ${name} ${verb}`),
  );

const sees = frozen(observed({ bindings: new Map() }));

describe('the checksum', () => {
  const of = (secrets: RotatedSecret[], records: SecretRecord[], at = now): string =>
    plan(desired(secrets), state(records), at, sees).checksum;
  const before = of([secret({ name: 'app' })], [recordFor('app', due)]);

  test('has the form of a digest', () => {
    expect(before).toMatch(/^sha256:[0-9a-f]{64}$/);
  });

  test('does not depend on the clock as long as the same would be done', () => {
    for (const later of [1, minute, hour, 100 * day])
      expect(of([secret({ name: 'app' })], [recordFor('app', due)], new Date(now.getTime() + later))).toBe(
        before,
      );
  });

  test('depends on neither serial nor head: other secrets may have been rotated meanwhile', () => {
    const moved = { ...state([recordFor('app', due)]), serial: 99, head: 'sha256:other' };
    expect(plan(desired([secret({ name: 'app' })]), moved, now, sees).checksum).toBe(before);
  });

  test.each<[string, () => string]>([
    [
      'another version',
      () => of([secret()], [recordFor('app', { current: 4, versions: { 4: currentSince(33 * day) } })]),
    ],
    ['another action', () => of([secret()], [recordFor('app')])],
    ['another reason', () => of([secret({ rotateToken: 'x' })], [recordFor('app', due)])],
    ['another secret', () => of([secret({ name: 'other' })], [recordFor('other', due)])],
    ['another record', () => of([secret()], [recordFor('app', { ...due, uid: 'U2' })])],
    ['another target', () => of([secret({ target: 'elsewhere' })], [recordFor('app', due)])],
    [
      'another address',
      () =>
        plan(
          desired([secret()], { targets: [target({ host: 'evil' })] }),
          state([recordFor('app', due)]),
          now,
          sees,
        ).checksum,
    ],
    [
      'one action more',
      () =>
        of(
          [secret()],
          [
            recordFor('app', {
              versions: {
                ...due.versions,
                2: version({ stage: 'retiring', retireAfter: now.toISOString() }),
              },
            }),
          ],
        ),
    ],
  ])('changes with %s', (_, changed) => {
    expect(changed()).not.toBe(before);
  });
});
