import type { SecretRecord, State } from './model.ts';

const indexes = new WeakMap<State['records'], ReadonlyMap<string, SecretRecord>>();

/**
 * The records by their names, which are unique. Made once for each state, because a plan asks once for each secret;
 * `records` are never changed in place.
 */
export function byName(records: State['records']): ReadonlyMap<string, SecretRecord> {
  const known = indexes.get(records);
  if (known) return known;
  const index = new Map(Object.values(records).map((record) => [record.name, record]));
  indexes.set(records, index);
  return index;
}
