/** Runs a job of a workflow file, step by step, as far as ours go: checkout, setup-node, keyturn's action, `run:`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { parse } from 'yaml';
import { version } from '../../src/version.ts';
import type { Github } from '../servers/github.ts';
import { type Place, runnerEnv } from './pull.ts';
import { type Ended, inputsOf, root, runStep, type Step } from './runner.ts';

interface WorkflowStep {
  uses?: string;
  with?: Record<string, unknown>;
  run?: string;
  env?: Record<string, string>;
}

export interface Workflow {
  on: unknown;
  permissions?: Record<string, string>;
  concurrency?: unknown;
  env?: Record<string, string>;
  jobs: Record<string, { steps: WorkflowStep[]; environment?: string; permissions?: Record<string, string> }>;
}

export interface JobSetup {
  place: Place;
  github: Github;
  bundle: string;
  /** What the expressions of the file may ask for. */
  secrets?: Record<string, string>;
  inputs?: Record<string, string>;
  /** Of the event: `GITHUB_*`. */
  env: NodeJS.ProcessEnv;
  /** Of the last step. */
  signals?: Step['signals'];
}

let jobs = 0;

/** What every step ended in, up to the first that failed. */
export async function runJob(text: string, name: string, setup: JobSetup): Promise<Ended[]> {
  jobs += 1;
  const { place, github, env, secrets = {}, inputs = {} } = setup;
  const workflow: Workflow = parse(text);
  const job = workflow.jobs[name];
  if (!job) throw new Error(`there is no job ${name}`);
  const workspace = place.at(`job-${jobs}`);
  const tools = toolsIn(place.at(`tools-${jobs}`));
  const contexts: Record<string, Record<string, string>> = {
    secrets,
    inputs,
    github: { token: 'job-token', ref_name: 'main', ref: env.GITHUB_REF ?? '' },
  };
  const evaluate = (value: unknown): string =>
    String(value).replaceAll(/\$\{\{ (\w+)\.(\w+) \}\}/g, (_, context: string, key: string) => {
      const known = contexts[context];
      if (!known) throw new Error(`no context ${context}`);
      return known[key] ?? '';
    });
  const all = (given: Record<string, unknown> = {}): Record<string, string> =>
    Object.fromEntries(Object.entries(given).map(([key, value]) => [key, evaluate(value)]));

  const ended: Ended[] = [];
  for (const [index, step] of job.steps.entries()) {
    const { uses = '', run } = step;
    const given = all(step.with);
    const base: NodeJS.ProcessEnv = {
      ...runnerEnv(place, github, workspace),
      ...env,
      ...all({ ...workflow.env, ...step.env }),
    };
    if (!/^$|@[0-9a-f]{40}$|^OWNER\/keyturn@v0$/.test(uses))
      throw new Error(`${uses} is not pinned to a commit`);
    if (uses.startsWith('actions/checkout@')) {
      checkout(place, workspace, given, env);
      continue;
    }
    if (uses.startsWith('actions/setup-node@')) continue;
    const signals = index === job.steps.length - 1 && setup.signals ? { signals: setup.signals } : {};
    if (run !== undefined) {
      const script = place.at(`script-${jobs}-${index}.sh`);
      writeFileSync(script, evaluate(run));
      const PATH = `${tools}${delimiter}${dirname(process.execPath)}${delimiter}${process.env.PATH}`;
      // What the runner starts on Linux where a step names no shell.
      const args = ['-e', script];
      ended.push(
        await runStep({ command: 'bash', args, cwd: workspace, env: { ...base, PATH }, ...signals }),
      );
    } else if (/^[\w.-]+\/keyturn@/.test(uses)) {
      const handed = inputsOf(given, contexts.github);
      const args = [setup.bundle];
      const each = { ...base, ...handed };
      ended.push(await runStep({ command: process.execPath, args, cwd: workspace, env: each, ...signals }));
    } else throw new Error(`a step that this runner does not know: ${JSON.stringify(step)}`);
    if (ended.at(-1)?.code !== 0) break;
  }
  return ended;
}

function checkout(
  { remote, root: top, git }: Place,
  workspace: string,
  { ref, 'fetch-depth': depth = '1' }: Record<string, string>,
  { GITHUB_REF = '' }: NodeJS.ProcessEnv,
): void {
  const branch = ref ?? /^refs\/heads\/(.*)$/.exec(GITHUB_REF)?.[1];
  git(top, 'init', '--quiet', workspace);
  git(workspace, 'remote', 'add', 'origin', `file://${remote}`);
  git(workspace, 'fetch', '--quiet', `--depth=${depth}`, 'origin', branch ?? GITHUB_REF);
  if (branch === undefined) git(workspace, 'checkout', '--quiet', '--detach', 'FETCH_HEAD');
  else git(workspace, 'checkout', '--quiet', '-B', branch, 'FETCH_HEAD');
}

/** `keyturn`, and an npm and an npx that know this release of it and nothing else. */
export function toolsIn(folder: string): string {
  const cli = `exec "${process.execPath}" "${join(root, 'src', 'cli.ts')}" "$@"`;
  const scripts = {
    keyturn: cli,
    npx: `[ "$1 $2" = "--yes keyturn@${version}" ] || exit 97\nshift 2\n${cli}`,
    npm: `[ "$*" = "install --global --ignore-scripts keyturn@${version}" ] || exit 98`,
  };
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(scripts))
    writeFileSync(join(folder, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return folder;
}
