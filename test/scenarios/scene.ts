/** A repository with first versions in place, and the question whether anything has changed since. */
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { createAccount, logsIn } from '../crash/databases.ts';
import { recorded, type Seen } from '../crash/oracle.ts';
import { createWorld, type Machine, put, type Run, type World } from '../crash/world.ts';
import { startPostgres } from '../servers/postgresql.ts';
import type { DatabaseServer } from '../servers/server.ts';

export interface Scene {
  world: World;
  server: DatabaseServer;
  /** Where the job runs. */
  a: Machine;
  observer: Machine;
  secrets: string[];
  /** Account of a secret. */
  username(secret: string): string;
  /** Everything recorded now. */
  look(): Promise<Map<string, Seen>>;
  /** Fails when the current value of any secret does not log in. */
  allLogIn(): Promise<Map<string, Seen>>;
  /** Runs and fails when the remote's tip moved or a value that `allLogIn` last saw stopped working. */
  unchanged<T>(work: () => Promise<T>): Promise<T>;
  /** Ends the scene: no value is anywhere where it does not belong. */
  end(): void;
}

export interface SceneOptions {
  secrets?: string[];
  /** `host:` and `port:` of the target, e.g. those of a proxy. */
  port?: number;
  host?: string;
  actor?: 'self' | 'target';
  /** More lines of every secret's `spec`. */
  more?: string;
  /** More lines of the project's `spec`. */
  project?: string;
  /** Another target login than the administrator's. */
  login?: { username: string; password: string };
  /** Further files, committed with the manifests. */
  files?: (world: World) => Record<string, string>;
}

let scenes = 0;

export async function createScene(server: DatabaseServer, options: SceneOptions = {}): Promise<Scene> {
  const { secrets = ['app', 'job'], actor = 'target' } = options;
  scenes += 1;
  const number = scenes;
  const username = (secret: string) => `sc${process.pid}_${number}_${secret}`;
  const world = await createWorld({}, options.project);
  const login = options.login ?? { username: server.adminUser, password: server.adminPassword };
  put(world.at('initial', 'admin'), login.password, 0o600);
  world.canary.learn('the admin password', login.password, options.login !== undefined);
  const a = world.machine('a');
  const observer = world.machine('observer');
  const manifests: string[] = [];
  for (const secret of secrets) {
    const value = `Initial-${crypto.randomUUID()}`;
    world.canary.learn(`the initial value of ${secret}`, value, true);
    put(world.at('initial', secret), value, 0o600);
    await createAccount(server, username(secret), value);
    manifests.push(secretManifest(world, secret, username(secret), actor, options.more));
  }
  world.commit(a, {
    'manifests/target.yaml': targetManifest(world, server, options, login.username),
    ...Object.fromEntries(manifests.map((text, i) => [`manifests/${secrets[i]}.yaml`, text])),
    ...options.files?.(world),
  });
  const first = await world.run(a, ['apply']);
  if (first.code !== 0)
    throw new Error(`the first apply: exit ${first.code}\n${first.stdout}${first.stderr}`);

  const look = () => recorded(world, observer);
  const allLogIn = async () => {
    const all = await look();
    for (const [name, { record, values }] of all) {
      const { username: user = '', value = '' } = values.get(record.current ?? 0) ?? {};
      expect(await logsIn(server, user, value), `v${record.current} of ${name} logs in`).toBe(true);
    }
    known = all;
    return all;
  };
  let known = await look();
  return {
    world,
    server,
    a,
    observer,
    secrets,
    username,
    look,
    allLogIn,
    async unchanged(work) {
      const tip = world.tip();
      const ended = await work();
      expect(world.tip(), 'the tip of the remote').toBe(tip);
      for (const [name, { record, values }] of known) {
        const { username: user = '', value = '' } = values.get(record.current ?? 0) ?? {};
        expect(await logsIn(server, user, value), `v${record.current} of ${name} still logs in`).toBe(true);
      }
      return ended;
    },
    end() {
      const places = {
        repositories: [world.remote],
        folders: [world.at('tmp'), a.clone, a.env.HOME ?? ''],
        logs: [server.logFile],
      };
      const findings = world.canary.findings(places);
      world.remove();
      expect(findings).toEqual([]);
    },
  };
}

export const targetManifest = (
  world: World,
  server: DatabaseServer,
  { host = '127.0.0.1', port = server.port }: Pick<SceneOptions, 'host' | 'port'> = {},
  username = server.adminUser,
): string => `apiVersion: keyturn/v1
kind: Target
metadata: { name: db }
spec:
  type: ${server.kind === 'postgresql' ? 'postgresql' : 'mysql'}
  host: ${host}
  port: ${port}
  tls: { mode: disable }
  credentials: { username: ${username}, password: { file: ${world.at('initial', 'admin')} } }
`;

export const secretManifest = (
  world: World,
  secret: string,
  username: string,
  actor: 'self' | 'target' = 'target',
  more = '',
): string => `apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: ${secret} }
spec:
  target: db
  authenticateAs: ${actor === 'self' ? 'user' : 'target'}
  account: { username: ${username} }
  schedule: { every: 300d }
${actor === 'self' ? `  initial: { password: { file: ${world.at('initial', secret)} } }\n` : ''}${more}`;

/** One sentence, one hint, one exit code: what a person gets to see of a failure. */
export function expectFailure(run: Run, code: number, sentence: RegExp, hint?: RegExp): void {
  const said = `${run.stdout}${run.stderr}`;
  expect(run.code, said).toBe(code);
  expect(said).toMatch(sentence);
  if (hint !== undefined) expect(said).toMatch(hint);
  expect(said).not.toMatch(/internal error|\n\s+at /);
}

/** For a `describe`: one PostgreSQL for its tests, and a scene of one secret for each that makes one. */
export function onPostgres(): {
  running: () => DatabaseServer;
  make: (options?: SceneOptions) => Promise<Scene>;
} {
  let server: DatabaseServer | undefined;
  let scene: Scene | undefined;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server?.stop());
  afterEach(() => {
    scene?.end();
    scene = undefined;
  });
  const running = (): DatabaseServer => {
    if (server === undefined) throw new Error('not started');
    return server;
  };
  return {
    running,
    make: async (options = {}) => {
      scene = await createScene(running(), { secrets: ['app'], ...options });
      return scene;
    },
  };
}
