/** What rotates when in the days to come, if every run succeeds: for `plan --days N`. PURE. */
import type { Desired, RotatedSecret, Schedule } from '../manifests/model.ts';
import type { State } from '../state/model.ts';
import { versionOf } from '../state/transitions.ts';
import { pairsOf } from './pairs.ts';
import { recordOf } from './plan.ts';
import { withAssent } from './restraint.ts';
import { dueAt, type Seed } from './schedule.ts';
import { inWindow, nextWindowStart } from './windows.ts';
import { span } from './words.ts';
import { wallTime } from './zoned.ts';

const minute = 60_000;
const day = 86_400_000;
/** More windows missed than this are not counted one by one. */
const manyWindows = 100;

export interface Entry {
  /** ISO time at which it runs. */
  at: string;
  /** ISO time at which it falls due. */
  due: string;
  timezone: string;
  secret: string;
  target: string;
  /** The version that it makes. */
  version: number;
  /** What is special about it, each one phrase: a window, the pair, a clock change. */
  notes: string[];
}

interface Course {
  secret: RotatedSecret;
  base: Date;
  seed: Seed;
  notes: string[];
}

/** Sorted by time, then name. A secret that is manual, paused, or has no version yet is not in it. */
export function agenda(
  desired: Desired,
  state: State,
  now: Date,
  days: number,
  wanted: (name: string) => boolean = () => true,
): Entry[] {
  const end = now.getTime() + days * day;
  const courses = [...desired.secrets.values()].flatMap((secret): Course[] => {
    const record = recordOf(secret, state.records);
    if (!record || record.current === null || !secret.schedule.auto || secret.schedule.paused) return [];
    const { promotedAt } = versionOf(record, record.current);
    if (promotedAt === undefined) return [];
    const seed = { uid: record.uid, version: record.current };
    return [{ secret, base: new Date(promotedAt), seed, notes: assentNotes(secret, desired) }];
  });
  const paired = [...pairsOf(desired).values()].map((members) =>
    courses.filter(({ secret }) => members.includes(secret)),
  );
  const alone = courses.filter(({ secret }) => secret.schedule.pair === undefined).map((course) => [course]);
  return [...paired, ...alone]
    .flatMap((group) => simulate(group, now, end))
    .filter((entry) => wanted(entry.secret))
    .sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : a.secret < b.secret ? -1 : 1));
}

/** The rotations of secrets that must keep apart, in the order in which they happen. */
function simulate(group: readonly Course[], from: Date, end: number): Entry[] {
  const entries: Entry[] = [];
  const courses = group.map((course) => ({ ...course }));
  for (;;) {
    const next = courses
      .map((course) => ({ course, run: runOf(course, courses, from) }))
      .sort(
        (a, b) =>
          a.run.at - b.run.at ||
          a.course.base.getTime() - b.course.base.getTime() ||
          (a.course.secret.name < b.course.secret.name ? -1 : 1),
      )[0];
    if (!next || next.run.at >= end) return entries;
    const { course, run } = next;
    const { name, target, schedule } = course.secret;
    const at = new Date(run.at);
    entries.push({
      at: at.toISOString(),
      due: run.due.toISOString(),
      timezone: schedule.timezone,
      secret: name,
      target,
      version: course.seed.version + 1,
      notes: [...run.notes, ...clockNotes(schedule, course.base, run.due), ...course.notes],
    });
    course.base = at;
    course.seed = { uid: course.seed.uid, version: course.seed.version + 1 };
  }
}

function runOf(
  course: Course,
  group: readonly Course[],
  from: Date,
): { due: Date; at: number; notes: string[] } {
  const { schedule } = course.secret;
  const due = dueAt(schedule, course.base, course.seed);
  if (!due) throw new Error('a manual schedule has no next run');
  const notes: string[] = [];
  let at = Math.max(due.getTime(), from.getTime());
  if (at > due.getTime()) notes.push(`due ${span(at - due.getTime())} ago`, ...missed(schedule, due, from));
  const others = group.filter((other) => other !== course);
  const rest = Math.max(...others.map((other) => other.base.getTime() + schedule.apart), 0);
  if (rest > at) {
    at = rest;
    notes.push(`keeps ${span(schedule.apart)} from the other of its pair ${schedule.pair}`);
  }
  if (!inWindow(schedule, new Date(at))) {
    at = (nextWindowStart(schedule, new Date(at)) ?? new Date(Number.POSITIVE_INFINITY)).getTime();
    notes.push('waits for its window');
  }
  return { due, at, notes };
}

/** The windows that opened since it fell due, and in which no run rotated it. */
function missed(schedule: Schedule, due: Date, from: Date): string[] {
  let count = 0;
  for (let start = nextWindowStart(schedule, due); start && start <= from && count <= manyWindows; count += 1)
    start = nextWindowStart(schedule, new Date(start.getTime() + 1));
  if (count === 0) return [];
  return [
    count > manyWindows
      ? `more than ${manyWindows} windows missed`
      : `${count} ${count === 1 ? 'window' : 'windows'} missed`,
  ];
}

function clockNotes(schedule: Schedule, base: Date, due: Date): string[] {
  const { hour, timezone, jitter, offset } = schedule;
  if (hour === undefined || timezone === 'UTC') return [];
  const shift =
    (wallTime(due, timezone) - due.getTime() - (wallTime(base, timezone) - base.getTime())) / minute;
  const notes = shift === 0 ? [] : [`the clock was changed by ${shift > 0 ? '+' : ''}${shift}m since`];
  if (jitter > 0 || offset > 0) return notes;
  const oclock = `${String(hour).padStart(2, '0')}:00`;
  if (Math.floor((wallTime(due, timezone) % day) / (60 * minute)) !== hour)
    notes.push(`there is no ${oclock} that day`);
  else if (wallTime(due.getTime() + 60 * minute, timezone) === wallTime(due, timezone))
    notes.push(`${oclock} comes twice, the first one counts`);
  return notes;
}

function assentNotes(secret: RotatedSecret, desired: Desired): string[] {
  const due = {
    verb: 'rotate',
    secret: secret.name,
    uid: '',
    target: '',
    from: null,
    to: null,
    why: 'due',
    reason: '',
  } as const;
  return withAssent([due], desired, false)[0]?.verb === 'hold' ? ['needs --yes'] : [];
}
