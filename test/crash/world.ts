/** A scratch repository that keyturn reconciles: bare remote, machines with a clone each, identities, manifests. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { main } from '../../src/cli.ts';
import { type Host, systemHost } from '../../src/host.ts';
import { generateBundle } from '../../src/state/identity.ts';
import { type Canary, createCanary } from '../canary.ts';
import { tally } from '../tally.ts';

/** Somewhere a job runs: its clone, its home, its name in claims. */
export interface Machine {
  name: string;
  clone: string;
  env: NodeJS.ProcessEnv;
}

export interface Run {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  /** Dies there by its own hand, `name[#n]`. */
  killAt?: string;
  /** Stops there until `SIGCONT`, having said `hanging at …` on stderr. */
  hangAt?: string;
  /** Milliseconds that the machine's clock is ahead. */
  offset?: number;
  env?: NodeJS.ProcessEnv;
  /** Is given the process as soon as it runs. */
  started?: (child: Child) => void;
}

export interface Child {
  pid: number;
  kill(signal: NodeJS.Signals): void;
  /** Resolves when stderr has said it. */
  said(words: string): Promise<void>;
}

export interface World {
  root: string;
  remote: string;
  canary: Canary;
  /** Public key of a reader, and its identity file. */
  reader: { recipient: string; file: string };
  /** The reconcilers' identity file. */
  identity: string;
  at(...parts: string[]): string;
  git(cwd: string, ...args: string[]): string;
  machine(name: string): Machine;
  /** Writes files, commits them and pushes. */
  commit(machine: Machine, files: Record<string, string | Uint8Array | null>, subject?: string): void;
  tip(): string;
  run(machine: Machine, args: string[], options?: RunOptions): Promise<Run>;
  /** The command line inside this process: for questions alone. */
  ask(machine: Machine, args: string[], options?: { identity?: string; offset?: number }): Promise<Run>;
  host(machine: Machine, offset?: number): Host;
  remove(): void;
}

const entry = fileURLToPath(new URL('cli.ts', import.meta.url));
const compileCache = join(tmpdir(), `keyturn-test-compile-cache-${process.getuid?.() ?? 0}`);

