/** Times as people say them, for the reasons of a plan. */

const units: readonly [string, number, number][] = [
  ['d', 86_400_000, 2],
  ['h', 3_600_000, 1],
  ['m', 60_000, 1],
  ['s', 1000, 1],
];

/** A length of time in its largest unit, rounded down; in days only from two on: `24h`, `3d`, `15m`, `0s`. */
export function span(milliseconds: number): string {
  const length = Math.abs(milliseconds);
  for (const [letter, unit, least] of units)
    if (length >= unit * least) return `${Math.floor(length / unit)}${letter}`;
  return '0s';
}

/** When `moment` is, said at `now`: `3d ago`, `in 5h`, `now` when less than a second apart. */
export function relative(moment: Date, now: Date): string {
  const distance = moment.getTime() - now.getTime();
  if (Math.abs(distance) < 1000) return 'now';
  return distance < 0 ? `${span(distance)} ago` : `in ${span(distance)}`;
}
