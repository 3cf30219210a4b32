/** The one way to run git: hardened settings, minimal environment, a limit on every call. */
import { spawn } from 'node:child_process';
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
  /** Questions and network calls, through simple-git. Never throws for an exit code. */
  ask(args: string[], call?: Call): Promise<Answer>;
  /** Object plumbing: bytes in, bytes out. Never throws for an exit code. */
  feed(args: string[], input?: Uint8Array | string, call?: Call): Promise<Answer>;
}

/** Local calls end in milliseconds; a signing program may wait for a person. */
const localLimit = 120_000;

/**
 * simple-git refuses settings that can start programs. Here they come from us or from the user's own
 * environment, never from the repository, so all are let through.
 */
const unsafe = {
  allowUnsafeAlias: true,
  allowUnsafeAskPass: true,
  allowUnsafeCommandBinaries: true,
  allowUnsafeConfigEnvCount: true,
  allowUnsafeConfigPaths: true,
  allowUnsafeCredentialHelper: true,
  allowUnsafeDiffExternal: true,
  allowUnsafeDiffTextConv: true,
  allowUnsafeEditor: true,
  allowUnsafeExec: true,
  allowUnsafeFilter: true,
  allowUnsafeFsMonitor: true,
  allowUnsafeGitProxy: true,
  allowUnsafeGpgProgram: true,
  allowUnsafeHooksPath: true,
  allowUnsafeInclude: true,
  allowUnsafeMergeDriver: true,
  allowUnsafePack: true,
  allowUnsafePager: true,
  allowUnsafeProtocolOverride: true,
  allowUnsafeSshCommand: true,
  allowUnsafeSubmodule: true,
  allowUnsafeTemplateDir: true,
  allowUnsafeUrlRewrite: true,
};

const notInstalled = (cause?: unknown) =>
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

/** Runs git in `cwd` with the allowed part of `env`. Throws a KeyturnError only when git cannot be started. */
export function createGit(cwd: string, env: NodeJS.ProcessEnv): Git {
  const terminal = Boolean(process.stdin.isTTY && process.stderr.isTTY);
  const base = childEnvironment(env, terminal);

  async function ask(args: string[], call: Call = {}): Promise<Answer> {
    const { simpleGit } = await import('simple-git');
    const child = { ...base, ...call.env };
    let answer: Answer | undefined;
    const git = simpleGit({
      baseDir: cwd,
      config: settings(call),
      allowEnvironment: Object.keys(child),
      unsafe,
      timeout: { block: call.network ?? localLimit, stdOut: false, stdErr: false },
      // a killed git may leave a transport helper that holds the pipes: one second, then without it
      completion: { onClose: true, onExit: 1_000 },
      // simple-git's own rule takes a failure without words for success, and hides the exit code
      errors: (error, result) => {
        answer = {
          code: result.exitCode ?? -1,
          out: Buffer.concat(result.stdOut),
          err: Buffer.concat(result.stdErr).toString(),
          timedOut: error !== undefined && !Buffer.isBuffer(error) && error.message.includes('timeout'),
        };
        return undefined;
      },
    });
    await git.env(child).raw(args);
    if (answer === undefined || /spawn \S+ ENOENT/.test(answer.err)) {
      throw notInstalled();
    }
    return answer;
  }

  /**
   * Not simple-git: it never closes stdin when the content is empty, keeps stdout as bytes for two commands
   * only, and waits 50 ms after a command that prints nothing, which is what plumbing does.
   */
  function feed(args: string[], input: Uint8Array | string = '', call: Call = {}): Promise<Answer> {
    const child = spawn('git', [...settings(call).flatMap((setting) => ['-c', setting]), ...args], {
      cwd,
      env: { ...base, ...call.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: call.network ?? localLimit,
      windowsHide: true,
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (bytes: Buffer) => out.push(bytes));
    child.stderr.on('data', (bytes: Buffer) => err.push(bytes));
    // git may stop reading before the end; its exit code says why
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    return new Promise((resolve, reject) => {
      child.on('error', (error) => reject(notInstalled(error)));
      child.on('close', (code) =>
        resolve({
          code: code ?? -1,
          out: Buffer.concat(out),
          err: Buffer.concat(err).toString(),
          timedOut: child.killed,
        }),
      );
    });
  }

  return { cwd, ask, feed };
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
