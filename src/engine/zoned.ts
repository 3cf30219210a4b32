/** Wall clocks of IANA zones, with `Intl` alone. A wall time is written as the UTC instant that reads the same. */

const day = 86_400_000;
/** No zone was ever further from UTC; with this much on both sides every reading of a wall time is in between. */
const furthest = 16 * 3_600_000;
const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone);
  if (known) return known;
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    calendar: 'gregory',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  formats.set(zone, format);
  return format;
}

/** What the wall clock of `zone` shows at `instant`, to the millisecond, as milliseconds of the UTC instant that reads the same. */
export function wallTime(instant: Date | number, zone: string): number {
  const at = Number(instant);
  if (zone === 'UTC') return at;
  // American order: `3/29/2026, 02:00:00`.
  const [month = 1, date = 1, year = 0, hour, minute, second] = formatOf(zone)
    .format(at)
    .split(/\D+/)
    .map(Number);
  const seconds = Date.UTC(year, month - 1, date, hour, minute, second);
  return seconds + (((at % 1000) + 1000) % 1000);
}

/** Midnight of the calendar day that a wall time is on, and the day's weekday (0 is Sunday). */
export function wallDay(wall: number): { midnight: number; weekday: number } {
  const midnight = Math.floor(wall / day) * day;
  return { midnight, weekday: new Date(midnight).getUTCDay() };
}

/**
 * The first instant, not before `notBefore`, at which the wall clock of `zone` shows `wall`; where a gap skips
 * that time, the first instant after the gap.
 */
export function instantOf(wall: number, zone: string, notBefore: Date): Date {
  if (zone === 'UTC') return new Date(wall);
  const early = wall - furthest;
  const late = wall + furthest;
  const readings = [early, late]
    .map((around) => wall - (wallTime(around, zone) - around))
    .filter((instant) => instant >= notBefore.getTime() && wallTime(instant, zone) === wall);
  return new Date(readings.length > 0 ? Math.min(...readings) : endOfGap(wall, zone, early, late));
}

/** The one instant between `early` and `late` at which the wall clock jumps past `wall`. */
function endOfGap(wall: number, zone: string, early: number, late: number): number {
  let before = early;
  let after = late;
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (wallTime(middle, zone) < wall) before = middle;
    else after = middle;
  }
  return after;
}
