import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Secret } from '../src/secret.ts';
import { generateBundle } from '../src/state/identity.ts';
import { serveGit } from '../test/servers/git-http.ts';
import { node, type Run, run } from './measure.ts';

const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url));

/** A clone with its bare remote, its identity and a home of its own, somewhere in `scratch`. */
export interface Project {
  folder: string;
  remote: string;
  /** The job's identity. */
  bundle: Secret;
  env: NodeJS.ProcessEnv;
  /** What the clone pushes to: `remote`, or its address once it is served. */
  origin(): string;
  /** From now on the clone pushes over http, with a password, as jobs do. */
  serve(): Promise<{ close(): Promise<void> }>;
  keyturn(...args: string[]): Promise<Run>;
  git(...args: string[]): Promise<Run>;
}

/** `manifests`: file name -> text. All is committed and pushed. */
export async function makeProject(scratch: string, manifests: Record<string, string>): Promise<Project> {
  const place = mkdtempSync(join(scratch, 'project-'));
  const [folder, home] = [join(place, 'clone'), join(place, 'home')];
  const env = {
    PATH: process.env.PATH,
    HOME: home,
    XDG_CONFIG_HOME: join(home, '.config'),
    XDG_CACHE_HOME: join(home, '.cache'),
    GIT_CONFIG_NOSYSTEM: '1',
    KEYTURN_IDENTITY_FILE: join(home, 'identity'),
    ADMIN_PASSWORD: adminPassword,
    NO_COLOR: '1',
  };
  const job = await generateBundle('ci-1');
  const other = await generateBundle('admin-1');
  mkdirSync(home);
  writeFileSync(env.KEYTURN_IDENTITY_FILE, job.bundle.reveal(), { mode: 0o600 });
  const git = (...args: string[]) => run('git', args, { cwd: folder, env });
  execFileSync('git', ['init', '--quiet', '--bare', '--initial-branch=main', join(place, 'remote.git')]);
  execFileSync('git', ['init', '--quiet', '--initial-branch=main', folder]);
  const files = {
    'keyturn.yaml': `apiVersion: keyturn/v1
kind: Project
metadata: { name: bench }
spec:
  reconcilers: [${job.recipient}, ${other.recipient}]
  limits: { maxRotations: 1000, maxShare: 1 }
`,
    ...manifests,
  };
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
  await git('remote', 'add', 'origin', join(place, 'remote.git'));
  await git('add', '.');
  await git(
    '-c',
    'user.name=bench',
    '-c',
    'user.email=bench@localhost',
    'commit',
    '--quiet',
    '-m',
    'Declare',
  );
  await git('push', '--quiet', 'origin', 'main');
  const remote = join(place, 'remote.git');
  let origin = remote;
  return {
    folder,
    remote,
    bundle: job.bundle,
    env,
    git,
    origin: () => origin,
    async serve() {
      const server = await serveGit(place, { job: { password: 'bench-push-0123456789', write: true } });
      origin = server.url('remote.git', 'job');
      await git('remote', 'set-url', 'origin', origin);
      return server;
    },
    keyturn: (...args) => node([cli, ...args], { cwd: folder, env }),
  };
}

export const adminPassword = 'Bench-admin-0123456789';

export const target = (type: 'mysql' | 'postgresql', port: number): string => `apiVersion: keyturn/v1
kind: Target
metadata: { name: bench }
spec:
  type: ${type}
  host: 127.0.0.1
  port: ${port}
  tls: { mode: disable }
  credentials: { username: bench_admin, password: { env: ADMIN_PASSWORD } }
`;

/** `count` secrets of the target `bench`, one file each, some twenty lines long. */
export function secrets(count: number): Record<string, string> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, n) => [
      `manifests/secrets/group-${n % 10}/account-${n}.yaml`,
      `apiVersion: keyturn/v1
kind: RotatedSecret
metadata:
  name: bench/group-${n % 10}/account-${n}
  description: An account of the bench
  tags: [bench, group-${n % 10}]
spec:
  target: bench
  rotator: password
  authenticateAs: target
  account:
    username: bench_${n}
  schedule:
    every: 30d
    hour: 3
    timezone: UTC
  passwordPolicy:
    length: 32
    symbols: false
  keep: 5
`,
    ]),
  );
}
