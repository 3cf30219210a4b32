/**
 * The only place where a version changes its stage (protocol §2), with `issued-transitions.ts` beside it. Pure: a record in, a record out.
 *
 *     proposed -claim pushed-> pending -verified-> current -next promoted-> retiring -retireAfter-> retired -> pruned
 *                                 `-proven not live-> abandoned -> pruned
 */
import type { Binding, Claim, Health, Sched, SecretRecord, VersionRecord, Why } from './model.ts';

const day = 86_400_000;
/** Values stay readable at least this long after they stop being current, whatever `keep` says (protocol §2). */
export const minimumRetention = 30 * day;

const rested: Sched = {
  failures: 0,
  nextAttemptAt: null,
  lastError: null,
  rotateToken: null,
  probeAfter: null,
  notified: [],
};

export interface Sealed {
  /** Digest of the sealed file's bytes. */
  file: string;
  /** Fingerprints it is sealed to, sorted. */
  readers: string[];
  /** Fingerprints that it was sealed to before. */
  formerReaders?: string[];
}

export function newRecord(of: {
  uid: string;
  name: string;
  rotator: string;
  target: string;
  binding: Binding;
  specDigest: string;
  protected?: boolean;
}): SecretRecord {
  return {
    ...of,
    current: null,
    versions: {},
    pending: null,
    sched: rested,
    health: 'ok',
  };
}

/** The number the next version gets; numbers are never used twice. */
export function nextVersion(record: SecretRecord): number {
  return Math.max(0, ...Object.keys(record.versions).map(Number), record.current ?? 0) + 1;
}

/** P1: a value that may be sent once this is pushed. */
export function claimed(
  record: SecretRecord,
  by: {
    v: number;
    claim: Claim;
    why: Why;
    uses: string[];
    baseline: Record<string, string>;
    actor: 'self' | 'target';
    retain: boolean;
    refusals: number;
    username: string;
    /** null where the target is yet to issue the value. */
    sealed: Sealed | null;
    /** Handles that the target lists now. */
    before?: string[];
    reason?: string;
  },
): SecretRecord {
  if (record.pending) throw new Error(`claim of ${record.name} over a pending version`);
  const version: VersionRecord = {
    stage: 'pending',
    createdAt: by.claim.at,
    username: by.username,
    ...(by.sealed ?? { file: null, readers: [] }),
  };
  const { v, claim, why, uses, baseline, actor, retain, refusals, before = [] } = by;
  return {
    ...record,
    versions: { ...record.versions, [v]: version },
    pending: {
      v,
      phase: 'claimed',
      claim,
      why,
      uses,
      baseline,
      actor,
      retain,
      refusals,
      tried: [],
      before,
      victims: [],
      ...(by.reason === undefined ? {} : { reason: by.reason }),
    },
  };
}

/** A former owner is gone: the same value under a new claim, so that the former owner's pushes fail. */
export function takenOver(record: SecretRecord, claim: Omit<Claim, 'attempt'>): SecretRecord {
  const pending = pendingOf(record);
  return {
    ...record,
    pending: { ...pending, claim: { ...claim, attempt: pending.claim.attempt + 1 } },
  };
}

/** P5: the pending version becomes current; the former one retires at `retireAfter`, or has with the SET. */
export function promoted(
  record: SecretRecord,
  by: {
    at: string;
    verified: NonNullable<VersionRecord['verified']>;
    health: Health;
    /** When the former version must be retired; null: the target refuses it already; `next`: with the next rotation. */
    retireAfter: string | null;
    specDigest: string;
    rotateToken: string | null;
    protected?: boolean;
  },
): SecretRecord {
  const pending = pendingOf(record);
  const versions = { ...record.versions };
  const former = record.current === null ? undefined : versions[record.current];
  if (former && record.current !== null)
    versions[record.current] = by.retireAfter
      ? {
          ...former,
          stage: 'retiring',
          ...(by.retireAfter === 'next' ? {} : { retireAfter: by.retireAfter }),
        }
      : { ...former, stage: 'retired', retiredAt: by.at };
  for (const [v, version] of Object.entries(versions))
    if (version.stage === 'retiring' && Number(v) !== record.current)
      versions[v] = { ...version, stage: 'retired', retiredAt: by.at };
  const version = versionOf(record, pending.v);
  versions[pending.v] = {
    ...version,
    stage: 'current',
    promotedAt: by.at,
    verified: by.verified,
    // only where a claim was taken over may its former owner still make a value that nobody asked for
    ...(version.handle === undefined || pending.claim.attempt === 1 ? {} : { before: pending.before }),
  };
  return {
    ...record,
    current: pending.v,
    versions,
    pending: null,
    health: by.health,
    specDigest: by.specDigest,
    sched: { ...rested, rotateToken: by.rotateToken },
    ...(by.protected === undefined ? {} : { protected: by.protected }),
  };
}

