import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { backoffUntil, describeSchedule, dueAt, isOverdue } from '../../src/engine/schedule.ts';
import { wallTime } from '../../src/engine/zoned.ts';
import type { Schedule } from '../../src/manifests/model.ts';
import { at, day, hour, minute, schedule, seed } from './schedules.ts';

const due = (of: Schedule, base: string): string | undefined =>
  dueAt(of, new Date(base), seed)?.toISOString();

describe('due', () => {
  test('without an hour is the interval later, to the second', () => {
    expect(due(schedule(), '2026-03-01T10:20:30Z')).toBe('2026-03-31T10:20:30.000Z');
  });

  test('is never, when manual', () => {
    expect(dueAt(schedule({ auto: false }), new Date('2026-03-01T00:00:00Z'), seed)).toBeNull();
  });

  test.each([
    ['UTC', 3, '2026-03-01T10:00:00Z', '2026-03-02T03:00:00.000Z'],
    ['Europe/Madrid, winter', 3, '2026-01-10T10:00:00Z', '2026-01-11T02:00:00.000Z'],
    ['Europe/Madrid, into the gap', 2, '2026-03-28T10:00:00Z', '2026-03-29T01:00:00.000Z'],
    ['Europe/Madrid, after the gap', 3, '2026-03-28T10:00:00Z', '2026-03-29T01:00:00.000Z'],
    ['Europe/Madrid, first of two', 2, '2026-10-24T10:00:00Z', '2026-10-25T00:00:00.000Z'],
    ['America/New_York, into the gap', 2, '2026-03-07T12:00:00Z', '2026-03-08T07:00:00.000Z'],
    ['America/New_York, first of two', 1, '2026-10-31T12:00:00Z', '2026-11-01T05:00:00.000Z'],
    ['Pacific/Apia, the day that never was', 3, '2011-12-29T20:00:00Z', '2011-12-30T10:00:00.000Z'],
    ['Asia/Kolkata, half an hour off', 3, '2026-05-01T19:00:00Z', '2026-05-02T21:30:00.000Z'],
    ["America/St_Johns, midnight's second reading", 0, '1987-10-25T02:50:00Z', '1987-10-25T03:30:00.000Z'],
  ])('in %s at %i:00', (where, oclock, base, expected) => {
    expect(due(at(where.split(',')[0] ?? '', oclock), base)).toBe(expected);
  });

  test('counts the calendar days of the zone, not of UTC', () => {
    expect(due(at('Pacific/Auckland', 3, 2), '2026-06-10T13:00:00Z')).toBe('2026-06-12T15:00:00.000Z');
  });

  test('does not drift when every run is three hours late', () => {
    const daily = at('Europe/Berlin', 3);
    let base = new Date('2026-01-01T02:00:00Z');
    for (let run = 0; run < 400; run++) {
      const next = dueAt(daily, base, seed);
      expect(wallTime(next ?? base, 'Europe/Berlin') % day).toBe(3 * hour);
      base = new Date(Number(next) + 3 * hour);
    }
    expect(base.toISOString()).toBe('2027-02-05T05:00:00.000Z');
  });

  test('is reckoned from the same base when the interval changes', () => {
    const base = '2026-03-01T10:00:00Z';
    expect(due(schedule({ everyDays: 30 }), base)).toBe('2026-03-31T10:00:00.000Z');
    expect(due(schedule({ everyDays: 7 }), base)).toBe('2026-03-08T10:00:00.000Z');
  });

  test('offset and jitter only add, and jitter is steady for a version and differs between them', () => {
    const base = new Date('2026-03-01T10:00:00Z');
    const plain = Number(dueAt(schedule(), base, seed));
    expect(Number(dueAt(schedule({ offset: 12 * hour }), base, seed)) - plain).toBe(12 * hour);

    const jittered = schedule({ jitter: 6 * hour });
    const added = Array.from(
      { length: 50 },
      (_, version) => Number(dueAt(jittered, base, { uid: seed.uid, version })) - plain,
    );
    expect(new Set(added).size).toBeGreaterThan(45);
    expect(Math.min(...added)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...added)).toBeLessThan(6 * hour);
    expect(Math.max(...added)).toBeGreaterThan(4 * hour);
    for (let version = 0; version < 200; version++) {
      const added = Number(dueAt(schedule({ jitter: 3 }), base, { uid: seed.uid, version })) - plain;
      expect([0, 1, 2]).toContain(added);
    }
    expect(dueAt(jittered, base, seed)).toEqual(dueAt(jittered, base, { ...seed }));
    expect(dueAt(jittered, base, seed)).not.toEqual(dueAt(jittered, base, { ...seed, uid: 'another' }));
  });

  describe('in every IANA zone and every year since 1970', () => {
    const zones = Intl.supportedValuesOf('timeZone');
    const zone = fc.constantFrom(...zones);
    const years = fc.date({ min: new Date('1970-01-02'), max: new Date('2037-12-31'), noInvalidDate: true });
    const some = fc.record({
      timezone: zone,
      hour: fc.integer({ min: 0, max: 23 }),
      everyDays: fc.integer({ min: 1, max: 365 }),
      jitter: fc.constantFrom(0, 0, 3 * hour),
    });

    test('it is not before the base, the same twice, and monotone in the interval', () => {
      fc.assert(
        fc.property(some, years, (given, base) => {
          const of = schedule(given);
          const first = Number(dueAt(of, base, seed));
          const longer = Number(dueAt({ ...of, everyDays: of.everyDays + 1 }, base, seed));
          expect(first).toBeGreaterThanOrEqual(base.getTime());
          expect(Number(dueAt({ ...of }, new Date(base), { ...seed }))).toBe(first);
          expect(longer).toBeGreaterThanOrEqual(first);
        }),
        { numRuns: 3000 },
      );
    });

    test('around each change of the clock it is that hour, first reading, or the end of the gap', () => {
      for (const timezone of zones)
        for (const change of changesOf(timezone, 2026)) expectRightAround(timezone, change);
    });

    test('around changes of other years too', () => {
      fc.assert(
        fc.property(zone, fc.integer({ min: 1970, max: 2037 }), (timezone, year) => {
          for (const change of changesOf(timezone, year)) expectRightAround(timezone, change);
        }),
        { numRuns: 150 },
      );
    });
  });
});

