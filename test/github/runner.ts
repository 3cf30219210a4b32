/** A runner for one step, as GitHub's: inputs by environment, GITHUB_* files, commands in the log, masks, signals. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

export const root = fileURLToPath(new URL('../..', import.meta.url));

export interface ActionFile {
  inputs: Record<string, { default?: string; description: string; required?: boolean }>;
  outputs: Record<string, { description: string }>;
  runs: { using: string; main: string };
}

export const actionFile = (): ActionFile => parse(readFileSync(join(root, 'action.yml'), 'utf8'));

export interface Annotation {
  level: 'error' | 'warning' | 'notice';
  properties: Record<string, string>;
  message: string;
}

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** What the page of the run shows: commands taken out, masked values as `***`. */
  log: string;
  annotations: Annotation[];
  outputs: Record<string, string>;
  /** Variables of later steps. */
  env: Record<string, string>;
  summary: string;
  /** Values that the runner hides. */
  masks: string[];
}

export interface Step {
  command: string;
  args: string[];
  cwd: string;
  env: NodeJS.ProcessEnv;
  /** Is given a way to send signals as soon as the step's log says `when`. */
  signals?: { when: () => Promise<void>; send: NodeJS.Signals[] };
}

/** The bundle as the release job makes it, alone in a folder: nothing else of this repository is beside it. */
export function buildBundle(): { main: string; notices: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-bundle-'));
  const main = join(folder, 'index.mjs');
  execFileSync(process.execPath, [join(root, 'build', 'action.ts'), main], { cwd: root, stdio: 'pipe' });
  return {
    main,
    notices: join(folder, 'THIRD-PARTY.txt'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** `with:` of a step as the runner hands it over: every declared input, an absent one with its default. */
export function inputsOf(
  given: Record<string, string>,
  github: Record<string, string> = {},
): NodeJS.ProcessEnv {
  const { inputs } = actionFile();
  for (const name of Object.keys(given))
    if (!Object.hasOwn(inputs, name)) throw new Error(`the action has no input ${name}`);
  return Object.fromEntries(
    Object.entries(inputs).map(([name, { default: standard = '' }]) => {
      const value =
        given[name] ?? standard.replace(/\$\{\{ github\.(\w+) \}\}/, (_, key) => github[key] ?? '');
      return [`INPUT_${name.replaceAll(' ', '_').toUpperCase()}`, value];
    }),
  );
}

export async function runStep({ command, args, cwd, env, signals }: Step): Promise<Ended> {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-runner-'));
  const file = (name: string): string => join(folder, name);
  for (const name of ['env', 'output', 'summary']) writeFileSync(file(name), '');
  const child = spawn(command, args, {
    cwd,
    env: {
      GITHUB_ACTIONS: 'true',
      CI: 'true',
      ...env,
      GITHUB_ENV: file('env'),
      GITHUB_OUTPUT: file('output'),
      GITHUB_STEP_SUMMARY: file('summary'),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let raw = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      raw += text;
    });
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  if (signals) {
    await Promise.race([signals.when(), ended]);
    for (const signal of signals.send) child.kill(signal);
  }
  const { code, signal } = await ended;
  try {
    return {
      code,
      signal,
      ...readLog(raw),
      outputs: pairs(readFileSync(file('output'), 'utf8')),
      env: pairs(readFileSync(file('env'), 'utf8')),
      summary: readFileSync(file('summary'), 'utf8'),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** `NAME<<END`, lines, `END`, as the runner reads its files. */
function pairs(text: string): Record<string, string> {
  const found: Record<string, string> = {};
  let rest = text;
  while (rest !== '') {
    const [, name, end] = /^([^=\n]+?)<<(\S+)\n/.exec(rest) ?? [];
    if (name === undefined || end === undefined)
      throw new Error(`a runner cannot read ${JSON.stringify(rest)}`);
    const start = rest.indexOf('\n') + 1;
    const stop = rest.indexOf(`\n${end}\n`, start - 1);
    if (stop < 0) throw new Error(`${name} has no end`);
    found[name] = rest.slice(start, stop);
    rest = rest.slice(stop + end.length + 2);
  }
  return found;
}

const command = /^::(?<name>[a-z-]+)(?: (?<properties>[^:]*))?::(?<data>.*)$/u;
const unescaped = (text: string): string =>
  text
    .replaceAll('%2C', ',')
    .replaceAll('%3A', ':')
    .replaceAll('%0D', '\r')
    .replaceAll('%0A', '\n')
    .replaceAll('%25', '%');

function readLog(raw: string): Pick<Ended, 'log' | 'annotations' | 'masks'> {
  const masks: string[] = [];
  const annotations: Annotation[] = [];
  const shown: string[] = [];
  for (const line of raw.split('\n')) {
    const { name, properties = '', data = '' } = command.exec(line)?.groups ?? {};
    if (name === 'add-mask') {
      const value = unescaped(data);
      masks.push(value, ...value.split(/[\r\n]+/).filter(Boolean));
    } else if (name === 'error' || name === 'warning' || name === 'notice') {
      const given = properties
        .split(',')
        .filter(Boolean)
        .map((one) => one.split('='));
      annotations.push({
        level: name,
        properties: Object.fromEntries(given.map(([key = '', value = '']) => [key, unescaped(value)])),
        message: unescaped(data),
      });
    } else if (name === undefined || name === 'group' || name === 'endgroup') shown.push(line);
    else throw new Error(`a runner knows no command ${name}`);
  }
  const hidden = [...new Set(masks)].sort((a, b) => b.length - a.length);
  const mask = (text: string): string =>
    hidden.reduce((masked, value) => masked.replaceAll(value, '***'), text);
  return {
    masks: hidden,
    log: mask(shown.join('\n')),
    annotations: annotations.map((one) => ({ ...one, message: mask(one.message) })),
  };
}

/** `GITHUB_EVENT_PATH` and what goes with it. */
export function event(folder: string, name: string, payload: object): NodeJS.ProcessEnv {
  const path = join(folder, `event-${crypto.randomUUID()}.json`);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, JSON.stringify(payload));
  return { GITHUB_EVENT_NAME: name, GITHUB_EVENT_PATH: path };
}
