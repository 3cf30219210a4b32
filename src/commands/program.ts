/** The command line: names, options and help; each command's code is loaded when it is called. */
import { resolve } from 'node:path';
import { Command, CommanderError, Option } from 'commander';
import { type ExitCode, KeyturnError } from '../errors.ts';
import type { Host } from '../host.ts';
import { type Console, createConsole } from '../output/console.ts';
import { exitCodeOf, renderError } from '../output/errors.ts';
import { annotationsOf } from '../output/workflow-commands.ts';
import { version } from '../version.ts';
import type { Context } from './context.ts';

const exitCodes = `
keyturn --version prints the version.
Exit codes: 0 done, 1 failed, 2 changes pending (plan --detailed-exitcode), 3 a human is needed, 75 temporary (a rerun recovers).`;

export function buildProgram(host: Host): (argv: readonly string[]) => Promise<ExitCode> {
  let code: ExitCode = 0;
  const console = (flags: { quiet?: boolean; json?: boolean } = {}): Console =>
    createConsole({
      stdout: host.stdout,
      stderr: host.stderr,
      env: host.env,
      quiet: flags.quiet === true,
      json: flags.json === true,
    });
  const run = (work: (context: Context) => Promise<ExitCode>, command: Command): Promise<void> => {
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

type Run = (work: (context: Context) => Promise<ExitCode>, command: Command) => Promise<void>;

function describe(run: Run): Command {
  const program = new Command('keyturn')
    .description('Rotated secrets as code: plans and applies what the manifests of a git repository declare.')
    .option('--identity <file>', 'identity bundle; default KEYTURN_IDENTITY, or ~/.config/keyturn/identity')
    .option('--json', 'data as JSON')
    .option('-q, --quiet', 'no words, only data and errors')
    .option('-y, --yes', 'answer every question with yes')
    .showHelpAfterError()
    .addHelpText('after', exitCodes);

  program
    .command('init')
    .description('make an identity, keyturn.yaml, example manifests and the two workflows')
    .option('--name <name>', 'name of the project', 'secrets')
    .action((options, command) => run(async (c) => (await import('./init.ts')).init(c, options), command));
  program
    .command('validate')
    .description('every manifest error at once; needs no key and no network')
    .action((_, command) => run(async (c) => (await import('./validate.ts')).validate(c), command));
  program
    .command('plan')
    .description('what apply would do, why, and whether it is safe; changes nothing')
    .addOption(new Option('--format <format>').choices(['text', 'markdown', 'json']).default('text'))
    .option('--out <file>', 'also write the plan there, for apply --plan')
    .option('--only <globs...>', 'only secrets whose names match')
    .option('--detailed-exitcode', 'exit 2 when there is something to do', false)
    .action((options, command) =>
      run(
        async (c) =>
          (await import('./plan.ts')).plan(c, { ...options, format: c.json ? 'json' : options.format }),
        command,
      ),
    );
  program
    .command('apply')
    .description('do it: rotate what is due, retire what is over, settle what was interrupted')
    .option('--plan <file>', 'only if this reviewed plan is exactly what would be done')
    .option('--only <globs...>', 'only secrets whose names match')
    .option('--force', 'although the plan is unsafe; and do not wait for back-off or grace', false)
    .action((options, command) => run(async (c) => (await import('./apply.ts')).apply(c, options), command));
  program
    .command('rotate <names...>')
    .description('rotate now')
    .option('--flag', 'record the wish for the next job instead; needs push rights only', false)
    .option('--reason <text>', 'for the history')
    .option('--force', 'also within a grace, a back-off or right after a rotation', false)
    .action((names, options, command) =>
      run(async (c) => (await import('./rotate.ts')).rotate(c, names, options), command),
    );
  program
    .command('get <name>')
    .description('print the current value')
    .option('--version <n>', 'an earlier version', positive)
    .option('--field <field>', 'password, username, …')
    .addOption(new Option('--format <format>').choices(['raw', 'json', 'env']).default('raw'))
    .action((name, options, command) =>
      run(
        async (c) =>
          (await import('./get.ts')).get(c, name, { ...options, format: c.json ? 'json' : options.format }),
        command,
      ),
    );
  program
    .command('list')
    .description('every secret, its version and when it falls due')
    .action((_, command) => run(async (c) => (await import('./list.ts')).list(c), command));
  program
    .command('show <name>')
    .description('what is recorded of one secret; never its value')
    .action((name, _, command) => run(async (c) => (await import('./list.ts')).show(c, name), command));
  program
    .command('history <name>')
    .description('who did what when, from the signed journal')
    .action((name, _, command) => run(async (c) => (await import('./history.ts')).history(c, name), command));
  program
    .command('verify [names...]')
    .description('log in with every current version and report drift; writes nothing')
    .option('--history', 'check every signature and link of the journal instead, offline', false)
    .action((names, options, command) =>
      run(async (c) => (await import('./verify.ts')).verify(c, names, options), command),
    );
  waysOut(program, run);
  program
    .command('seal')
    .description('encrypt a value from stdin for a manifest')
    .action((_, command) => run(async (c) => (await import('./seal.ts')).seal(c), command));
  program
    .command('keygen')
    .description('make an identity')
    .option('--out <file>', 'where to write it; default stdout')
    .option('--reader', 'one that can only read values', false)
    .option('--name <kid>', 'name of its signing key', 'admin-1')
    .action((options, command) =>
      run(async (c) => (await import('./keygen.ts')).keygen(c, options), command),
    );
  return program;
}

function waysOut(program: Command, run: Run): void {
  const load = () => import('./ways-out.ts');
  program
    .command('recover [names...]')
    .description('settle what an interrupted run left pending; rotate nothing else')
    .option('--force', 'although a back-off says wait', false)
    .option(
      '--from <file>',
      'take the encrypted record that an interrupted run left in its log from this file',
    )
    .action((names, options, command) =>
      run(async (c) => (await load()).recover(c, names, options), command),
    );
  program
    .command('reconcile <name>')
    .description("set a recorded value with the target's credentials, whatever is live now")
    .action((name, _, command) => run(async (c) => (await load()).reconcile(c, name), command));
  program
    .command('adopt <name>')
    .description('take a value from stdin that the target accepts already')
    .action((name, _, command) => run(async (c) => (await load()).adopt(c, name), command));
  program
    .command('rebind <name>')
    .description("allow a secret's changed host, port, account or CA")
    .action((name, _, command) => run(async (c) => (await load()).rebind(c, name), command));
  program
    .command('unlock <name>')
    .description('the owner of its claim is gone for good, or its account is unlocked: try at once')
    .action((name, _, command) => run(async (c) => (await load()).unlock(c, name), command));
}

function positive(text: string): number {
  if (/^[1-9]\d{0,7}$/.test(text)) return Number(text);
  throw new KeyturnError(`--version ${text}`, 'is no version number', { hint: 'write 3 for v3' });
}
