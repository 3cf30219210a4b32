import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Plan } from '../../src/engine/model.ts';
import { effective, plan, recordOf } from '../../src/engine/plan.ts';
import type { SecretRecord } from '../../src/state/model.ts';
import { day, hour, minute, schedule } from './schedules.ts';
import {
  ahead,
  binding,
  bob,
  currentSince,
  desired,
  frozen,
  now,
  observed,
  pendingOn,
  record,
  secret,
  state,
  target,
  version,
} from './wishes-and-records.ts';

const recordFor = (name: string, change: Partial<SecretRecord> = {}): SecretRecord =>
  record({ uid: `U-${name}`, name, ...change });
const due = { versions: { 3: currentSince(33 * day) } };
const lines = (made: Plan): string[] =>
  made.groups.flatMap((group) =>
    group.actions.map(({ verb, secret: name }) => `${group.target} ${name} ${verb}`),
  );

const wants = frozen(
  desired(
    [
      secret({ name: 'z/due', target: 'db' }),
      secret({ name: 'a/retiring-and-due', target: 'db' }),
      secret({ name: 'm/fine', target: 'db' }),
      secret({ name: 'b/reader', target: 'another', readers: [bob] }),
      secret({ name: 'c/new', target: 'another' }),
      secret({ name: 'd/manual', target: 'gone', schedule: schedule({ auto: false }) }),
    ],
    {
      targets: [
        target(),
        target({
          name: 'another',
          type: 'postgresql',
          host: 'pg',
          port: 5432,
          tls: { mode: 'disable', ca: undefined, caFile: undefined, serverName: undefined },
        }),
      ],
    },
  ),
);
const has = frozen(
  state([
    recordFor('z/due', due),
    recordFor('a/retiring-and-due', {
      versions: { 2: version({ stage: 'retiring', retireAfter: now.toISOString() }), ...due.versions },
    }),
    recordFor('m/fine'),
    recordFor('b/reader', { target: 'another', versions: { 3: currentSince(12 * day) } }),
    recordFor('d/manual', { target: 'gone' }),
    recordFor('x/forgotten', { target: 'old' }),
  ]),
);
const sees = frozen(observed({ bindings: new Map() }));
const made = plan(wants, has, now, sees);

describe('a plan', () => {
  test('is grouped by target and sorted by secret, then verb', () => {
    expect(lines(made)).toEqual([
      'another b/reader rekey',
      'another c/new rotate',
      'db a/retiring-and-due retire',
      'db a/retiring-and-due rotate',
      'db z/due rotate',
      'gone d/manual hold',
      'old x/forgotten forget',
    ]);
  });

  test('labels its targets and warns of what travels in clear text', () => {
    expect(made.groups.map(({ target: name, label, warnings }) => [name, label, warnings])).toEqual([
      ['another', 'postgresql, pg:5432', ['TLS is disabled: credentials travel in clear text']],
      ['db', 'mysql, db.internal:3306', []],
      ['gone', 'no such target', []],
      ['old', 'no such target', []],
    ]);
  });

  test('says what it was computed from', () => {
    expect(made).toMatchObject({
      format: 1,
      project: 'acme',
      serial: 41,
      head: has.head,
      at: now.toISOString(),
      unchanged: 1,
      unsafe: [],
    });
  });

  test('knows the next rotation that falls due, of what is not due yet', () => {
    expect(made.nextDue).toBe(ahead(18 * day));
    const none = plan(desired([]), state([]), now, sees);
    expect(none).toMatchObject({ nextDue: null, unchanged: 0, groups: [] });
  });

  test('names the record whose manifest is gone', () => {
    expect(made.groups.at(-1)?.actions).toEqual([
      {
        verb: 'forget',
        secret: 'x/forgotten',
        uid: 'U-x/forgotten',
        target: 'old',
        from: 3,
        to: null,
        why: null,
        reason:
          'unmanaged, its manifest is gone: not rotated any more, readable until keyturn destroy x/forgotten',
      },
    ]);
  });

  test('carries out all but what only says something', () => {
    expect(effective(made).map(({ verb }) => verb)).toEqual([
      'rekey',
      'rotate',
      'retire',
      'rotate',
      'rotate',
    ]);
  });

  test('is the same for the same input, and JSON that survives the way to a file and back', () => {
    expect(plan(wants, has, now, sees)).toEqual(made);
    expect(JSON.parse(JSON.stringify(made))).toEqual(made);
  });

  test('does not depend on the order in which secrets and records are listed', () => {
    const shuffled = <T>(all: T[]): fc.Arbitrary<T[]> =>
      fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length });
    fc.assert(
      fc.property(
        shuffled([...wants.secrets.values()]),
        shuffled(Object.values(has.records)),
        (secrets, records) => {
          const again = plan(
            { ...wants, secrets: new Map(secrets.map((s) => [s.name, s])) },
            { ...has, records: Object.fromEntries(records.map((r) => [r.uid, r])) },
            now,
            sees,
          );
          expect(again).toEqual(made);
        },
      ),
    );
  });

  test('looks only at what is wanted', () => {
    const only = plan(wants, has, now, sees, { only: (name) => name.startsWith('x/') || name === 'z/due' });
    expect(lines(only)).toEqual(['db z/due rotate', 'old x/forgotten forget']);
    expect(only).toMatchObject({ unchanged: 0, nextDue: null });
  });

  test('is unsafe above the limits, judged by all secrets and not only the wanted ones', () => {
    const names = Array.from({ length: 12 }, (_, index) => `s${index}`);
    const wanted = (
      limits: { maxRotations: number; maxShare: number },
      only?: (name: string) => boolean,
    ): string[] =>
      plan(
        desired(
          names.map((name) => secret({ name })),
          { limits },
        ),
        state(names.map((name) => recordFor(name, due))),
        now,
        sees,
        only ? { only } : {},
      ).unsafe;
    expect(wanted({ maxRotations: 11, maxShare: 1 })).toEqual([
      '12 rotations are more than limits.maxRotations (11)',
    ]);
    expect(wanted({ maxRotations: 20, maxShare: 0.5 })).toEqual([
      '100% of 12 secrets would rotate, more than limits.maxShare (50%)',
    ]);
    expect(wanted({ maxRotations: 20, maxShare: 0.5 }, (name) => name < 's2')).toEqual([]);
  });
});

