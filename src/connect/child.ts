/** A child process that stands in for this one: its signals are ours, and ours are its. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { KeyturnError } from '../errors.ts';
import type { Host } from '../host.ts';

const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/** Runs it with our environment, without KEYTURN_*, and `given`. Its exit code, or 128 and its signal's number. */
export async function runChild(
  { cwd, env, stdin }: Pick<Host, 'cwd' | 'env' | 'stdin'>,
  command: string,
  args: readonly string[],
  given: ReadonlyMap<string, string>,
): Promise<number> {
  const own = Object.entries(env).filter(([name]) => !name.toUpperCase().startsWith('KEYTURN_'));
  const child = spawn(command, [...args], {
    cwd,
    env: { ...Object.fromEntries(own), ...Object.fromEntries(given) },
    stdio: 'inherit',
  });
  const forward = (signal: NodeJS.Signals): void => {
    // the terminal has told the child already: it is in the same foreground group
    if (stdin.isTTY === true && (signal === 'SIGINT' || signal === 'SIGQUIT')) return;
    child.kill(signal);
  };
  for (const signal of forwarded) process.on(signal, forward);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)));
    });
  } catch (error) {
    const { code = 'no code' } = error as NodeJS.ErrnoException;
    throw new KeyturnError(command, `cannot be started (${code})`, {
      hint: 'check its name and whether it may be executed',
    });
  } finally {
    for (const signal of forwarded) process.off(signal, forward);
  }
}
