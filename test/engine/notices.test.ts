import { describe, expect, test } from 'vitest';
import type { Action, Plan, Result } from '../../src/engine/model.ts';
import { news, nextRun, overdueSince, removedNews, rotatedNews } from '../../src/engine/notices.ts';
import type { Notify, RotatedSecret } from '../../src/manifests/model.ts';
import { notifyEvents } from '../../src/manifests/model.ts';
import type { SecretRecord } from '../../src/state/model.ts';
import { passedOver, stale, struckOut } from '../../src/state/outbox.ts';
import { recordProblem } from '../../src/state/record-shape.ts';
import { action } from '../output/fixture.ts';
import { day, hour, schedule } from './schedules.ts';
import { ago, currentSince, desired, now, record, sched, secret, state } from './wishes-and-records.ts';

const by = { runner: 'ci', pid: 7 };
const notify: Notify = { before: [7 * day, day], events: [...notifyEvents], channels: ['ops'] };
const listened = (more: Partial<RotatedSecret> = {}): RotatedSecret => secret({ notify, ...more });

const planOf = (actions: Action[]): Plan => ({
  format: 1,
  project: 'acme',
  serial: 1,
  head: '',
  at: now.toISOString(),
  groups: [{ target: 'db', label: '', warnings: [], actions }],
  unchanged: 0,
  nextDue: null,
  unsafe: [],
  checksum: '',
});

const result = (more: Partial<Result>): Result => ({
  secret: 'app',
  target: 'db',
  verb: 'rotate',
  outcome: 'done',
  version: 4,
  detail: '',
  hint: null,
  left: 'unchanged',
  ...more,
});

/** The record after the run's news, or as it was. */
function after(
  of: SecretRecord,
  options: { secret?: RotatedSecret; actions?: Action[]; results?: Result[]; at?: Date } = {},
): SecretRecord {
  const wants = desired([options.secret ?? listened()]);
  const changes = news(
    wants,
    state([of]),
    planOf(options.actions ?? []),
    options.results ?? [],
    by,
    options.at ?? now,
  );
  return changes[0]?.to ?? of;
}

const keys = (of: SecretRecord): string[] => (of.outbox ?? []).map((notice) => notice.key);
const unprotected = { protected: false };

describe('before a rotation', () => {
  const at = (left: number): SecretRecord =>
    record({ ...unprotected, versions: { 3: currentSince(30 * day - left) } });

  test('is told at each lead time, once', () => {
    expect(keys(after(at(8 * day)))).toEqual([]);
    const week = after(at(7 * day));
    expect(keys(week)).toEqual([`before:3:${7 * day}`]);
    expect(week.outbox?.[0]).toMatchObject({ event: 'before', version: 3, channels: ['ops'], by: 'ci#7' });
    expect(after(week)).toBe(week);
    const later = new Date(now.getTime() + 6 * day);
    expect(keys(after(week, { at: later }))).toEqual([`before:3:${7 * day}`, `before:3:${day}`]);
  });

  test('of several that have come meanwhile only the nearest is told', () => {
    const told = after(at(hour));
    expect(keys(told)).toEqual([`before:3:${day}`]);
    expect(told.sched.notified).toEqual([`before:3:${day}`, `before:3:${7 * day}`]);
  });

  test('counts from the window that it waits for, and not at all while paused or manual', () => {
    const windows = [{ days: ['sun'], from: '02:00', to: '04:00', timezone: 'UTC' }];
    const of = listened({ schedule: schedule({ windows }) });
    const due = record({ versions: { 3: currentSince(28 * day) } });
    expect(nextRun(due, of)?.toISOString()).toBe('2026-11-29T02:00:00.000Z');
    expect(nextRun(due, listened({ schedule: schedule({ paused: true }) }))).toBeNull();
    expect(nextRun(due, listened({ schedule: schedule({ auto: false }) }))).toBeNull();
  });
});

describe('overdue', () => {
  test('is told once, when it has waited for longer than its schedule tolerates', () => {
    const late = record({ ...unprotected, versions: { 3: currentSince(33 * day) } });
    expect(keys(after(late))).toEqual(['overdue:3']);
    expect(after(after(late))).toEqual(after(late));
    expect(overdueSince(record({ versions: { 3: currentSince(31 * day) } }), listened(), now)).toBeNull();
  });

  test('a weekly window does not make it overdue', () => {
    const windows = [{ days: ['sun'], from: '02:00', to: '04:00', timezone: 'UTC' }];
    const of = listened({ schedule: schedule({ windows }) });
    expect(overdueSince(record({ versions: { 3: currentSince(34 * day) } }), of, now)).toBeNull();
    expect(overdueSince(record({ versions: { 3: currentSince(42 * day) } }), of, now)).not.toBeNull();
  });
});