test('a record belongs to a manifest by its name, or else by the name it had before', () => {
  const [old, taken] = [recordFor('old'), recordFor('app')];
  const moved = secret({ name: 'app', movedFrom: 'old' });
  expect(recordOf(moved, { a: old })).toBe(old);
  expect(recordOf(moved, { a: old, b: taken })).toBe(taken);
  expect(recordOf(secret({ name: 'app' }), { a: old })).toBeUndefined();
  const both = plan(desired([moved]), state([old]), now, sees);
  expect(lines(both)).toEqual(['db app rekey']);
});

test('a pending version is resumed or held, never unchanged', () => {
  const left = { versions: { 3: currentSince(33 * day), 4: version({ stage: 'pending' }) } };
  const held = plan(
    desired([secret()]),
    state([recordFor('app', { ...left, pending: pendingOn(4, minute) })]),
    now,
    sees,
  );
  const resumed = plan(
    desired([secret()]),
    state([recordFor('app', { ...left, pending: pendingOn(4, hour) })]),
    now,
    sees,
  );
  expect([lines(held), held.unchanged]).toEqual([['db app hold'], 0]);
  expect([lines(resumed), resumed.unchanged]).toEqual([['db app resume'], 0]);
});

describe('a new secret of a target whose others are bound to another endpoint', () => {
  const bound = { ...binding, host: 'db.internal' };
  const both = [secret({ name: 'app' }), secret({ name: 'new' })];
  const at = (host: string) =>
    observed({ bindings: new Map(both.map(({ name }) => [name, { ...bound, host }])) });

  test('is blocked: its target is not sent the credentials there (A1)', () => {
    const [group] = plan(
      desired(both),
      state([recordFor('app', { binding: bound })]),
      now,
      at('evil'),
    ).groups;
    expect(group?.actions.map(({ verb, secret: name, reason }) => [verb, name, reason])).toEqual([
      ['block', 'app', 'host changed from db.internal to evil; run keyturn rebind app if that is right'],
      [
        'block',
        'new',
        'host changed from db.internal to evil since app was recorded; run keyturn rebind app if that is right',
      ],
    ]);
  });

  test('gets its first version where nothing has moved', () => {
    expect(
      lines(plan(desired(both), state([recordFor('app', { binding: bound })]), now, at('db.internal'))),
    ).toEqual(['db new rotate']);
  });
});
