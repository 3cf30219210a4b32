type Plain = Record<string, unknown>;

const isPlain = (value: unknown): value is Plain => typeof value === 'object' && value !== null;

/**
 * Whether two pieces of plain data say the same. Parts of `now` that say what stands at the same place of `before` are
 * replaced by those, and frozen since they belong to both: of a hundred thousand alike things a part is kept once.
 */
export function share(now: unknown, before: unknown): boolean {
  if (now === before) return true;
  if (!isPlain(now) || !isPlain(before) || Array.isArray(now) !== Array.isArray(before)) return false;
  const fixed = Object.isFrozen(now);
  let left = Object.keys(before).length;
  let same = true;
  for (const key of Object.keys(now)) {
    if (!Object.hasOwn(before, key)) same = false;
    else {
      left -= 1;
      const other = before[key];
      if (!share(now[key], other)) same = false;
      else if (!fixed && isPlain(other)) now[key] = Object.freeze(other);
      else if (!fixed && typeof other === 'string') now[key] = other;
    }
  }
  return same && left === 0;
}
