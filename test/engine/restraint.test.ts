import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fingerprint } from '../../src/age/fingerprint.ts';
import type { Observed } from '../../src/engine/decide.ts';
import { plan } from '../../src/engine/plan.ts';
import type { Desired, RotatedSecret } from '../../src/manifests/model.ts';
import type { SecretRecord } from '../../src/state/model.ts';
import { day, hour, minute, schedule } from './schedules.ts';
import {
  ago,
  ahead,
  binding,
  bob,
  currentSince,
  desired,
  now,
  observed,
  pendingOn,
  record,
  sched,
  secret,
  state,
  target,
  version,
} from './wishes-and-records.ts';

/** `verb: reason` of everything that the plan says. */
function said(wants: Desired, records: SecretRecord[], sees: Partial<Observed> = {}, at = now): string[] {
  const bindings = new Map([...wants.secrets.keys()].map((name) => [name, binding]));
  return plan(wants, state(records), at, observed({ bindings, ...sees }))
    .groups.flatMap((group) => group.actions)
    .map(({ verb, secret: name, reason }) => `${verb} ${name}: ${reason}`);
}

const due = record({ versions: { 3: currentSince(31 * day) } });

describe('paused', () => {
  const paused = secret({ schedule: schedule({ paused: true }) });

  test('is said in every plan, due or not', () => {
    expect(said(desired([paused]), [record()])).toEqual(['hold app: paused']);
    expect(said(desired([paused]), [due])).toEqual(['hold app: due 24h ago (every 30d); paused']);
  });

  test('holds what a removed reader and a changed token ask for, but not a wish', () => {
    const known = version({ readers: [fingerprint(bob.recipient)].sort() });
    const removed = record({
      versions: {
        3: { ...currentSince(day), readers: [...known.readers, ...currentSince(day).readers].sort() },
      },
    });
    expect(said(desired([paused]), [removed])).toEqual([
      expect.stringMatching(/^hold app: reader removed: .*; paused$/),
    ]);
    expect(said(desired([{ ...paused, rotateToken: 'x' }]), [record()])).toEqual([
      'hold app: rotateToken is now "x"; paused',
    ]);
    expect(said(desired([paused]), [record()], { wishes: new Map([['app', 'leak']]) })).toEqual([
      'rotate app: asked for: leak',
    ]);
  });

  test('lets what was begun go on, and a grace end', () => {
    const begun = record({
      pending: pendingOn(4, hour),
      versions: { 3: currentSince(day), 4: version({ stage: 'pending' }) },
    });
    expect(said(desired([paused]), [begun])).toEqual([expect.stringMatching(/^resume app/)]);
    const over = record({
      versions: { 2: version({ stage: 'retiring', retireAfter: ago(hour) }), 3: currentSince(day) },
    });
    expect(said(desired([paused]), [over])).toEqual([expect.stringMatching(/^retire app/)]);
  });
});

describe('what a target logs in with', () => {
  const login = (more: Partial<RotatedSecret> = {}): Desired => {
    const root = secret({ name: 'root', ...more });
    const db = target({
      credentials: { username: 'root', usernameHost: undefined, password: { secret: 'root' } },
    });
    return desired([root], { targets: [db] });
  };
  const root = (of: SecretRecord): SecretRecord => ({ ...of, name: 'root' });
  const asked = { wishes: new Map([['root', 'leak']]) };

  test('rotates by a schedule of its own, and not by one of the defaults', () => {
    expect(said(login(), [root(due)])).toEqual(['rotate root: due 24h ago (every 30d)']);
    expect(said(login({ ownSchedule: false }), [root(due)])).toEqual([
      'hold root: due 24h ago (every 30d); it is what db logs in with and needs --yes, or a schedule of its own',
    ]);
    expect(said(login({ ownSchedule: false }), [root(due)], { assent: true })).toEqual([
      'rotate root: due 24h ago (every 30d)',
    ]);
  });

  test('needs a yes for every wish, whatever its schedule', () => {
    expect(said(login(), [root(record())], asked)).toEqual([
      'hold root: asked for: leak; it is what db logs in with and needs --yes',
    ]);
    expect(said(login(), [root(record())], { ...asked, force: true })).toEqual([
      expect.stringMatching(/^hold/),
    ]);
    expect(said(login(), [root(record())], { ...asked, assent: true })).toEqual([
      'rotate root: asked for: leak',
    ]);
  });

  test('rotates for a changed token, which was reviewed', () => {
    expect(said(login({ ownSchedule: false, rotateToken: 'a' }), [root(record())])).toEqual([
      'rotate root: rotateToken is now "a"',
    ]);
  });

  test('other secrets need no yes', () => {
    expect(said(desired([secret({ ownSchedule: false })]), [due])).toEqual([
      'rotate app: due 24h ago (every 30d)',
    ]);
  });
});

