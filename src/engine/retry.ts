/** When what failed is tried again, and what is said of it until then. PURE. */
import type { SecretRecord } from '../state/model.ts';
import { backoffUntil } from './schedule.ts';

export const failureWords = (record: SecretRecord): string => {
  const { lastError } = record.sched;
  return lastError ? `${lastError.step} failed (${lastError.class}, ${lastError.code})` : 'failed';
};

/** The back-off of protocol §10, or a day where only a human can help. */
export const retryAt = (record: SecretRecord, human: boolean, now: Date): string =>
  (human ? new Date(now.getTime() + 86_400_000) : backoffUntil(record.sched.failures, now)).toISOString();
