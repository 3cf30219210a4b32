const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
type Unit = keyof typeof units;

const isUnit = (word: string): word is Unit => Object.hasOwn(units, word);

/** Milliseconds of `500ms`, `45s`, `90m`, `24h`, `30d`; undefined for anything else, and beyond 2^53. */
export function parseDuration(word: string): number | undefined {
  const [, count, unit] = /^(0|[1-9]\d*)(ms|s|m|h|d)$/.exec(word) ?? [];
  if (count === undefined || unit === undefined || !isUnit(unit)) return undefined;
  const ms = Number(count) * units[unit];
  return Number.isSafeInteger(ms) ? ms : undefined;
}

/**
 * The shortest word for whole milliseconds, the inverse of `parseDuration`. Exactly one day is `24h`: people
 * say a grace in hours and an interval in days.
 */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s';
  if (ms === units.d) return '24h';
  for (const unit of ['d', 'h', 'm', 's'] as const)
    if (ms % units[unit] === 0) return `${ms / units[unit]}${unit}`;
  return `${ms}ms`;
}

/** Few words, asked for several times a secret. */
const durations = new Map<string, number>();

/** The schema has seen it: anything that is no duration is a bug here, not in a manifest. */
export function durationOf(word: string): number {
  const known = durations.get(word);
  if (known !== undefined) return known;
  const parsed = parseDuration(word);
  if (parsed === undefined) throw new Error('the schema let a malformed duration through');
  durations.set(word, parsed);
  return parsed;
}