describe('trouble', () => {
  const failing = (name: string): SecretRecord =>
    record({
      ...unprotected,
      sched: sched({ failures: 3, lastError: { class: name, code: 'E1', step: 'preflight' } }),
    });

  test('is told once for each class and step, as failed, or as blocked where a person is needed', () => {
    const failed = after(failing('unreachable'));
    expect(failed.outbox).toMatchObject([
      { event: 'failed', facts: { class: 'unreachable', code: 'E1', step: 'preflight' } },
    ]);
    expect(after(failed)).toBe(failed);
    const blocked = after(failing('permission'), { results: [result({ outcome: 'human' })] });
    expect(blocked.outbox).toMatchObject([{ event: 'blocked' }]);
    const foreign = after(failing('foreign-key'));
    expect(foreign.outbox).toMatchObject([{ event: 'foreign-key', facts: { keys: 'E1' } }]);
    expect(after(foreign)).toBe(foreign);
    expect(keys(after(failing('in-use')))).toEqual([]);
  });

  test('drift is told as such', () => {
    const drifted = record({ ...unprotected, sched: sched({ driftAt: ago(hour) }) });
    expect(after(drifted).outbox).toMatchObject([{ key: 'drift:3', event: 'drift' }]);
  });

  test('a block of the plan is told once, though its words count the hours', () => {
    const block = (age: string): Action =>
      action({ verb: 'block', secret: 'app', reason: `not right, found ${age} ago` });
    const told = after(record(unprotected), { actions: [block('3h')] });
    expect(told.outbox).toMatchObject([{ event: 'blocked', facts: { reason: 'not right, found 3h ago' } }]);
    expect(after(told, { actions: [block('2d')] })).toBe(told);
    expect(
      keys(after(told, { actions: [action({ verb: 'block', secret: 'app', reason: 'host changed' })] })),
    ).toHaveLength(2);
  });
});

describe('a removed reader', () => {
  test('is told in the claim, or, where the rotation is held, by the run; not twice', () => {
    const reason = 'reader removed: bob';
    const claimed = removedNews(record(unprotected), listened(), { version: 3, reason, at: ago(0), by });
    expect(claimed.outbox).toMatchObject([{ event: 'reader-removed', version: 3 }]);
    const held = action({
      verb: 'hold',
      secret: 'app',
      from: 3,
      reason: `${reason}; its window opens in 3h`,
    });
    expect(after(claimed, { actions: [held] })).toBe(claimed);
    expect(keys(after(record(unprotected), { actions: [held] }))).toHaveLength(1);
  });
});

describe('who listens', () => {
  test('nobody: nothing is kept, so a channel that is added later is not told of the past', () => {
    const quiet = listened({ notify: { ...notify, channels: [] } });
    const of = { version: 4, why: 'due', at: ago(0), by };
    expect(rotatedNews(record(), quiet, of)).toEqual(record());
    expect(
      after(record({ ...unprotected, versions: { 3: currentSince(33 * day) } }), { secret: quiet }),
    ).toEqual(record({ ...unprotected, versions: { 3: currentSince(33 * day) } }));
  });

  test('only for what they asked', () => {
    const some = listened({ notify: { before: [], events: ['failed'], channels: ['ops'] } });
    expect(rotatedNews(record(), some, { version: 4, why: 'due', at: ago(0), by }).outbox).toBeUndefined();
    expect(
      keys(after(record({ ...unprotected, versions: { 3: currentSince(29 * day) } }), { secret: some })),
    ).toEqual([]);
  });
});

test('a changed deleteProtection is written down', () => {
  expect(after(record({ protected: true }), { secret: secret() }).protected).toBe(false);
  expect(after(record(), { secret: secret({ deleteProtection: true }) })).toEqual(record());
});

describe('the outbox', () => {
  const full = rotatedNews(record(), listened({ notify: { ...notify, channels: ['ops', 'mail', 'ops'] } }), {
    version: 4,
    why: 'due',
    at: now.toISOString(),
    by,
  });
  const every = (): boolean => true;

  test('is part of a record that the journal takes', () => {
    expect(recordProblem(JSON.parse(JSON.stringify(full)), 'r')).toBeNull();
    expect(recordProblem({ ...full, outbox: [{ ...full.outbox?.[0], value: 'x' }] }, 'r')).toBe('r.outbox.0');
  });

  test('keeps a notice until every channel has it', () => {
    expect(full.outbox?.[0]?.channels).toEqual(['mail', 'ops']);
    const half = struckOut(full, new Set(['rotated:4 ops']), every, now);
    expect(half.outbox?.[0]?.channels).toEqual(['mail']);
    expect(struckOut(half, new Set(), every, now)).toBe(half);
    expect('outbox' in struckOut(half, new Set(['rotated:4 mail']), every, now)).toBe(false);
  });

  test('drops what is stale and what goes to a channel that is gone', () => {
    expect('outbox' in struckOut(full, new Set(), every, new Date(now.getTime() + stale + 1))).toBe(false);
    expect('outbox' in struckOut(full, new Set(), () => false, now)).toBe(false);
  });

  test('does not grow without end', () => {
    let of = record();
    for (let version = 1; version <= 80; version += 1)
      of = rotatedNews(of, listened(), { version, why: 'due', at: now.toISOString(), by });
    expect(of.outbox).toHaveLength(50);
    expect(of.outbox?.at(-1)?.key).toBe('rotated:80');
    expect(passedOver(of, ['rotated:80'])).toBe(of);
  });
});
