/** What `keyturn doctor` says of one thing. */
import { KeyturnError, ManyErrors } from '../errors.ts';

export interface Finding {
  subject: string;
  level: 'ok' | 'warning' | 'problem';
  what: string;
  fix: string | null;
}

/** Throws what is no error of ours. */
export function problems(subject: string, error: unknown): Finding[] {
  if (error instanceof ManyErrors) return error.errors.flatMap((one) => problems(subject, one));
  if (!(error instanceof KeyturnError)) throw error;
  return [{ subject, level: 'problem', what: error.message, fix: error.hint ?? null }];
}