describe('a pair', () => {
  const member = (name: string, more: Partial<RotatedSecret['schedule']> = {}): RotatedSecret =>
    secret({ name, schedule: schedule({ pair: 'blue-green', apart: 12 * hour, ...more }) });
  const of = (name: string, age: number): SecretRecord =>
    record({ uid: name, name, versions: { 3: currentSince(age) } });

  test('that is due together rotates one by one, the older value first', () => {
    const wants = desired([member('a'), member('b')]);
    expect(said(wants, [of('a', 40 * day), of('b', 41 * day)])).toEqual([
      'hold a: due 10d ago (every 30d); b of its pair blue-green goes first',
      'rotate b: due 11d ago (every 30d)',
    ]);
  });

  test('rests for a while after the other one, and for as long as that is under way', () => {
    const wants = desired([member('a'), member('b')]);
    expect(said(wants, [of('a', 40 * day), of('b', 11 * hour)])).toEqual([
      'hold a: due 10d ago (every 30d); b of its pair blue-green was rotated 11h ago, this one follows in 1h',
    ]);
    expect(said(wants, [of('a', 40 * day), of('b', 12 * hour)])).toEqual([
      'rotate a: due 10d ago (every 30d)',
    ]);
    const busy = { ...of('b', 40 * day), pending: pendingOn(4, hour) };
    busy.versions[4] = version({ stage: 'pending' });
    expect(said(wants, [of('a', 40 * day), busy])).toEqual([
      'hold a: due 10d ago (every 30d); b of its pair blue-green goes first',
      expect.stringMatching(/^resume b/),
    ]);
  });

  test('keeps apart for wishes too; only --force does not care', () => {
    const wants = desired([member('a'), member('b')]);
    const wishes = new Map([
      ['a', ''],
      ['b', ''],
    ]);
    const records = [of('a', 5 * day), of('b', 5 * day)];
    expect(said(wants, records, { wishes }).map((line) => line.split(' ')[0])).toEqual(['rotate', 'hold']);
    expect(said(wants, records, { wishes, force: true }).map((line) => line.split(' ')[0])).toEqual([
      'rotate',
      'rotate',
    ]);
  });

  test('never rotates twice within apart, for any ages and hour by hour', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 60, max: 60 * 24 * 60 }), { minLength: 2, maxLength: 4 }),
        fc.integer({ min: 1, max: 48 }),
        (ages, apartHours) => {
          const names = ages.map((_, index) => `s${index}`);
          const wants = desired(names.map((name) => member(name, { apart: apartHours * hour })));
          const promotedAt = new Map(
            names.map((name, index) => [name, now.getTime() - (ages[index] ?? 0) * minute]),
          );
          const rotations: number[] = [];
          for (let at = now.getTime(); at < now.getTime() + 8 * day; at += hour) {
            const records = names.map((name) => of(name, now.getTime() - (promotedAt.get(name) ?? 0)));
            for (const line of said(wants, records, {}, new Date(at)))
              if (line.startsWith('rotate ')) {
                promotedAt.set(line.slice(7).split(':')[0] ?? '', at);
                rotations.push(at);
              }
          }
          for (const [index, at] of rotations.entries())
            if (index > 0) expect(at - (rotations[index - 1] ?? 0)).toBeGreaterThanOrEqual(apartHours * hour);
        },
      ),
      { numRuns: 30 },
    );
  });
});