export async function createWorld(files: Record<string, string>, spec = ''): Promise<World> {
  const root = mkdtempSync(join(tmpdir(), 'keyturn-crash-'));
  const at = (...parts: string[]) => join(root, ...parts);
  const canary = createCanary();
  mkdirSync(at('tmp'));
  const env = (home: string): NodeJS.ProcessEnv => ({
    PATH: process.env.PATH,
    HOME: home,
    TMPDIR: at('tmp'),
    GIT_CONFIG_NOSYSTEM: '1',
    NODE_COMPILE_CACHE: compileCache,
    KEYTURN_IDENTITY_FILE: at('identity'),
    NO_COLOR: '1',
  });
  const git = (cwd: string, ...args: string[]) =>
    execFileSync('git', args, { cwd, env: env(at('home-dev')), stdio: ['ignore', 'pipe', 'pipe'] })
      .toString()
      .trimEnd();
  const config = '[user]\nname = dev\nemail = dev@example.org\n[init]\ndefaultBranch = main\n';
  put(at('home-dev', '.gitconfig'), config);

  const [job, admin, reader] = await Promise.all(
    ['ci-1', 'admin-1', 'reader-1'].map((kid) => generateBundle(kid)),
  );
  if (!job || !admin || !reader) throw new Error('unreachable');
  put(at('identity'), `${job.bundle.reveal()}${admin.trustLine}\n`, 0o600);
  const readerAge = /^AGE-SECRET-KEY-.*$/m.exec(reader.bundle.reveal())?.[0] ?? '';
  put(at('reader'), `${readerAge}\n${job.trustLine}\n`, 0o600);

  git(root, 'init', '--quiet', '--bare', '--initial-branch=main', 'remote.git');
  const remote = at('remote.git');
  git(root, 'init', '--quiet', '--initial-branch=main', 'seed');
  const project = `apiVersion: keyturn/v1
kind: Project
metadata: { name: crash }
spec:
  reconcilers: [${job.recipient}, ${admin.recipient}]
  limits: { maxRotations: 1000, maxShare: 1 }
${spec}`;
  for (const [path, text] of Object.entries({ 'keyturn.yaml': project, ...files }))
    put(at('seed', path), text);
  git(at('seed'), 'add', '-A');
  git(at('seed'), 'commit', '--quiet', '-m', 'Declare');
  git(at('seed'), 'push', '--quiet', remote, 'main');

  const host = (machine: Machine, offset = 0): Host => {
    const system = systemHost();
    return {
      ...system,
      cwd: machine.clone,
      env: machine.env,
      home: machine.env.HOME ?? '',
      machine: machine.name,
      clock: { ...system.clock, now: () => new Date(Date.now() + offset) },
      onStop: () => undefined,
    };
  };

  return {
    root,
    remote,
    canary,
    reader: { recipient: reader.recipient, file: at('reader') },
    identity: at('identity'),
    at,
    git,
    host,
    machine(name) {
      const clone = at(`clone-${name}`);
      const home = at(`home-${name}`);
      put(join(home, '.gitconfig'), config);
      git(root, 'clone', '--quiet', `file://${remote}`, clone);
      return { name: `${name}:ci`, clone, env: env(home) };
    },
    commit(machine, changes, subject = 'Change') {
      git(machine.clone, 'pull', '--quiet', '--rebase');
      for (const [path, text] of Object.entries(changes))
        if (text === null) rmSync(join(machine.clone, path));
        else put(join(machine.clone, path), text);
      git(machine.clone, 'add', '-A');
      git(machine.clone, 'commit', '--quiet', '-m', subject);
      git(machine.clone, 'push', '--quiet', 'origin', 'HEAD:main');
    },
    tip: () => git(remote, 'rev-parse', 'refs/heads/main'),
    run: (machine, args, options = {}) => spawnKeyturn(machine, args, options, canary),
    async ask(machine, args, { identity, offset } = {}) {
      const out = captured();
      const err = captured();
      const code = await main([...(identity === undefined ? [] : ['--identity', identity]), ...args], {
        ...host(machine, offset),
        stdout: out.stream,
        stderr: err.stream,
      });
      return { code, signal: null, stdout: out.text(), stderr: err.text() };
    },
    remove: () => rmSync(root, { recursive: true, force: true, maxRetries: 5 }),
  };
}

async function spawnKeyturn(
  machine: Machine,
  args: string[],
  options: RunOptions,
  canary: Canary,
): Promise<Run> {
  const { killAt, hangAt, offset = 0, env = {}, started } = options;
  const child = spawn(process.execPath, [entry, ...args], {
    cwd: machine.clone,
    env: {
      ...machine.env,
      ...env,
      MACHINE: machine.name,
      CLOCK_OFFSET: String(offset),
      ...(killAt === undefined ? {} : { KILL_AT: killAt }),
      ...(hangAt === undefined ? {} : { HANG_AT: hangAt }),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const words = `keyturn ${args.join(' ')}${killAt === undefined ? '' : ` killed at ${killAt}`}`;
  const unwatch = canary.watch(words, child.pid ?? 0);
  let stdout = '';
  let stderr = '';
  const listeners = new Set<() => void>();
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    for (const listener of listeners) listener();
  });
  const ended = new Promise<Run>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  started?.({
    pid: child.pid ?? 0,
    kill: (signal) => child.kill(signal),
    said: (text) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (stderr.includes(text)) resolve();
        };
        listeners.add(look);
        look();
        void ended.then(() => reject(new Error(`ended without saying "${text}":\n${stderr}`)));
      }),
  });
  const run = await ended;
  unwatch();
  if (run.signal === 'SIGKILL') tally('processes killed', 1);
  if (args[0] !== 'get') canary.hear(`stdout of ${words}`, run.stdout);
  canary.hear(`stderr of ${words}`, run.stderr);
  return run;
}

function captured(): { stream: NodeJS.WriteStream; text: () => string } {
  let text = '';
  const stream = new PassThrough().setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  return { stream: stream as unknown as NodeJS.WriteStream, text: () => text };
}

export function put(path: string, text: string | Uint8Array, mode = 0o644): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text, { mode });
}
