/** The one way to run git: hardened settings, minimal environment, a limit on every call. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { KeyturnError } from '../errors.ts';
import { childEnvironment, exactBytes, hardening } from './environment.ts';

export interface Answer {
  /** Exit code; -1 when a signal or a limit ended git. */
  code: number;
  out: Buffer;
  err: string;
  timedOut: boolean;
}

export interface Call {
  /** What git reads on its standard input; nothing when absent. */
  input?: Uint8Array | string;
  /** For calls over the network: milliseconds from start to end, whatever git prints meanwhile. */
  network?: number;
  /** Added to the minimal environment. */
  env?: Record<string, string>;
  /** True where git touches the user's files: `core.autocrlf` is the user's then. */
  worktree?: boolean;
}

export interface Git {
  /** Directory git runs in: the top level, once it is known. */
  readonly cwd: string;
  /** One process: bytes in, bytes out. Never throws for an exit code. */
  run(args: readonly string[], call?: Call): Promise<Answer>;
  /** A process that its caller talks to and ends. */
  start(args: readonly string[]): ChildProcessWithoutNullStreams;
}

/** Local calls end in milliseconds; a signing program may wait for a person. */
export const localLimit = 120_000;
/** A killed git may leave a transport helper that holds the pipes: so long, then without it. */
const helperLimit = 1_000;

/** What an `error` of a process that was to be git means. */
export const notInstalled = (cause?: unknown) =>
  new KeyturnError('git', 'cannot be started', {
    hint: 'install git 2.29 or newer and put it on PATH',
    cause,
  });

function settings(call: Call): string[] {
  const all = [...hardening];
  if (!call.worktree) all.push(exactBytes);
  if (call.network !== undefined) {
    // a killed git leaves its http helper behind: let the helper give up first
    const seconds = Math.max(1, Math.floor(call.network / 1_000) - 1);
    all.push('http.lowSpeedLimit=1', `http.lowSpeedTime=${seconds}`);
  }
  return all;
}

/**
 * Runs git in `cwd` with the allowed part of `env`. Throws a KeyturnError only when git cannot be started, and ends what
 * runs when `signal` says so.
 */
export function createGit(cwd: string, env: NodeJS.ProcessEnv, signal?: AbortSignal): Git {
  const terminal = Boolean(process.stdin.isTTY && process.stderr.isTTY);
  const base = childEnvironment(env, terminal);

  const start = (
    args: readonly string[],
    call: Call = {},
    timeout?: number,
  ): ChildProcessWithoutNullStreams =>
    spawn('git', [...settings(call).flatMap((setting) => ['-c', setting]), ...args], {
      cwd,
      env: { ...base, ...call.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout,
      windowsHide: true,
      ...(signal === undefined ? {} : { signal }),
    });

  function run(args: readonly string[], call: Call = {}): Promise<Answer> {
    const child = start(args, call, call.network ?? localLimit);
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (bytes: Buffer) => out.push(bytes));
    child.stderr.on('data', (bytes: Buffer) => err.push(bytes));
    // git may stop reading before the end; its exit code says why
    child.stdin.on('error', () => undefined);
    child.stdin.end(call.input ?? '');
    return new Promise((resolve, reject) => {
      let patience: NodeJS.Timeout | undefined;
      child.on('error', (error) => reject(notInstalled(error)));
      child.on('exit', () => {
        patience = setTimeout(() => {
          child.stdout.destroy();
          child.stderr.destroy();
        }, helperLimit);
      });
      child.on('close', (code) => {
        clearTimeout(patience);
        resolve({
          code: code ?? -1,
          out: Buffer.concat(out),
          err: Buffer.concat(err).toString(),
          timedOut: child.killed,
        });
      });
    });
  }

  return { cwd, run, start: (args) => start(args) };
}

/** What git printed, without the last line end. */
export const text = (answer: Answer): string => answer.out.toString().replace(/\n$/, '');

/** The answer of a local command that has no business failing: anything but 0 is a broken or full disk. */
export function done(answer: Answer, subject: string): Answer {
  if (answer.code === 0) return answer;
  const why = answer.timedOut ? 'git did not end in time' : lastWords(answer.err);
  throw new KeyturnError(subject, why, {
    hint: 'check free disk space, permissions below .git, and `git fsck`',
    left: 'unchanged',
  });
}

/** The line of git's stderr that says what happened, lower case, without its prefix. */
export function lastWords(err: string): string {
  const lines = err.split('\n').map((line) => line.trim());
  const telling = lines.find((line) => /^(fatal|error):/.test(line)) ?? lines.filter(Boolean).at(-1);
  const words = (telling ?? 'git failed without a word').replace(/^(fatal|error): /, '').replace(/\.$/, '');
  return words.charAt(0).toLowerCase() + words.slice(1);
}
