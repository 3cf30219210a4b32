import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { JSONWebKeySet } from 'jose';
import { UserStore } from '../../examples/custom-rotator/store.ts';
import { certificates } from './https.ts';

const top = fileURLToPath(new URL('../..', import.meta.url));
const example = join(top, 'examples', 'custom-rotator');
export const audience = 'https://rotator.example/';

export interface ExampleRotator {
  /** `https://localhost:PORT/`. */
  url: string;
  /** What its tokens must say they are for. */
  audience: string;
  port: number;
  caPem: string;
  /** The users as the application has them. */
  store: UserStore;
  /** Kills it without a word and starts it again on the same port. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** A program that prints `listening at PORT`, or what it said instead. */
export function startProgram(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<{ child: ChildProcess; line: string }> {
  return new Promise((ready, failed) => {
    const child = spawn(command, args, { cwd: top, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    const hear = (text: string): void => {
      said += text;
      const [line] = /listening at \d+|https?:\S+/.exec(said) ?? [];
      if (line) ready({ child, line });
    };
    child.stdout.setEncoding('utf8').on('data', hear);
    child.stderr.setEncoding('utf8').on('data', hear);
    child.once('error', failed);
    child.once('exit', (code) => failed(new Error(`${command} ended with ${code}: ${said}`)));
  });
}

export const kill = (child: ChildProcess): Promise<void> =>
  new Promise((done) => {
    if (child.exitCode !== null || child.signalCode !== null) return done();
    child.once('exit', () => done());
    child.kill('SIGKILL');
  });

/** examples/custom-rotator as it is copied: a program of its own, with its own database. */
export async function startExample(keys: JSONWebKeySet): Promise<ExampleRotator> {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-rotator-'));
  const at = (name: string): string => join(folder, name);
  const { certPem, keyPem, caPem } = certificates();
  writeFileSync(at('cert.pem'), certPem);
  writeFileSync(at('key.pem'), keyPem, { mode: 0o600 });
  writeFileSync(at('jwks.json'), JSON.stringify(keys));
  const store = new UserStore(at('users.db'));
  const start = (port: number) =>
    startProgram(
      process.execPath,
      ['--conditions=keyturn-source', '--disable-warning=ExperimentalWarning', join(example, 'rotator.ts')],
      {
        PATH: process.env.PATH,
        USERS: at('users.db'),
        JWKS: at('jwks.json'),
        AUDIENCE: audience,
        TLS_CERT: at('cert.pem'),
        TLS_KEY: at('key.pem'),
        ADDRESS: '127.0.0.1',
        PORT: String(port),
      },
    );
  let { child, line } = await start(0);
  const port = Number(/\d+$/.exec(line)?.[0]);
  return {
    url: `https://localhost:${port}/`,
    audience,
    port,
    caPem,
    store,
    restart: async () => {
      await kill(child);
      ({ child, line } = await start(port));
    },
    stop: async () => {
      await kill(child);
      store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
