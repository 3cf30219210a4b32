import { type ExitCode, KeyturnError } from '../errors.ts';
import type { Host } from '../host.ts';
import type { Console } from '../output/console.ts';
import { createProgress, type Progress } from '../output/progress.ts';
import { openSession, type Session } from '../run.ts';

/** What every command is given: the machine, the only way to print, and the options that all commands share. */
export interface Context {
  host: Host;
  console: Console;
  /** Absolute path of `--identity`. */
  identity: string | undefined;
  json: boolean;
  quiet: boolean;
  yes: boolean;
}

export type Command<Args extends unknown[]> = (context: Context, ...args: Args) => Promise<ExitCode>;

/** A session whose events are told as they happen. */
export async function sessionWithProgress(
  context: Context,
): Promise<{ session: Session; progress: Progress }> {
  const { host, console } = context;
  const progress = createProgress(console, {
    tty: host.stderr.isTTY === true && !context.quiet && !console.actions,
    clock: host.clock,
  });
  const session = await openSession(host, {
    identity: context.identity,
    emit: (event) => progress.on(event),
  });
  return { session, progress };
}

/** A session, or null for a reader: the state is sealed to reconcilers and planners only. */
export async function sessionIfReadable(context: Context): Promise<Session | null> {
  try {
    return await quietSession(context);
  } catch (error) {
    const expected = ['NO_IDENTITY', 'UNKNOWN_SIGNER'];
    if (error instanceof KeyturnError && expected.includes(error.code ?? '')) return null;
    throw error;
  }
}

export const quietSession = (context: Context): Promise<Session> =>
  openSession(context.host, { identity: context.identity });
