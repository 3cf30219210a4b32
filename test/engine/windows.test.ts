import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { occurrences } from '../../src/engine/calendar.ts';
import { dueAt, inWindow, nextWindowStart } from '../../src/engine/schedule.ts';
import type { Schedule, Window } from '../../src/manifests/model.ts';
import { at, day, hour, schedule, seed } from './schedules.ts';

describe('windows', () => {
  const window = (change: Partial<Window>): Window => ({
    days: [],
    from: '22:00',
    to: '02:00',
    timezone: 'UTC',
    ...change,
  });
  const within = (given: Partial<Window>): Schedule => schedule({ windows: [window(given)] });
  const open = (of: Schedule, when: string): boolean => inWindow(of, new Date(when));
  const next = (of: Schedule, from: string): string | undefined =>
    nextWindowStart(of, new Date(from))?.toISOString();

  test('none means always, and nothing to wait for', () => {
    expect(open(schedule(), '2026-01-01T00:00:00Z')).toBe(true);
    expect(next(schedule(), '2026-01-01T00:00:00Z')).toBeUndefined();
  });

  test('a window opens at its first minute and is closed at its last', () => {
    const office = within({ from: '09:00', to: '17:30' });
    expect(open(office, '2026-01-05T08:59:59.999Z')).toBe(false);
    expect(open(office, '2026-01-05T09:00:00Z')).toBe(true);
    expect(open(office, '2026-01-05T17:29:59.999Z')).toBe(true);
    expect(open(office, '2026-01-05T17:30:00Z')).toBe(false);
  });

  test('a window that crosses midnight belongs to the day it starts on', () => {
    const saturdayNight = within({ days: ['sat'] });
    expect(open(saturdayNight, '2026-01-03T01:00:00Z')).toBe(false);
    expect(open(saturdayNight, '2026-01-03T22:00:00Z')).toBe(true);
    expect(open(saturdayNight, '2026-01-04T01:59:59Z')).toBe(true);
    expect(open(saturdayNight, '2026-01-04T02:00:00Z')).toBe(false);
    expect(open(saturdayNight, '2026-01-04T23:00:00Z')).toBe(false);
    expect(next(saturdayNight, '2026-01-04T02:00:00Z')).toBe('2026-01-10T22:00:00.000Z');
  });

  test('from an hour to the same hour is a whole day', () => {
    const sunday = within({ days: ['sun'], from: '06:00', to: '06:00' });
    expect(open(sunday, '2026-01-04T05:59:59Z')).toBe(false);
    expect(open(sunday, '2026-01-04T06:00:00Z')).toBe(true);
    expect(open(sunday, '2026-01-05T05:59:59Z')).toBe(true);
    expect(open(sunday, '2026-01-05T06:00:00Z')).toBe(false);
  });

  test('follows the wall clock of its zone over a change', () => {
    const berlin = within({ from: '03:00', to: '04:00', timezone: 'Europe/Berlin' });
    expect(next(berlin, '2026-03-28T12:00:00Z')).toBe('2026-03-29T01:00:00.000Z');
    expect(next(berlin, '2026-10-25T12:00:00Z')).toBe('2026-10-26T02:00:00.000Z');
  });

  test('a weekly window that a gap swallows opens the week after', () => {
    const swallowed = within({ days: ['sun'], from: '02:10', to: '02:50', timezone: 'Europe/Berlin' });
    expect(next(swallowed, '2026-03-27T12:00:00Z')).toBe('2026-04-05T00:10:00.000Z');
  });

  test('the earliest of several counts', () => {
    const several = schedule({
      windows: [window({ days: ['wed'] }), window({ days: ['tue'], from: '04:00', to: '05:00' })],
    });
    expect(next(several, '2026-01-05T12:00:00Z')).toBe('2026-01-06T04:00:00.000Z');
    expect(next(several, '2026-01-06T04:00:00.001Z')).toBe('2026-01-07T22:00:00.000Z');
  });

  test('the next start is inside, not before, and nothing between is a start, in every zone', () => {
    const clock = fc
      .tuple(fc.integer({ min: 0, max: 23 }), fc.constantFrom(0, 15, 30, 45))
      .map(([h, m]) => `${pad(h)}:${pad(m)}`);
    fc.assert(
      fc.property(
        fc.record({
          days: fc.subarray(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']),
          from: clock,
          to: clock,
          timezone: fc.constantFrom(...Intl.supportedValuesOf('timeZone')),
        }),
        fc.date({ min: new Date('1980-01-01'), max: new Date('2037-01-01'), noInvalidDate: true }),
        (given, from) => {
          const of = within(given);
          const start = nextWindowStart(of, from);
          expect(start && start >= from && inWindow(of, start)).toBe(true);
          expect(Number(start) - from.getTime()).toBeLessThanOrEqual(15 * day);
          const again = nextWindowStart(of, new Date(Number(start) - 1));
          if (start && start > from) expect(again).toEqual(start);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

const pad = (number: number): string => String(number).padStart(2, '0');

describe('calendar', () => {
  const days = (of: Schedule, base: string, from: string, ahead: number): string[] =>
    occurrences(of, new Date(base), seed, new Date(from), ahead).map((when) => when.toISOString());

  test('lists each rotation from the one before', () => {
    expect(days(at('UTC', 3, 10), '2026-01-01T12:00:00Z', '2026-01-02T00:00:00Z', 30)).toEqual([
      '2026-01-11T03:00:00.000Z',
      '2026-01-21T03:00:00.000Z',
      '2026-01-31T03:00:00.000Z',
    ]);
  });

  test('rotates once for all that was missed, now', () => {
    expect(days(schedule({ everyDays: 10 }), '2025-01-01T00:00:00Z', '2026-01-02T00:00:00Z', 15)).toEqual([
      '2026-01-02T00:00:00.000Z',
      '2026-01-12T00:00:00.000Z',
    ]);
  });

  test('jitters each rotation by its own version', () => {
    const of = schedule({ everyDays: 10, jitter: hour });
    const base = new Date('2026-01-01T00:00:00Z');
    const [first = base, second] = occurrences(of, base, seed, base, 25);
    expect(first).toEqual(dueAt(of, base, seed));
    expect(second).toEqual(dueAt(of, first, { uid: seed.uid, version: seed.version + 1 }));
  });

  test('waits for windows', () => {
    const windows = [{ days: ['sat'], from: '22:00', to: '02:00', timezone: 'UTC' }];
    expect(
      days(schedule({ everyDays: 7, windows }), '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z', 20),
    ).toEqual(['2026-01-10T22:00:00.000Z', '2026-01-17T22:00:00.000Z']);
  });

  test('is empty for a manual schedule', () => {
    expect(days(schedule({ auto: false }), '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z', 365)).toEqual([]);
  });
});
