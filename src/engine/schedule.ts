/**
 * When a rotation is due (protocol §10). Pure: everything follows from the manifest, the time that the current
 * version was promoted and its number, so nothing in the future is stored and a late run shifts nothing.
 */
import { createHmac } from 'node:crypto';
import type { Schedule } from '../manifests/model.ts';
import type { VersionRecord } from '../state/model.ts';
import { instantOf, wallDay, wallTime } from './zoned.ts';

export { inWindow, nextWindowStart } from './windows.ts';
export { relative, span } from './words.ts';

const minute = 60_000;
const day = 86_400_000;

/** What jitter is drawn from: the current version of one secret. */
export interface Seed {
  uid: string;
  version: number;
}

/**
 * When the version that was promoted at `base` is due to be replaced, or null for a manual schedule. With an
 * hour: that hour of the calendar day `everyDays` after the day of `base`, in the schedule's zone; the first
 * instant after a DST gap, the first of two readings. Jitter and offset only add, and where they carry a
 * rotation over midnight, the next one is still reckoned from the day that it was meant for. Never before `base`.
 */
export function dueAt(schedule: Schedule, base: Date, seed: Seed): Date | null {
  if (!schedule.auto) return null;
  const behind = jitterOf(schedule, seed) + schedule.offset;
  const meant = new Date(
    base.getTime() - schedule.offset - jitterOf(schedule, { ...seed, version: seed.version - 1 }),
  );
  const due = nominal(schedule, schedule.hour === undefined ? base : meant).getTime() + behind;
  return new Date(due >= base.getTime() ? due : nominal(schedule, base).getTime() + behind);
}

function nominal({ everyDays, hour, timezone }: Schedule, base: Date): Date {
  if (hour === undefined) return new Date(base.getTime() + everyDays * day);
  const { midnight } = wallDay(wallTime(base, timezone));
  return instantOf(midnight + everyDays * day + hour * 60 * minute, timezone, base);
}

/** The same for every run, different for every secret and version: `HMAC-SHA256(uid, version) mod jitter`. */
function jitterOf({ jitter }: Schedule, { uid, version }: Seed): number {
  if (jitter <= 0) return 0;
  return createHmac('sha256', uid).update(String(version)).digest().readUIntBE(0, 6) % jitter;
}

/** Whether a rotation due at `due` has waited longer than the schedule tolerates, windows included. */
export function isOverdue(schedule: Schedule, due: Date, now: Date): boolean {
  return now.getTime() - due.getTime() > schedule.overdueAfter;
}

/** Earliest next attempt after one that failed: 15 min, doubled for each of the `failures` in a row before it, at most 24 h. */
export function backoffUntil(failures: number, lastAttempt: Date): Date {
  return new Date(lastAttempt.getTime() + Math.min(15 * minute * 2 ** failures, day));
}

/** `every 30d at 03:00 Europe/Berlin`, `every 30d` or `manual`. */
export function describeSchedule({ auto, everyDays, hour, timezone }: Schedule): string {
  if (!auto) return 'manual';
  if (hour === undefined) return `every ${everyDays}d`;
  return `every ${everyDays}d at ${String(hour).padStart(2, '0')}:00 ${timezone}`;
}

/** Whether something of the version is to go at the target by now. */
export function isOver({ stage, retireAfter, removeAfter }: VersionRecord, now: Date): boolean {
  const until = stage === 'retiring' ? retireAfter : stage === 'retired' ? removeAfter : undefined;
  return until !== undefined && Date.parse(until) <= now.getTime();
}
