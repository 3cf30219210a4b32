/**
 * Which of the values that a target lists may go, and for what reason (protocol §4.2, R0-R3). PURE.
 *
 * | listed value                                        | is         | may go                          |
 * |-----------------------------------------------------|------------|---------------------------------|
 * | of the current or the pending version               | in use     | never                           |
 * | named as a victim before                            | condemned  | at once                         |
 * | of another version                                  | former     | when its place is needed        |
 * | of none; it says that it was made for this record   | orphan     | at once                         |
 * | of none; values say so, and it does not             | foreign    | never                           |
 * | of none; the account is all ours                    | orphan     | at once, if nobody uses it      |
 * | of none; made since the claim and never used        | orphan     | at once                         |
 * | of none otherwise                                   | foreign    | never                           |
 */

import { decodeTime, isValid } from 'ulid';
import { inUse } from '../state/issued-transitions.ts';
import type { SecretRecord } from '../state/model.ts';
import type { IssuedKey, LastUse } from '../targets/issued.ts';
import { clockSkew } from './unfinished.ts';
import { lease } from './world.ts';

export type Standing = 'in use' | 'condemned' | 'former' | 'orphan' | 'foreign' | 'unexplained';

/** `marks`: every value of ours says for good which record it was made for. */
export function standing(record: SecretRecord, { handle, madeFor }: IssuedKey, marks = false): Standing {
  if (inUse(record, handle)) return 'in use';
  if (record.pending?.victims.includes(handle)) return 'condemned';
  if (Object.values(record.versions).some((version) => version.handle === handle)) return 'former';
  if (marks) return madeFor === record.uid ? 'orphan' : 'foreign';
  return 'unexplained';
}

/**
 * Whether an unexplained value could be one that a claim of this rotation, or a late one of the last, made and lost.
 * Times are the target's own: a clock of ours that is off makes nothing foreign, and nothing ours.
 */
export function isNew(record: SecretRecord, key: IssuedKey, keys: readonly IssuedKey[]): boolean {
  const { pending } = record;
  const version = pending && record.versions[pending.v];
  if (!pending || !version || pending.before.includes(key.handle)) return false;
  const intent = Date.parse(pending.baseline.at ?? version.createdAt);
  return Date.parse(key.createdAt) >= intent - clockSkew || isLate(record, key, keys);
}

/**
 * What existed before a rotation that begins now. A value that a late owner of the last rotation's claim made is
 * not among it: it was new then and may go now.
 */
export const baseline = (record: SecretRecord, keys: readonly IssuedKey[]): string[] =>
  keys
    .filter((key) => standing(record, key) !== 'unexplained' || !isLate(record, key, keys))
    .map((key) => key.handle);

/** Made while somebody could still hold the claim of the version that is current now. */
function isLate(record: SecretRecord, key: IssuedKey, keys: readonly IssuedKey[]): boolean {
  const last = record.current === null ? undefined : record.versions[record.current];
  const current = keys.find(({ handle }) => handle === last?.handle);
  if (!last?.before || !current || last.before.includes(key.handle)) return false;
  const took = Date.parse(last.promotedAt ?? '') - Date.parse(last.createdAt);
  const apart = Math.abs(Date.parse(key.createdAt) - Date.parse(current.createdAt));
  return apart <= took + lease + clockSkew;
}

/**
 * A value that was made for this record by a claim later than anything that the record knows: the state was rolled
 * back, and what it would take for an orphan is what consumers use (threat A4). Claims carry their time.
 */
export function fromLater(record: SecretRecord, keys: readonly IssuedKey[]): IssuedKey | undefined {
  const times = Object.values(record.versions).flatMap(({ createdAt, promotedAt, retiredAt }) =>
    [createdAt, promotedAt, retiredAt].map((at) => (at === undefined ? 0 : Date.parse(at))),
  );
  const newest = Math.max(0, ...times) + clockSkew;
  return keys.find(
    (key) =>
      standing(record, key, true) === 'orphan' &&
      key.claim !== undefined &&
      isValid(key.claim) &&
      decodeTime(key.claim) > newest,
  );
}

/** Not known counts as used. */
export const neverUsed = (use: LastUse): boolean => use.r === 'known' && use.at === null;

/** Whether somebody has used it within `window` milliseconds. Not known counts as used. */
export function isUsed(use: LastUse, window: number, now: Date): boolean {
  if (use.r === 'unknown') return true;
  return use.at !== null && now.getTime() - Date.parse(use.at) < window;
}

/** Of former values the one that goes first: one that is switched off, then the oldest. */
export function firstToGo(record: SecretRecord, keys: readonly IssuedKey[]): IssuedKey | undefined {
  return keys
    .filter((key) => standing(record, key) === 'former')
    .sort(
      (a, b) => Number(a.active) - Number(b.active) || Date.parse(a.createdAt) - Date.parse(b.createdAt),
    )[0];
}
