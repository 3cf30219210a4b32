/** One step of a workflow: inputs -> command -> outputs, annotations, summary, exit code. */
import { relative, resolve, sep } from 'node:path';
import type { Context } from '../commands/context.ts';
import { validate } from '../commands/validate.ts';
import type { ExitCode } from '../errors.ts';
import { projectRoot } from '../here.ts';
import type { Host } from '../host.ts';
import { createConsole } from '../output/console.ts';
import { exitCodeOf, renderError } from '../output/errors.ts';
import { annotationsOf } from '../output/workflow-commands.ts';
import { onConceal } from '../redact.ts';
import { withAwsToken } from './aws-token.ts';
import { readPullRequest } from './event.ts';
import { type ActionCommand, type Inputs, readInputs } from './inputs.ts';
import type { Job } from './job.ts';

const commands: Record<ActionCommand, (job: Job) => Promise<ExitCode>> = {
  validate: ({ context }) => validate(context),
  plan: async (job) => (await import('./plan.ts')).planAction(job),
  apply: async (job) =>
    withAwsToken(job.context.host, async () => (await import('./apply.ts')).applyAction(job)),
  verify: async (job) =>
    withAwsToken(job.context.host, async () => (await import('./verify.ts')).verifyAction(job)),
  get: async (job) => (await import('./get.ts')).getAction(job),
};

/** Runs the action on what the runner has put into the environment of `machine`. Never throws. */
export async function runAction(machine: Host): Promise<ExitCode> {
  const { env, stdout, stderr } = machine;
  const console = createConsole({ stdout, stderr, env, quiet: false, json: false });
  // Before anything else: whatever slips out of this process is hidden by the runner too.
  onConceal((value) => console.mask(value));
  let folder = '';
  try {
    const inputs = readInputs(env);
    const host = hostOf(machine, inputs);
    folder = folderOf(host);
    const context: Context = {
      host,
      console,
      identity: undefined,
      json: false,
      quiet: false,
      yes: inputs.rotate.length > 0,
    };
    return await commands[inputs.command]({ context, inputs, folder, pull: readPullRequest(env) });
  } catch (error) {
    console.warn(renderError(error, { color: console.color.words, debug: env.RUNNER_DEBUG === '1' }));
    for (const annotation of annotationsOf(error, folder)) console.command(annotation);
    return exitCodeOf(error);
  }
}

function hostOf(machine: Host, { identity, token, folder }: Inputs): Host {
  const { env } = machine;
  return {
    ...machine,
    cwd: resolve(env.GITHUB_WORKSPACE || machine.cwd, folder),
    env: {
      ...env,
      ...(identity === null ? {} : { KEYTURN_IDENTITY: identity.reveal() }),
      ...(token === null || env.GITHUB_TOKEN ? {} : { GITHUB_TOKEN: token.reveal() }),
    },
  };
}

/** The project's, as annotations name files: relative to the workspace, with slashes. */
function folderOf(host: Host): string {
  try {
    const top = host.env.GITHUB_WORKSPACE || host.cwd;
    return relative(resolve(top), projectRoot(host.cwd)).split(sep).join('/');
  } catch {
    // `get` may read from an address, without a project here; every other command says that there is none.
    return '';
  }
}
