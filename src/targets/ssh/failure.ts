import type { Outcome } from '../driver.ts';

/**
 * Why there is no session, or no answer in one. `untrusted`: another host key than the pinned ones, nothing was
 * sent. `unreachable`: no answer. The others are what the host said of the login: `denied` (wrong value),
 * `blocked` (says nothing about it), `restricted` (the value is right), `inconclusive`.
 */
export type Kind = 'untrusted' | 'unreachable' | 'denied' | 'blocked' | 'restricted' | 'inconclusive';

export class SshFailure extends Error {
  readonly kind: Kind;
  readonly code: string;
  readonly detail: string;

  constructor(kind: Kind, code: string, detail: string) {
    super(detail);
    this.name = 'SshFailure';
    this.kind = kind;
    this.code = code;
    this.detail = detail;
  }

  get outcome(): Outcome {
    return { code: this.code, detail: this.detail };
  }
}

/** What a driver may catch: everything else is a bug of ours and stays one. */
export function failureOf(error: unknown): SshFailure {
  if (error instanceof SshFailure) return error;
  throw error;
}
