/** 0 done, 1 failed, 2 changes pending, 3 a human is needed, 75 temporary: a rerun recovers (EX_TEMPFAIL). */
export type ExitCode = 0 | 1 | 2 | 3 | 75;

/** How the child of `exec` ended: any code of its own, passed on. */
export type ChildExit = number;

/** What a failure left behind at the place it touched. */
export type LeftBehind = 'refused' | 'unchanged' | 'unknown';

export interface Explanation {
  /** What one should do now; a second sentence, printed below the first. */
  hint?: string;
  exit?: ExitCode;
  left?: LeftBehind;
  /** Short machine code for logs and back-off, e.g. `ECONNREFUSED`. Never a server's text. */
  code?: string;
  cause?: unknown;
}

/**
 * The only error that users see: `subject: what happened`, lower case, no full stop, never a value;
 * then a hint. Anything else that reaches `cli.ts` is a bug and says so.
 */
export class KeyturnError extends Error {
  readonly subject: string;
  readonly what: string;
  readonly hint: string | undefined;
  readonly exit: ExitCode;
  readonly left: LeftBehind;
  readonly code: string | undefined;

  constructor(subject: string, what: string, explanation: Explanation = {}) {
    super(`${subject}: ${what}`, explanation.cause === undefined ? {} : { cause: explanation.cause });
    this.name = 'KeyturnError';
    this.subject = subject;
    this.what = what;
    this.hint = explanation.hint;
    this.exit = explanation.exit ?? 1;
    this.left = explanation.left ?? 'unchanged';
    this.code = explanation.code;
  }
}

/** Several errors found in one go, e.g. everything wrong with the manifests. Sorted by the finder. */
export class ManyErrors extends Error {
  readonly errors: readonly KeyturnError[];
  readonly exit: ExitCode = 1;

  constructor(errors: readonly KeyturnError[]) {
    super(`${errors.length} errors`);
    this.name = 'ManyErrors';
    this.errors = errors;
  }
}
