/** What falls due in the days to come, if every run succeeds: for `plan --days N`. */
import type { Schedule } from '../manifests/model.ts';
import { dueAt, type Seed } from './schedule.ts';
import { inWindow, nextWindowStart } from './windows.ts';

const day = 86_400_000;

/**
 * The rotations from `from` until `days` days later, given that the current version (`seed`) was promoted at
 * `base`. What is due already comes once, at `from`; each next one is reckoned from the one before.
 */
export function occurrences(schedule: Schedule, base: Date, seed: Seed, from: Date, days: number): Date[] {
  const end = from.getTime() + days * day;
  const found: Date[] = [];
  let promoted = base;
  for (let version = seed.version; ; version++) {
    const runs = nextRun(schedule, promoted, { uid: seed.uid, version }, from);
    if (runs === null || runs.getTime() >= end) return found;
    found.push(runs);
    promoted = runs;
  }
}

function nextRun(schedule: Schedule, base: Date, seed: Seed, from: Date): Date | null {
  const due = dueAt(schedule, base, seed);
  if (due === null) return null;
  const earliest = due > from ? due : from;
  return inWindow(schedule, earliest) ? earliest : nextWindowStart(schedule, earliest);
}
