/** What a record notes beside its versions: failures, pauses, where a credential may be sent. Pure: a record in, a record out. */
import { hostsUnlocked } from './hosts.ts';
import type { Binding, Health, Sched, SecretRecord } from './model.ts';
import type { SessionNote } from './sessions.ts';

export interface Failure {
  class: string;
  code: string;
  step: string;
}

/** Notes a failure; the pending version, if any, stays. Error texts are never stored. */
export function failed(
  record: SecretRecord,
  by: {
    failure: Failure;
    nextAttemptAt: string | null;
    health?: Health;
    probeAfter?: string | null;
    tried?: number;
  },
): SecretRecord {
  return {
    ...record,
    health: by.health ?? record.health,
    pending:
      record.pending && by.tried !== undefined
        ? { ...record.pending, tried: [...record.pending.tried, by.tried] }
        : record.pending,
    sched: {
      ...record.sched,
      failures: record.sched.failures + 1,
      lastError: by.failure,
      nextAttemptAt: by.nextAttemptAt,
      probeAfter: by.probeAfter === undefined ? record.sched.probeAfter : by.probeAfter,
    },
  };
}

/** True when writing the failure down again would tell nobody anything: no commit per hour (protocol §10). */
export function sameFailure(record: SecretRecord, failure: Failure): boolean {
  const last = record.sched.lastError;
  return last?.class === failure.class && last.step === failure.step;
}

/** A human lets the next run try at once, probing allowed. */
export function unlocked(record: SecretRecord): SecretRecord {
  const { pending } = record;
  return {
    ...hostsUnlocked(record),
    health: record.health === 'blocked' ? 'drift' : record.health,
    pending: pending && { ...pending, tried: [], claim: { ...pending.claim, lease: 0 } },
    sched: {
      ...undrifted(record.sched),
      failures: 0,
      nextAttemptAt: null,
      probeAfter: null,
      lastError: null,
    },
  };
}

export function rebound(record: SecretRecord, binding: Binding): SecretRecord {
  return { ...record, binding };
}

/** The target was asked, and accepts the current version. */
export function checked(record: SecretRecord, at: string): SecretRecord {
  const current = record.current === null ? undefined : record.versions[record.current];
  if (record.current === null || !current) throw new Error(`${record.name} has no current version`);
  return {
    ...record,
    versions: { ...record.versions, [record.current]: { ...current, verified: { at, how: 'login' } } },
    health: 'ok',
    sched: { ...undrifted(record.sched), checkedAt: at, probeAfter: null },
  };
}

/** The target was asked and refuses the current version: somebody changed it. A plan's matter from now on. */
export const drifted = (record: SecretRecord, at: string): SecretRecord => ({
  ...record,
  health: 'drift',
  sched: { ...record.sched, checkedAt: at, driftAt: at },
});

/** The account may be locked: nobody asks again before `probeAfter`. */
export const paused = (record: SecretRecord, at: string, probeAfter: string): SecretRecord => ({
  ...record,
  sched: { ...record.sched, checkedAt: at, probeAfter },
});

function undrifted({ driftAt: _, ...sched }: Sched): Sched {
  return sched;
}

/** Sessions as they are known now. */
export const withSessions = (record: SecretRecord, sessions: SessionNote[]): SecretRecord => ({
  ...record,
  sessions,
});

/** Whether `keyturn destroy` may touch it is what the manifest said last. */
export const protectedBy = (record: SecretRecord, deleteProtection: boolean): SecretRecord => ({
  ...record,
  protected: deleteProtection,
});
