/** argv -> command -> exit code: the options that all commands share, and the one place where errors become words. */
import { resolve } from 'node:path';
import { type Command, CommanderError } from 'commander';
import type { ChildExit, ExitCode } from '../errors.ts';
import type { Host } from '../host.ts';
import { type Console, createConsole } from '../output/console.ts';
import { exitCodeOf, renderError } from '../output/errors.ts';
import { annotationsOf } from '../output/workflow-commands.ts';
import { version } from '../version.ts';
import type { Context } from './context.ts';
import { describe } from './declared.ts';

export function buildProgram(host: Host): (argv: readonly string[]) => Promise<ExitCode | ChildExit> {
  let code: ExitCode | ChildExit = 0;
  const console = (flags: { quiet?: boolean; json?: boolean } = {}): Console =>
    createConsole({
      stdout: host.stdout,
      stderr: host.stderr,
      env: host.env,
      quiet: flags.quiet === true,
      json: flags.json === true,
    });
  const run = (
    work: (context: Context) => Promise<ExitCode | ChildExit>,
    command: Command,
  ): Promise<void> => {
    const flags = command.optsWithGlobals<{
      identity?: string;
      json?: boolean;
      quiet?: boolean;
      yes?: boolean;
    }>();
    const context: Context = {
      host,
      console: console(flags),
      identity: flags.identity === undefined ? undefined : resolve(host.cwd, flags.identity),
      json: flags.json === true,
      quiet: flags.quiet === true,
      yes: flags.yes === true,
    };
    return work(context).then((ended) => {
      code = ended;
    });
  };
  const program = describe(run);
  program.exitOverride().configureOutput({
    writeOut: (text) => console().data(text.replace(/\n$/, '')),
    writeErr: (text) => console().warn(text.replace(/\n$/, '')),
  });

  return async (argv) => {
    // not commander's own: `get --version 3` must stay free
    if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-V')) {
      console().data(version);
      return 0;
    }
    try {
      await program.parseAsync([...argv], { from: 'user' });
      return code;
    } catch (error) {
      if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 1;
      const out = console();
      out.warn(renderError(error, { color: out.color.words, debug: host.env.KEYTURN_DEBUG === '1' }));
      for (const annotation of annotationsOf(error)) out.command(annotation);
      return exitCodeOf(error);
    }
  };
}
