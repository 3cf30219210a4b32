/** `with:` of the action, which the runner hands over as INPUT_* variables. `action.yml` says what each is for. */
import { KeyturnError } from '../errors.ts';
import { Secret } from '../secret.ts';

const commands = ['validate', 'plan', 'apply', 'verify', 'get'] as const;
export type ActionCommand = (typeof commands)[number];

const failures = ['errors', 'unsafe', 'changes', 'overdue'] as const;
export type Failure = (typeof failures)[number];

export interface Inputs {
  command: ActionCommand;
  identity: Secret | null;
  /** Globs of secret names; empty for all. */
  only: string[];
  /** What fails the job besides errors, which always do. */
  failOn: ReadonlySet<Failure>;
  token: Secret | null;
  /** Secrets to rotate now; empty for what is due. */
  rotate: string[];
  reason: string;
  /** `NAME` or `NAME=VAR`, for `get`. */
  secrets: string[];
  /** An address to read from in place of what is checked out, for `get`. */
  repo: string | undefined;
  ref: string | undefined;
  /** Of the project, relative to the workspace. */
  folder: string;
}

/** Throws a KeyturnError (exit 1) for a word that no input knows. */
export function readInputs(env: NodeJS.ProcessEnv): Inputs {
  const text = (name: string): string => (env[`INPUT_${name.toUpperCase()}`] ?? '').trim();
  const words = (name: string): string[] => text(name).split(/\s+/).filter(Boolean);
  const secret = (name: string): Secret | null => (text(name) === '' ? null : new Secret(text(name)));
  return {
    command: oneOf(commands, text('command') || 'plan', 'command'),
    identity: secret('identity'),
    only: words('only'),
    failOn: new Set(
      text('fail-on')
        .split(/[\s,]+/)
        .filter(Boolean)
        .map((word) => oneOf(failures, word, 'fail-on')),
    ),
    token: secret('token'),
    rotate: words('rotate'),
    reason: text('reason'),
    secrets: words('secrets'),
    repo: text('repo') || undefined,
    ref: text('ref') || undefined,
    folder: text('working-directory') || '.',
  };
}

function oneOf<Word extends string>(known: readonly Word[], word: string, input: string): Word {
  const found = known.find((one) => one === word);
  if (found !== undefined) return found;
  throw new KeyturnError(`input ${input}`, `"${word}" is not known`, { hint: `write ${known.join(', ')}` });
}
