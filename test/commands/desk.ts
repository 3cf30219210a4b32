/** A person at a desk: a clone of a scratch remote, an identity, and the command line inside this process. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { main } from '../../src/cli.ts';
import { type Host, systemHost } from '../../src/host.ts';

export interface Said {
  code: number;
  /** stdout, whole. */
  out: string;
  /** stderr, whole. */
  err: string;
}

export interface Desk {
  readonly clone: string;
  readonly remote: string;
  /** Runs `keyturn …args` with `stdin`. */
  keyturn(args: string[], stdin?: string): Promise<Said>;
  git(...args: string[]): string;
  write(path: string, content: string | Uint8Array): void;
  read(path: string): string;
  has(path: string): boolean;
  /** Commits everything and pushes it. */
  push(subject?: string): void;
  /** The commit at the remote's main. */
  tip(): string;
  /** Another person with a clone of the same remote and no identity. */
  colleague(name: string): Desk;
  env: NodeJS.ProcessEnv;
  /** Milliseconds that this desk's clock is ahead. */
  ahead: number;
  /** Called at every step boundary of a run; one that throws is a crash there. */
  failpoint: (name: string) => Promise<void>;
  leave(): void;
}

export function takeDesk(env: NodeJS.ProcessEnv = {}): Desk {
  const root = mkdtempSync(join(tmpdir(), 'keyturn-desk-'));
  const remote = join(root, 'remote.git');
  execFileSync('git', ['init', '--quiet', '--bare', '--initial-branch=main', remote]);
  return seat(root, remote, 'me', env);
}

function seat(root: string, remote: string, name: string, more: NodeJS.ProcessEnv): Desk {
  const home = join(root, `home-${name}`);
  const clone = join(root, name);
  mkdirSync(home);
  writeFileSync(join(home, '.gitconfig'), `[user]\nname = ${name}\nemail = ${name}@example.org\n`);
  const base = { PATH: process.env.PATH, HOME: home, GIT_CONFIG_NOSYSTEM: '1', NO_COLOR: '1' };
  const run = (cwd: string, args: string[]): string =>
    execFileSync('git', args, { cwd, env: base, stdio: ['ignore', 'pipe', 'pipe'] })
      .toString()
      .trimEnd();
  run(root, ['clone', '--quiet', `file://${remote}`, clone]);

  const desk: Desk = {
    clone,
    remote,
    env: { ...base, ...more },
    ahead: 0,
    failpoint: async () => undefined,
    async keyturn(args, stdin = '') {
      const [out, err] = [captured(), captured()];
      const system = systemHost();
      const host: Host = {
        ...system,
        cwd: clone,
        env: desk.env,
        home,
        machine: `${name}:desk`,
        clock: { ...system.clock, now: () => new Date(system.clock.now().getTime() + desk.ahead) },
        stdin: piped(stdin),
        stdout: out.stream,
        stderr: err.stream,
        failpoint: (name) => desk.failpoint(name),
        onStop: () => undefined,
      };
      const code = await main(args, host);
      return { code, out: out.text(), err: err.text() };
    },
    git: (...args) => run(clone, args),
    write(path, content) {
      mkdirSync(dirname(join(clone, path)), { recursive: true });
      writeFileSync(join(clone, path), content);
    },
    read: (path) => readFileSync(join(clone, path), 'utf8'),
    has: (path) => existsSync(join(clone, path)),
    push(subject = 'Change') {
      run(clone, ['add', '--all']);
      run(clone, ['commit', '--quiet', '--message', subject]);
      run(clone, ['push', '--quiet', 'origin', 'HEAD:main']);
    },
    tip: () => run(remote, ['rev-parse', 'refs/heads/main']),
    colleague: (other) => seat(root, remote, other, more),
    leave: () => rmSync(root, { recursive: true, force: true, maxRetries: 5 }),
  };
  return desk;
}

function captured(): { stream: NodeJS.WriteStream; text: () => string } {
  const stream = new PassThrough();
  let text = '';
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  return { stream: stream as unknown as NodeJS.WriteStream, text: () => text };
}

function piped(text: string): NodeJS.ReadStream {
  const stream = new PassThrough();
  stream.end(text);
  return stream as unknown as NodeJS.ReadStream;
}