describe('verify and drift', () => {
  const every = secret({ verifyEvery: 7 * day });
  const checkedAgo = (age: number, more: Partial<SecretRecord['sched']> = {}): SecretRecord =>
    record({ versions: { 3: currentSince(20 * day) }, sched: sched({ checkedAt: ago(age), ...more }) });

  test('logs in when the last login is too long ago', () => {
    expect(said(desired([every]), [checkedAgo(8 * day)])).toEqual([
      'verify app: login due 24h ago (every 7d)',
    ]);
    expect(said(desired([every]), [checkedAgo(6 * day)])).toEqual([]);
    expect(said(desired([secret()]), [checkedAgo(800 * day)])).toEqual([]);
  });

  test('does not while the account may be locked, beside a rotation, or over a pending version', () => {
    expect(said(desired([every]), [checkedAgo(8 * day, { probeAfter: ahead(hour) })])).toEqual([]);
    const old = { ...checkedAgo(8 * day), versions: { 3: currentSince(40 * day) } };
    expect(said(desired([every]), [old])).toEqual([expect.stringMatching(/^rotate/)]);
    const begun = {
      ...checkedAgo(8 * day),
      pending: pendingOn(4, hour),
      versions: { 3: currentSince(day), 4: version() },
    };
    expect(said(desired([every]), [begun])).toEqual([expect.stringMatching(/^resume/)]);
  });

  const drifted = checkedAgo(3 * hour, { driftAt: ago(3 * hour) });

  test('alarm blocks and names the ways out', () => {
    expect(said(desired([every]), [drifted])).toEqual([
      'block app: the target does not accept v3, found 3h ago; keyturn reconcile app sets a new value, keyturn adopt app takes the one that is live, keyturn unlock app if it was put right at the target',
    ]);
  });

  test('reset rotates at once, outside of windows, and backs off when that fails', () => {
    const windows = [{ days: [], from: '22:00', to: '23:00', timezone: 'UTC' }];
    const wants = desired([{ ...every, drift: 'reset', schedule: schedule({ windows }) }]);
    expect(said(wants, [drifted])).toEqual([
      'rotate app: the target does not accept v3, found 3h ago; drift: reset',
    ]);
    expect(
      said(wants, [checkedAgo(3 * hour, { driftAt: ago(3 * hour), nextAttemptAt: ahead(hour) })]),
    ).toEqual(['hold app: the target does not accept v3, found 3h ago; tried again in 1h']);
  });

  test('adopt takes the initial value', () => {
    const initial = { password: { env: 'P' }, username: undefined };
    expect(said(desired([{ ...every, drift: 'adopt', initial }]), [drifted])).toEqual([
      'adopt app: the target does not accept v3, found 3h ago; drift: adopt takes the initial value if the target accepts it',
    ]);
  });

  test('a rotation with the credentials of the target settles it, one with its own value is not tried', () => {
    const old = { ...drifted, versions: { 3: currentSince(40 * day) } };
    expect(said(desired([every]), [old])).toEqual([expect.stringMatching(/^rotate app: due/)]);
    expect(said(desired([{ ...every, authenticateAs: 'user' }]), [old])).toEqual([
      expect.stringMatching(/^block/),
    ]);
  });
});

test('an initial value that was not accepted is tried once a day, not once an hour', () => {
  const wants = desired([secret({ initial: { password: { env: 'P' }, username: undefined } })]);
  const failed = record({
    current: null,
    versions: {},
    sched: sched({ failures: 1, nextAttemptAt: ahead(5 * hour) }),
  });
  expect(said(wants, [failed])).toEqual([
    'hold app: new here: records the initial value, changes nothing; the target did not accept it, tried again in 5h; keyturn unlock app does not wait',
  ]);
  expect(said(wants, [{ ...failed, sched: sched() }])).toEqual([expect.stringMatching(/^adopt/)]);
});

test('a record without a version is bound to its endpoint all the same', () => {
  const initial = { password: { env: 'P' }, username: undefined };
  const noted = record({ current: null, versions: {}, binding: { ...binding, host: 'elsewhere' } });
  expect(said(desired([secret({ initial })]), [noted])).toEqual([
    'block app: host changed from elsewhere to db.internal; run keyturn rebind app if that is right',
  ]);
});
