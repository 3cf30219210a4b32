/** What a record notes beside its versions: failures, pauses, where a credential may be sent. Pure: a record in, a record out. */
import type { Binding, Health, SecretRecord } from './model.ts';

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
    ...record,
    health: record.health === 'blocked' ? 'drift' : record.health,
    pending: pending && { ...pending, tried: [], claim: { ...pending.claim, lease: 0 } },
    sched: { ...record.sched, failures: 0, nextAttemptAt: null, probeAfter: null, lastError: null },
  };
}

export function rebound(record: SecretRecord, binding: Binding): SecretRecord {
  return { ...record, binding };
}
