import { describe, expect, test } from 'vitest';
import { fingerprint } from '../../src/age/fingerprint.ts';
import { decide } from '../../src/engine/decide.ts';
import { plan } from '../../src/engine/plan.ts';
import type { RotatedSecret, Schedule } from '../../src/manifests/model.ts';
import type { SecretRecord } from '../../src/state/model.ts';
import { pruned } from '../../src/state/transitions.ts';
import { day, hour, minute, schedule } from './schedules.ts';
import { adopt, blank, claim, promote } from './steps.ts';
import { binding, desired, observed, reconciler, secret, state } from './wishes-and-records.ts';

/**
 * Years of jobs over a thousand secrets. The engine decides; what it should have decided comes from a table of every
 * quarter of an hour and its wall time in each zone, which shares no code with the schedule.
 */

const start = Date.UTC(2026, 0, 1);
const end = Date.UTC(2027, 0, 1);
const zones = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'America/St_Johns',
  'Australia/Lord_Howe',
  'Pacific/Auckland',
  'Asia/Kolkata',
  'Africa/Casablanca',
];

const quarter = 15 * minute;
const tableStart = start - 3 * day;
const tables = new Map(zones.map((zone) => [zone, tableOf(zone)]));

function tableOf(zone: string): number[] {
  const format = new Intl.DateTimeFormat('sv-SE', {
    timeZone: zone,
    dateStyle: 'short',
    timeStyle: 'medium',
  });
  return Array.from({ length: (end + 100 * day - tableStart) / quarter }, (_, index) =>
    Date.parse(`${format.format(tableStart + index * quarter).replace(' ', 'T')}Z`),
  );
}

function wallAt(zone: string, instant: number): number {
  const index = Math.floor((instant - tableStart) / quarter);
  return (tables.get(zone)?.[index] ?? Number.NaN) + ((instant - tableStart) % quarter);
}

function firstInstantAtOrPast(zone: string, wall: number): number {
  const table = tables.get(zone) ?? [];
  let index = Math.max(0, Math.floor((wall - 16 * hour - tableStart) / quarter));
  while ((table[index] ?? Number.POSITIVE_INFINITY) < wall) index += 1;
  return tableStart + index * quarter;
}

function dueByTable(of: Schedule, base: number): number {
  if (of.hour === undefined) return base + of.everyDays * day;
  const today = Math.floor(wallAt(of.timezone, base - of.offset) / day) * day;
  return firstInstantAtOrPast(of.timezone, today + of.everyDays * day + of.hour * hour) + of.offset;
}

/** Windows of this test: nightly from 22:00 to 02:00, or none. */
const isOpenByTable = (of: Schedule, instant: number): boolean => {
  const ofDay = wallAt(of.timezone, instant) % day;
  return of.windows.length === 0 || ofDay >= 22 * hour || ofDay < 2 * hour;
};

