/** What happens to a version whose value the target makes, between its claim and its end (protocol §4.2). Pure. */
import type { SecretRecord, VersionRecord } from './model.ts';
import { pendingOf, type Sealed, versionOf } from './transitions.ts';

/** R2, R3: one more value that this rotation removes at the target, named before it is touched. */
export function condemned(record: SecretRecord, handle: string): SecretRecord {
  const pending = pendingOf(record);
  if (inUse(record, handle)) throw new Error(`${record.name} would remove a value in use`);
  return { ...record, pending: { ...pending, victims: [...new Set([...pending.victims, handle])] } };
}

/** R6: the target's value for the pending version; its victims are gone by now. */
export function issued(
  record: SecretRecord,
  by: { handle: string; username?: string; expiresAt?: string; sealed: Sealed; at: string },
): SecretRecord {
  const pending = pendingOf(record);
  if (pending.phase === 'issued') throw new Error(`${record.name} v${pending.v} was issued before`);
  const versions = { ...record.versions };
  for (const [v, version] of Object.entries(versions))
    if (version.handle !== undefined && pending.victims.includes(version.handle))
      versions[v] = gone(version, by.at);
  const version = versionOf(record, pending.v);
  const username = by.username ?? version.username;
  const { handle, expiresAt } = by;
  const end = expiresAt === undefined ? {} : { expiresAt };
  versions[pending.v] = { ...version, ...by.sealed, username, handle, ...end };
  return { ...record, versions, pending: { ...pending, phase: 'issued' } };
}

/** The target's value for the pending version, read from where it shows it. */
export function filled(record: SecretRecord, sealed: Sealed): SecretRecord {
  const { v } = pendingOf(record);
  return { ...record, versions: { ...record.versions, [v]: { ...versionOf(record, v), ...sealed } } };
}

/** Whether the target's `handle` is that of the version in use or on its way there. */
export const inUse = (record: SecretRecord, handle: string): boolean =>
  [record.current, record.pending?.v].some((v) => v != null && record.versions[v]?.handle === handle);

/** R9: nothing of the version is left at the target. */
export function removed(record: SecretRecord, v: number, at: string): SecretRecord {
  return { ...record, versions: { ...record.versions, [v]: gone(versionOf(record, v), at) } };
}

function gone({ removeAfter: _, ...version }: VersionRecord, at: string): VersionRecord {
  return version.stage === 'retiring' ? { ...version, stage: 'retired', retiredAt: at } : version;
}
