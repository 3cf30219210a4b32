/** People with clones and identities, their sessions as real processes, and a search for what they must not hold. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { as, type Member, member, role } from '../access/office.ts';
import { type Desk, takeDesk } from '../commands/desk.ts';

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));

export interface Stage {
  /** Reconciles. */
  desk: Desk;
  /** Reads, pushes, and cannot decrypt the state. */
  bob: Desk & { member: Member };
  leave(): void;
}

/** A project with these manifests, applied once; `bob` reads everything in it. */
export async function setStage(
  manifests: string | ((desk: Desk) => Promise<string>),
  env: NodeJS.ProcessEnv,
  files: Record<string, string> = {},
  // so that a rotation after it does not rest for a lease
  ahead: number = -2 * 3_600_000,
): Promise<Stage> {
  const desk = takeDesk(env);
  expect(await desk.keyturn(['init', '--name', 'acme'])).toMatchObject({ code: 0 });
  for (const path of ['targets/db.yaml', 'roles/app.yaml', 'secrets/app-db.yaml'])
    desk.write(`manifests/${path}`, '');
  desk.write('keyturn.yaml', desk.read('keyturn.yaml').replace('maxShare: 0.5', 'maxShare: 1'));
  const reader = await member('bob');
  desk.write('manifests/all.yaml', typeof manifests === 'string' ? manifests : await manifests(desk));
  for (const [path, text] of Object.entries(files)) desk.write(path, text);
  desk.write('manifests/roles.yaml', role('people', as(reader), '"**"'));
  desk.push('Declare');
  desk.ahead = ahead;
  const applied = await desk.keyturn(['apply']);
  expect(applied, applied.err).toMatchObject({ code: 0 });
  desk.ahead = 0;
  const bob = Object.assign(desk.colleague('bob'), { member: reader });
  return { desk, bob, leave: () => desk.leave() };
}

export interface Running {
  child: ChildProcess;
  readonly out: string;
  readonly err: string;
  /** Exit code, or the signal that ended it. */
  ended: Promise<number | NodeJS.Signals>;
  /** Waits until stdout or stderr matches. */
  shows(what: RegExp): Promise<void>;
}

/** `keyturn …args` as a process of its own at this desk. */
export function start(desk: Desk, args: string[], env: NodeJS.ProcessEnv = {}, identity?: string): Running {
  return watched(
    spawn(process.execPath, [cli, ...(identity === undefined ? [] : ['--identity', identity]), ...args], {
      cwd: desk.clone,
      env: { ...desk.env, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    }),
  );
}

export const startBob = ({ bob }: Stage, args: string[], env: NodeJS.ProcessEnv = {}): Running =>
  start(bob, args, env, bob.member.file);

/** The same on a real pseudo-terminal, on which `AS BEFORE` appears at the end where it was left as it had been. */
export function startOnTerminal({ bob }: Stage, args: string[], env: NodeJS.ProcessEnv = {}): Running {
  const keyturn = [process.execPath, cli, '--identity', bob.member.file, ...args].join(' ');
  const command = `before=$(stty -g); ${keyturn}; code=$?; [ "$before" = "$(stty -g)" ] && echo AS BEFORE; exit $code`;
  return watched(
    spawn('script', ['-qfec', command, '/dev/null'], {
      cwd: bob.clone,
      env: { ...bob.env, TERM: 'xterm-256color', SHELL: '/bin/sh', ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    }),
  );
}

function watched(child: ChildProcess): Running {
  const said = { out: '', err: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    said.out += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said.err += text;
  });
  child.stdin?.on('error', () => undefined);
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal ?? -1));
  });
  return {
    child,
    ended,
    get out() {
      return said.out;
    },
    get err() {
      return said.err;
    },
    shows: (what) =>
      expect.poll(() => `${said.out}\n${said.err}`, { timeout: 20_000, interval: 20 }).toMatch(what),
  };
}

/** Every process below `pid`, itself included. */
export function family(pid: number): number[] {
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const parents = new Map(
    all.flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
        return [[Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])] as const];
      } catch {
        return [];
      }
    }),
  );
  const found = [pid];
  for (const one of found) for (const [child, parent] of parents) if (parent === one) found.push(child);
  return found;
}

/** What a process is called; empty for one that is gone. */
export function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'latin1').trim();
  } catch {
    return '';
  }
}

/** Where `value` can be found on the user's side: argv and environment of every process, and files below `folders`. */
export function exposures(value: string, pid: number, folders: readonly string[]): string[] {
  const forms = [value, Buffer.from(value).toString('base64'), encodeURIComponent(value)].map((form) =>
    Buffer.from(form),
  );
  const holds = (path: string): boolean => {
    try {
      const bytes = readFileSync(path);
      return forms.some((form) => bytes.includes(form));
    } catch {
      return false;
    }
  };
  const processes = family(pid);
  // the search itself must be able to see
  expect(processes.length).toBeGreaterThan(1);
  const places = processes.flatMap((one) => [`/proc/${one}/cmdline`, `/proc/${one}/environ`]);
  const files = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .map((name) => join(folder, name))
      .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true),
  );
  return [...places, ...files].filter(holds);
}

/** Sessions as `keyturn history` has them, newest last. */
export async function sessionsInHistory(desk: Desk, name: string): Promise<string[]> {
  const { out } = await desk.keyturn(['--json', 'history', name]);
  const entries = JSON.parse(out) as { what: string }[];
  return entries.flatMap(({ what }) => what.split(', ').filter((words) => words.startsWith('session of ')));
}
