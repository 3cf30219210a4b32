/** Maintenance windows: when a rotation that is due may run (protocol §10). Judged by the wall clock of each window's zone. */
import type { Schedule, Window } from '../manifests/model.ts';
import { instantOf, wallDay, wallTime } from './zoned.ts';

const minute = 60_000;
const day = 86_400_000;
const weekdays = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
/** A weekly window can fall into a DST gap, so the next one may be two weeks away. */
const daysAhead = 15;

/** Whether a rotation may run at `now`: inside any window, or always when there is none. */
export function inWindow(schedule: Schedule, now: Date): boolean {
  return schedule.windows.length === 0 || schedule.windows.some((window) => isOpen(window, now));
}

/** The first start of a window at `from` or later; null when there are no windows to wait for. */
export function nextWindowStart(schedule: Schedule, from: Date): Date | null {
  const starts = schedule.windows.flatMap((window) => nextStart(window, from) ?? []);
  return starts.length === 0 ? null : new Date(Math.min(...starts.map(Number)));
}

/** A window that crosses midnight belongs to the day that it starts on; one from an hour to the same hour lasts a day. */
function isOpen(window: Window, now: Date): boolean {
  const wall = wallTime(now, window.timezone);
  const { midnight } = wallDay(wall);
  const sinceMidnight = wall - midnight;
  const from = timeOfDay(window.from);
  const to = timeOfDay(window.to);
  if (from < to) return opensOn(window, midnight) && sinceMidnight >= from && sinceMidnight < to;
  const startedToday = opensOn(window, midnight) && sinceMidnight >= from;
  return startedToday || (opensOn(window, midnight - day) && sinceMidnight < to);
}

function nextStart(window: Window, from: Date): Date | undefined {
  const { midnight } = wallDay(wallTime(from, window.timezone));
  for (let ahead = 0; ahead <= daysAhead; ahead++) {
    const onDay = midnight + ahead * day;
    if (!opensOn(window, onDay)) continue;
    const start = instantOf(onDay + timeOfDay(window.from), window.timezone, from);
    if (start >= from && isOpen(window, start)) return start;
  }
  return undefined;
}

function opensOn({ days }: Window, midnight: number): boolean {
  return days.length === 0 || days.includes(weekdays[wallDay(midnight).weekday] ?? '');
}

/** `HH:MM` as milliseconds after midnight. */
function timeOfDay(text: string): number {
  const [hours = 0, minutes = 0] = text.split(':').map(Number);
  return (hours * 60 + minutes) * minute;
}
