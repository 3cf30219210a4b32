/**
 * Who can open what, as records know it: by fingerprint, because age files do not name their recipients, with the
 * names beside. Pure: a record in, a record out.
 */
import { fingerprint } from '../age/fingerprint.ts';
import { type Reader, reconcilerName } from '../manifests/model.ts';
import type { SecretRecord, VersionRecord } from './model.ts';
import { versionOf } from './transitions.ts';

/** Notes the names of `readers`, and forgets those that no version and no approval mentions any more. */
export function named(record: SecretRecord, readers: readonly Reader[]): SecretRecord {
  const names = {
    ...record.readerNames,
    ...Object.fromEntries(readers.map((reader) => [fingerprint(reader.recipient), reader.name])),
  };
  const mentioned = new Set([...Object.values(record.versions).flatMap(knownBy), ...(record.approved ?? [])]);
  const readerNames = Object.fromEntries(Object.entries(names).filter(([fp]) => mentioned.has(fp)));
  return { ...record, readerNames };
}

/** A signer lets `readers` in: the next version that is sealed may be sealed to them. */
export function approvedFor(record: SecretRecord, readers: readonly Reader[]): SecretRecord {
  const added = readers.map((reader) => fingerprint(reader.recipient));
  const approved = [...new Set([...(record.approved ?? []), ...added])].sort();
  return named({ ...record, approved }, readers);
}

/** An approval ends with the right: whoever is no longer declared needs a new one to come back. */
export function approvalsOf(
  record: SecretRecord,
  declared: readonly Reader[],
  signed: boolean,
): SecretRecord {
  if (record.approved === undefined && !signed) return record;
  const wanted = new Set(declared.map((reader) => fingerprint(reader.recipient)));
  return { ...record, approved: (record.approved ?? []).filter((fp) => wanted.has(fp)) };
}

/**
 * Additions need a signer: as the signed records say, not only keyturn.yaml, which whoever may push could change
 * back to `trust: branch` (protocol A6).
 */
export const approvalsAreOn = (records: readonly SecretRecord[]): boolean =>
  records.some((record) => record.approved !== undefined);

/** Everybody who could ever open the version: those it is sealed to, and those who have opened it before. */
export const knownBy = (version: VersionRecord): string[] => [
  ...new Set([...version.readers, ...(version.formerReaders ?? [])]),
];

/** What people call the owner of a fingerprint. */
export const nameOf = (record: SecretRecord, fp: string): string => record.readerNames?.[fp] ?? fp;

export const isReconciler = (record: SecretRecord, fp: string): boolean =>
  record.readerNames?.[fp] === reconcilerName;

/** Sealed to readers only. Records without names are from before there were such versions. */
export const isBlind = (record: SecretRecord, v: number): boolean =>
  record.readerNames !== undefined && !versionOf(record, v).readers.some((fp) => isReconciler(record, fp));