function generator(seed: number): (below: number) => number {
  let at = seed;
  return (below) => {
    at = (Math.imul(at, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((at / 2 ** 32) * below);
  };
}

const one = <T>(draw: (below: number) => number, of: readonly T[]): T => of[draw(of.length)] as T;

function thousand(): { secret: RotatedSecret; record: SecretRecord }[] {
  const draw = generator(42);
  return Array.from({ length: 1000 }, (_, index) => {
    const timezone = one(draw, zones);
    const oclock = one(draw, [undefined, draw(24), draw(24), 2, 3]);
    const windows = draw(4) === 0 ? [{ days: [], from: '22:00', to: '02:00', timezone }] : [];
    const name = `app-${index}`;
    const adoptedAt = new Date(start + draw(30 * 24 * 60) * minute).toISOString();
    return {
      secret: secret({
        name,
        schedule: schedule({
          everyDays: one(draw, [1, 7, 30, 30, 90]),
          hour: oclock,
          timezone,
          offset: oclock === undefined ? 0 : one(draw, [0, 0, 6, 12, 23]) * hour,
          windows,
        }),
      }),
      record: adopt({ ...blank, uid: `UID${index}`, name, sched: { ...blank.sched } }, adoptedAt),
    };
  }).map(({ secret: s, record: r }) => ({ secret: s, record: withReaders(r) }));
}

/** Sealed to the reconciler of these tests, so that nobody counts as removed or added. */
const withReaders = (of: SecretRecord): SecretRecord => ({
  ...of,
  versions: Object.fromEntries(
    Object.entries(of.versions).map(([v, version]) => [
      v,
      { ...version, readers: [fingerprint(reconciler)] },
    ]),
  ),
});

/** Times at which the job runs, ascending, never closer than a quarter of an hour and a lease. */
const jobs: Record<string, () => number[]> = {
  hourly: () => times(hour, () => 17 * minute),
  daily: () => times(day, () => 4 * hour + 17 * minute),
  'hourly, up to half an hour late': () => {
    const draw = generator(7);
    return times(hour, () => draw(30) * minute);
  },
  'hourly, a third of them skipped and one week in four without any': () => {
    const draw = generator(11);
    return times(hour, () => 17 * minute).filter(
      (at) => draw(3) > 0 && Math.floor((at - start) / (7 * day)) % 4 !== 2,
    );
  },
};

function times(every: number, delay: () => number): number[] {
  const found: number[] = [];
  for (let at = start; at < end; at += every) found.push(at + delay());
  return found;
}

const firstFrom = (runs: readonly number[], instant: number): number => {
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((runs[middle] ?? 0) < instant) low = middle + 1;
    else high = middle;
  }
  return low;
};

const rotated = (of: SecretRecord, at: number): SecretRecord => {
  const when = new Date(at).toISOString();
  return withReaders(pruned(promote(claim(of, 'CLAIM', when), null, when), 5, new Date(at)).record);
};

const rotates = (of: RotatedSecret, record: SecretRecord, at: number): boolean =>
  decide(of, record, [reconciler], new Date(at), seen(of.name)).some((action) => action.verb === 'rotate');

const seen = (name: string) => observed({ bindings: new Map([[name, binding]]) });

describe('a year of jobs', () => {
  test.each(Object.keys(jobs))('%s: a thousand secrets rotate exactly when they should', (name) => {
    const runs = jobs[name]?.() ?? [];
    let total = 0;
    const draw = generator(3);
    for (const { secret: of, record: adoptedRecord } of thousand()) {
      let record = adoptedRecord;
      let base = Date.parse(record.versions[1]?.promotedAt ?? '');
      for (;;) {
        const due = dueByTable(of.schedule, base);
        let index = firstFrom(runs, due);
        while (index < runs.length && !isOpenByTable(of.schedule, runs[index] ?? 0)) index += 1;
        const expected = runs[index];
        const before = index - 1;
        const sinceBase = firstFrom(runs, base + 25 * minute);
        // every run up to the expected one would be a year of minutes: the last before it, and one at random
        for (const quiet of new Set([before, sinceBase + draw(Math.max(1, before - sinceBase))]))
          if (quiet >= sinceBase && quiet <= before && quiet < runs.length)
            expect([of.name, of.schedule, rotates(of, record, runs[quiet] ?? 0)]).toEqual([
              of.name,
              of.schedule,
              false,
            ]);
        if (expected === undefined) break;
        expect([of.name, of.schedule, new Date(expected), rotates(of, record, expected)]).toEqual([
          of.name,
          of.schedule,
          new Date(expected),
          true,
        ]);
        record = rotated(record, expected);
        base = expected;
        total += 1;
      }
      // nothing is owed twice: a run right after the last one does nothing
      expect(rotates(of, record, base + 25 * minute)).toBe(
        dueByTable(of.schedule, base) <= base + 25 * minute,
      );
    }
    expect(total).toBeGreaterThan(40_000);
  });

  test('in one plan, hour by hour, the same thousand: each rotates at the first run past its due time', () => {
    const all = thousand();
    const records = new Map(all.map(({ record }) => [record.uid, record]));
    const wanted = desired(
      all.map(({ secret: of }) => of),
      { limits: { maxRotations: 1000, maxShare: 1 } },
    );
    const view = observed({ bindings: new Map(all.map(({ secret: of }) => [of.name, binding])) });
    let count = 0;
    for (let at = start + 40 * day; at < start + 42 * day; at += hour) {
      const made = plan(wanted, state([...records.values()]), new Date(at), view);
      for (const action of made.groups.flatMap((group) => group.actions)) {
        if (action.verb !== 'rotate') continue;
        const record = records.get(action.uid);
        const { schedule: of } = wanted.secrets.get(action.secret) ?? secret();
        const base = record?.versions[record.current ?? 0]?.promotedAt ?? '';
        expect(dueByTable(of, Date.parse(base))).toBeLessThanOrEqual(at);
        if (record) records.set(action.uid, rotated(record, at));
        count += 1;
      }
      expect(made.unsafe).toEqual([]);
    }
    expect(count).toBeGreaterThan(800);
  });
});

test('a daily secret that no job looked at for a month rotates once, and keeps its hour', () => {
  const of = secret({ schedule: schedule({ everyDays: 1, hour: 3, timezone: 'Europe/Berlin' }) });
  let record = withReaders(adopt(blank, new Date(start).toISOString()));
  const back = start + 31 * day + 9 * hour;
  expect(rotates(of, record, back)).toBe(true);
  record = rotated(record, back);
  expect(rotates(of, record, back + hour)).toBe(false);
  expect(rotates(of, record, start + 32 * day + 2 * hour - minute)).toBe(false);
  expect(rotates(of, record, start + 32 * day + 2 * hour)).toBe(true);
});

test('offset and jitter over midnight do not push the day on', () => {
  const late = schedule({ everyDays: 1, hour: 22, offset: 6 * hour, jitter: 90 * minute });
  let record = withReaders(adopt(blank, new Date(start).toISOString()));
  const of = secret({ schedule: late });
  let count = 0;
  for (let at = start; at < start + 100 * day; at += 30 * minute)
    if (rotates(of, record, at)) {
      const ofDay = (at % day) / hour;
      expect(ofDay).toBeGreaterThanOrEqual(4);
      expect(ofDay).toBeLessThanOrEqual(6);
      record = rotated(record, at);
      count += 1;
    }
  expect(count).toBe(99);
});

test('a changed interval is reckoned from the last rotation, at once and both ways', () => {
  const record = withReaders(adopt(blank, new Date(start).toISOString()));
  const every = (days: number): RotatedSecret => secret({ schedule: schedule({ everyDays: days }) });
  expect(rotates(every(30), record, start + 10 * day)).toBe(false);
  expect(rotates(every(10), record, start + 10 * day)).toBe(true);
  expect(rotates(every(60), record, start + 59 * day)).toBe(false);
});