/** An existing credential, proven by a login, becomes a version without the target being changed. */
export function adopted(
  record: SecretRecord,
  by: {
    at: string;
    username: string;
    sealed: Sealed;
    /** The target's name of it, where it has one, and when it dies by itself, where it does. */
    handle?: string;
    expiresAt?: string;
    verified: NonNullable<VersionRecord['verified']>;
    rotateToken: string | null;
    protected?: boolean;
  },
): SecretRecord {
  const v = nextVersion(record);
  const versions = { ...record.versions };
  if (record.current !== null)
    versions[record.current] = { ...versionOf(record, record.current), stage: 'retired', retiredAt: by.at };
  if (record.pending)
    versions[record.pending.v] = {
      ...versionOf(record, record.pending.v),
      stage: 'abandoned',
      retiredAt: by.at,
    };
  versions[v] = {
    stage: 'current',
    createdAt: by.at,
    promotedAt: by.at,
    verified: by.verified,
    username: by.username,
    ...by.sealed,
    ...(by.handle === undefined ? {} : { handle: by.handle }),
    ...(by.expiresAt === undefined ? {} : { expiresAt: by.expiresAt }),
  };
  return {
    ...record,
    current: v,
    versions,
    pending: null,
    health: 'ok',
    sched: { ...rested, rotateToken: by.rotateToken },
    ...(by.protected === undefined ? {} : { protected: by.protected }),
  };
}

/** The pending value is proven not live (another value logged in, no SET in flight): kept, but out of the way. */
export function abandoned(record: SecretRecord, at: string): SecretRecord {
  const { v } = pendingOf(record);
  return {
    ...record,
    versions: { ...record.versions, [v]: { ...versionOf(record, v), stage: 'abandoned', retiredAt: at } },
    pending: null,
  };
}

/** A value that the target says it made live although nobody asked for it: kept beside the pending one. */
export function found(
  record: SecretRecord,
  by: { at: string; username: string; sealed: Sealed },
): SecretRecord {
  const version: VersionRecord = {
    stage: 'abandoned',
    createdAt: by.at,
    retiredAt: by.at,
    username: by.username,
    ...by.sealed,
  };
  return { ...record, versions: { ...record.versions, [nextVersion(record)]: version } };
}

/** P6: the target refuses the version now, and holds it, switched off, until `removeAfter`. */
export function retired(record: SecretRecord, v: number, at: string, removeAfter?: string): SecretRecord {
  const version: VersionRecord = { ...versionOf(record, v), stage: 'retired', retiredAt: at };
  if (removeAfter !== undefined) version.removeAfter = removeAfter;
  return { ...record, versions: { ...record.versions, [v]: version } };
}

/** The same values for other readers, and under another name where the manifest says `movedFrom`. */
export function rekeyed(record: SecretRecord, name: string, sealed: Map<number, Sealed>): SecretRecord {
  const versions = { ...record.versions };
  for (const [v, files] of sealed) versions[v] = { ...versionOf(record, v), ...files };
  return { ...record, name, versions };
}

/** Drops what retention no longer asks for; returns the numbers whose files go too. */
export function pruned(
  record: SecretRecord,
  keep: number,
  now: Date,
): { record: SecretRecord; gone: number[] } {
  const numbers = Object.keys(record.versions)
    .map(Number)
    .sort((a, b) => b - a);
  const gone = numbers.slice(keep).filter((v) => {
    const version = versionOf(record, v);
    if (version.removeAfter !== undefined) return false;
    const ended =
      version.stage === 'retired' || version.stage === 'abandoned' ? version.retiredAt : undefined;
    return ended !== undefined && now.getTime() - Date.parse(ended) >= minimumRetention;
  });
  if (gone.length === 0) return { record, gone };
  const versions = Object.fromEntries(
    Object.entries(record.versions).filter(([v]) => !gone.includes(Number(v))),
  );
  return { record: { ...record, versions }, gone };
}

export function versionOf(record: SecretRecord, v: number): VersionRecord {
  const version = record.versions[v];
  if (!version) throw new Error(`${record.name} has no version ${v}`);
  return version;
}

export function pendingOf(record: SecretRecord): NonNullable<SecretRecord['pending']> {
  if (!record.pending) throw new Error(`${record.name} has no pending version`);
  return record.pending;
}
