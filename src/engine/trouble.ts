import { KeyturnError } from '../errors.ts';
import { base } from './conclude.ts';
import type { Action, Result } from './model.ts';

/** An exception on a secret's way is that secret's result, never the others'. A foreign one is a bug: only its class is told. */
export function failureResult(action: Action, error: unknown): Result {
  if (!(error instanceof KeyturnError))
    return {
      ...base(action),
      outcome: 'failed',
      left: 'unknown',
      detail: `internal error (${error instanceof Error ? error.name : typeof error})`,
      hint: 'run again with KEYTURN_DEBUG=1 and report it',
    };
  return {
    ...base(action),
    outcome: error.exit === 3 ? 'human' : error.exit === 75 ? 'waiting' : 'failed',
    left: error.left,
    detail: error.message,
    hint: error.hint ?? null,
  };
}
