/** Schedules and lengths of time for tests. */
import type { Schedule } from '../../src/manifests/model.ts';

export const minute = 60_000;
export const hour = 60 * minute;
export const day = 24 * hour;
export const seed = { uid: '01JABCDEFG', version: 7 };

export const schedule = (change: Partial<Schedule> = {}): Schedule => ({
  auto: true,
  paused: false,
  everyDays: 30,
  hour: undefined,
  timezone: 'UTC',
  jitter: 0,
  offset: 0,
  pair: undefined,
  apart: day,
  windows: [],
  overdueAfter: 2 * day,
  ...change,
});

export const at = (timezone: string, oclock: number, everyDays = 1): Schedule =>
  schedule({ timezone, hour: oclock, everyDays });
