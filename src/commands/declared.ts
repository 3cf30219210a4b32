/** The command line: names, options and help; each command's code is loaded when it is called. */
import { Command, Option } from 'commander';
import { type ChildExit, type ExitCode, KeyturnError } from '../errors.ts';
import type { Context } from './context.ts';

const exitCodes = `
keyturn --version prints the version.
Exit codes: 0 done, 1 failed, 2 changes pending (plan --detailed-exitcode), 3 a human is needed, 75 temporary (a rerun recovers).`;

type Run = (work: (context: Context) => Promise<ExitCode | ChildExit>, command: Command) => Promise<void>;

export function describe(run: Run): Command {
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
    .option(
      '--action <owner/name@commit>',
      'the action that the workflows use; default the one of this release',
    )
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
    .option('--against <ref>', 'what the manifests here change against those of a commit; needs no key')
    .option('--days <n>', 'what rotates when in the days to come, instead', daysAhead)
    .option('--fail-overdue', 'exit 3 when a rotation is overdue: for a monitor outside the job', false)
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
    .description('rotate now; what a target logs in with needs --yes, or an answer on a terminal')
    .option('--flag', 'record the wish for the next job instead; needs push rights only', false)
    .option('--reason <text>', 'for the history')
    .option('--to-version <n>', 'set an earlier value again, as a new version', positive)
    .option('--force', 'also within a grace, a back-off or right after a rotation', false)
    .action((names, options, command) =>
      run(async (c) => (await import('./rotate.ts')).rotate(c, names, options), command),
    );
  program
    .command('get <name>')
    .description('print the current value')
    .option('--version <n>', 'an earlier version', positive)
    .option('--field <field>', 'password, username, …')
    .option('--host <host>', 'of several hosts with one value: the version that this one has')
    .option('--repo <url>', 'read from this repository, without a clone; only the one file is fetched')
    .option('--ref <ref>', 'with --repo: the branch that holds the values; default its HEAD')
    .addOption(new Option('--format <format>').choices(['raw', 'json', 'env']).default('raw'))
    .action((name, options, command) =>
      run(
        async (c) =>
          (await import('./get.ts')).get(c, name, { ...options, format: c.json ? 'json' : options.format }),
        command,
      ),
    );
  program
    .command('exec [command...]')
    .description('run a command with values in its environment: exec --secret NAME[=VAR] -- CMD')
    .option(
      '--secret <name>',
      'NAME for NAME_PASSWORD and NAME_USERNAME, NAME=VAR for the password in VAR',
      collect,
      [],
    )
    .option('--repo <url>', 'read from this repository, without a clone')
    .option('--ref <ref>', 'with --repo: the branch that holds the values; default its HEAD')
    .action((words, options, command) =>
      run(async (c) => (await import('./exec.ts')).exec(c, words, options), command),
    );
  program
    .command('connect <name> [command...]')
    .description('a session on the target without seeing the credential: connect NAME [-- COMMAND]')
    .option('--host <host>', "one of the hosts that its manifest names; default the target's own")
    .option('-t, --tty', 'SSH: a terminal for COMMAND too', false)
    .action((name, words, options, command) =>
      run(async (c) => (await import('./connect.ts')).connect(c, name, words, options), command),
    );
  program
    .command('access [name]')
    .description('who can read a secret; or what a reader can, or a lost key could')
    .option('--reader <reader>', 'name or recipient: what it can read')
    .option(
      '--exposed <recipient>',
      'what it could ever open, from the history, and what of that is still valid',
    )
    .action((name, options, command) =>
      run(async (c) => (await import('./access.ts')).access(c, name, options), command),
    );
  program
    .command('approve [names...]')
    .description('let the readers in whom the manifests name (trust: signed); needs a signing key')
    .action((names, _, command) =>
      run(async (c) => (await import('./approve.ts')).approve(c, names), command),
    );
  program
    .command('rekey [names...]')
    .description('re-encrypt for the reconcilers and readers of now; rotate nothing')
    .action((names, _, command) => run(async (c) => (await import('./rekey.ts')).rekey(c, names), command));
  program
    .command('list')
    .description('every secret, its version and when it falls due')
    .action((_, command) => run(async (c) => (await import('./list.ts')).list(c), command));
  program
    .command('show <name>')
    .description('what is recorded of one secret; never its value')
    .action((name, _, command) => run(async (c) => (await import('./show.ts')).show(c, name), command));
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
    .command('doctor')
    .description('check git, identity and targets, and show host keys to pin; each finding with its fix')
    .option('--ssh <host:port>', 'only show the host key of this server')
    .action((options, command) =>
      run(async (c) => (await import('./doctor.ts')).doctor(c, options), command),
    );
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
  forRotators(program, run);
  return program;
}

function forRotators(program: Command, run: Run): void {
  program
    .command('jwks')
    .description('print the public keys by which custom rotators know us')
    .option('--kid <kids...>', 'only of these signers')
    .action((options, command) => run(async (c) => (await import('./jwks.ts')).jwks(c, options), command));
  program
    .command('rotator')
    .description('for rotators that exist: rotator serve-validation answers who sent a request')
    .command('serve-validation')
    .description('the validation endpoint that rotators written for other platforms ask')
    .requiredOption('--jwks <file>', 'what keyturn jwks printed')
    .requiredOption('--audience <urls...>', 'the url of each target that is validated for')
    .option('--access-id <id>', 'accept only requests of this project')
    .option('--listen <host:port>', 'where to listen', '127.0.0.1:8414')
    .option('--cert <file>', 'serve https with this certificate (PEM)')
    .option('--key <file>', 'and its private key')
    .action((options, command) =>
      run(async (c) => (await import('./serve-validation.ts')).serveValidation(c, options), command),
    );
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
    .command('destroy <name>')
    .description('forget a secret whose manifest is gone, with every value')
    .option('--retire', 'make the target refuse its value first', false)
    .action((name, options, command) =>
      run(async (c) => (await import('./destroy.ts')).destroy(c, name, options), command),
    );
  program
    .command('rebind <name>')
    .description("allow a secret's changed host, port, account or CA")
    .action((name, _, command) => run(async (c) => (await import('./rebind.ts')).rebind(c, name), command));
  program
    .command('unlock <name>')
    .description('the owner of its claim is gone for good, or its account is unlocked: try at once')
    .action((name, _, command) => run(async (c) => (await load()).unlock(c, name), command));
}

const collect = (text: string, before: string[]): string[] => [...before, text];

function daysAhead(text: string): number {
  if (/^[1-9]\d{0,2}$/.test(text) && Number(text) <= 366) return Number(text);
  throw new KeyturnError(`--days ${text}`, 'is no number of days', { hint: 'write 1 to 366' });
}

function positive(text: string): number {
  if (/^[1-9]\d{0,7}$/.test(text)) return Number(text);
  throw new KeyturnError(`--version ${text}`, 'is no version number', { hint: 'write 3 for v3' });
}