/** The days of `year` in UTC on which the zone's offset changes. */
function changesOf(timezone: string, year: number): number[] {
  const offset = (instant: number): number => wallTime(instant, timezone) - instant;
  const changes: number[] = [];
  for (let noon = Date.UTC(year, 0, 1, 12); noon < Date.UTC(year + 1, 0, 1); noon += day)
    if (offset(noon) !== offset(noon + day)) changes.push(noon);
  return changes;
}

/** Compares every hour of the local days around a change with a walk over each quarter of an hour. */
function expectRightAround(timezone: string, change: number): void {
  const base = change - 2 * day;
  const midnight = Math.floor(wallTime(base, timezone) / day) * day;
  const quarters: [instant: number, wall: number][] = [];
  for (let instant = base; instant < base + 6 * day; instant += 15 * minute)
    quarters.push([instant, wallTime(instant, timezone)]);
  for (let ahead = 1; ahead <= 4; ahead++)
    for (let oclock = 0; oclock < 24; oclock++) {
      const wanted = midnight + ahead * day + oclock * hour;
      const expected =
        quarters.find(([, wall]) => wall === wanted) ?? quarters.find(([, wall]) => wall > wanted);
      const found = Number(dueAt(at(timezone, oclock, ahead), new Date(base), seed));
      if (expected && found !== expected[0] && wallTime(found, timezone) !== wanted)
        expectEndOfGap(timezone, found, wanted);
      else if (expected && wallTime(expected[0], timezone) === wanted)
        expect([timezone, new Date(found).toISOString()]).toEqual([
          timezone,
          new Date(expected[0]).toISOString(),
        ]);
    }
}

/** A gap that does not end on a quarter of an hour: the clock was short of `wanted` a moment ago, and is past it. */
function expectEndOfGap(timezone: string, found: number, wanted: number): void {
  expect(wallTime(found, timezone)).toBeGreaterThan(wanted);
  expect(wallTime(found - 1, timezone)).toBeLessThan(wanted);
}

test('overdue begins when it has waited for longer than tolerated', () => {
  const when = new Date('2026-01-01T00:00:00Z');
  expect(isOverdue(schedule(), when, new Date('2026-01-03T00:00:00Z'))).toBe(false);
  expect(isOverdue(schedule(), when, new Date('2026-01-03T00:00:00.001Z'))).toBe(true);
});

test('back-off doubles from a quarter of an hour up to a day', () => {
  const last = new Date('2026-01-01T00:00:00Z');
  const minutes = [0, 1, 2, 3, 6, 7, 50, 5000].map(
    (n) => (Number(backoffUntil(n, last)) - Number(last)) / minute,
  );
  expect(minutes).toEqual([15, 30, 60, 120, 960, 1440, 1440, 1440]);
});

test('a schedule in words', () => {
  expect(describeSchedule(schedule({ hour: 3, timezone: 'Europe/Berlin' }))).toBe(
    'every 30d at 03:00 Europe/Berlin',
  );
  expect(describeSchedule(schedule())).toBe('every 30d');
  expect(describeSchedule(schedule({ auto: false, hour: 3 }))).toBe('manual');
});
