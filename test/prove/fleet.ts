/** Every kind of target that there is, at once: real servers, and secrets of every way to rotate. */
import type { SecretRecord } from '../../src/state/model.ts';
import { createAccount, held, logsIn } from '../crash/databases.ts';
import { put, type World } from '../crash/world.ts';
import { type AwsProxy, startAwsProxy } from '../servers/aws-proxy.ts';
import { isMotoMissing, type Moto, startMoto } from '../servers/moto.ts';
import { startMariadb, startMysql } from '../servers/mysql.ts';
import { isMissing } from '../servers/mysql-installation.ts';
import { startPostgres } from '../servers/postgresql.ts';
import type { DatabaseServer } from '../servers/server.ts';
import { type SshServer, sshdMissing, startSshd } from '../servers/sshd.ts';
import { accepts } from '../targets/ssh-fixture.ts';

/** One recorded version. */
export interface Kept {
  v: number;
  username: string;
  value: string;
  handle: string | undefined;
}

export interface Member {
  secret: string;
  /** Two versions work at once during a rotation: `current` must log in at every instant. */
  overlap: boolean;
  /** By the plain client, without a line of ours. */
  accepts(kept: Kept): Promise<boolean>;
  /** What the target holds for it that the record does not explain. */
  strays(record: SecretRecord, accepted: number): Promise<string[]>;
}

export interface Fleet {
  members: Member[];
  manifests: Record<string, string>;
  servers: string[];
  logs: string[];
  /** Where the process of a remote host is, for the leak scan. */
  pids: [string, number][];
  stop(): Promise<void>;
}

interface Part extends Omit<Fleet, 'stop' | 'servers'> {
  server: string;
  stop(): Promise<unknown>;
}

/** Starts what this machine has, and says what it lacks. */
export async function startFleet(world: World): Promise<Fleet> {
  const parts: Part[] = [];
  const missing = sshdMissing();
  try {
    if (!isMissing('mariadb')) parts.push(await database(world, await startMariadb()));
    if (!isMissing('mysql')) parts.push(await database(world, await startMysql()));
    parts.push(await database(world, await startPostgres()));
    if (missing === null) parts.push(await host(world, await startSshd()));
    else process.stderr.write(`\n!!! sshd is left out: ${missing}\n\n`);
    if (!isMotoMissing()) parts.push(await aws(world, await startMoto()));
  } catch (error) {
    await Promise.all(parts.map((part) => part.stop()));
    throw error;
  }
  return {
    members: parts.flatMap(({ members }) => members),
    manifests: Object.assign({}, ...parts.map(({ manifests }) => manifests)),
    servers: parts.map(({ server }) => server),
    logs: parts.flatMap(({ logs }) => logs),
    pids: parts.flatMap(({ pids }) => pids),
    stop: async () => {
      await Promise.all(parts.map((part) => part.stop()));
    },
  };
}

const manifest = (kind: string, name: string, spec: string): string =>
  `apiVersion: keyturn/v1\nkind: ${kind}\nmetadata: { name: ${name} }\nspec:\n${spec}\n`;

/** A file outside of the clones that holds a first value. */
function initial(world: World, name: string, value: string): string {
  const file = world.at('initial', name);
  put(file, value, 0o600);
  world.canary.learn(`the first value of ${name}`, value, true);
  return file;
}

const fresh = (): string => `Initial-${crypto.randomUUID()}`;

async function database(world: World, server: DatabaseServer): Promise<Part> {
  const { kind } = server;
  const manifests: string[] = [];
  const members: Member[] = [];
  const type = kind === 'postgresql' ? 'postgresql' : 'mysql';
  const target = (name: string, credentials: string): string =>
    manifest(
      'Target',
      name,
      `  type: ${type}\n  host: 127.0.0.1\n  port: ${server.port}\n  tls: { mode: disable }\n  credentials: ${credentials}`,
    );
  world.canary.learn(`the administrator's password of ${kind}`, server.adminPassword);
  put(world.at('initial', `${kind}-admin`), server.adminPassword, 0o600);
  manifests.push(
    target(
      kind,
      `{ username: ${server.adminUser}, password: { file: ${world.at('initial', `${kind}-admin`)} } }`,
    ),
  );

  const add = async (
    name: string,
    { self = false, pair = false, grace = false, on = kind as string, rotator = '' } = {},
  ): Promise<void> => {
    const users = pair ? [`so_${name}_a`, `so_${name}_b`] : [`so_${name}`];
    const value = fresh();
    const [first = '', second] = users;
    await createAccount(server, first, value, self && grace);
    if (second !== undefined) await createAccount(server, second, undefined);
    const secret = `${kind}/${name}`;
    const given = self
      ? `\n  initial: { password: { file: ${initial(world, `${kind}-${name}`, value)} } }`
      : '';
    manifests.push(
      manifest(
        'RotatedSecret',
        secret,
        `  target: ${on}\n${rotator}  authenticateAs: ${self ? 'user' : 'target'}\n  account: ${pair ? `{ usernames: [${users.join(', ')}] }` : `{ username: ${first} }`}\n  schedule: { every: 300d }${grace ? '\n  grace: 1h' : ''}${given}`,
      ),
    );
    members.push({
      secret,
      overlap: grace,
      accepts: ({ username, value: kept }) => logsIn(server, username, kept),
      strays: async (_, accepted) => {
        let stored = 0;
        for (const user of users) stored += await held(server, user);
        return stored === accepted
          ? []
          : [`${kind} holds ${stored} values of ${secret}, ${accepted} are recorded`];
      },
    });
  };
  await add('plain');
  await add('self', { self: true });
  await add('pair', { pair: true, grace: true });
  if (kind !== 'postgresql') await add('dual', { grace: true });
  if (kind === 'mysql') await add('selfdual', { self: true, grace: true });
  if (kind === 'postgresql') {
    // a target whose own login is a rotated secret
    const value = fresh();
    await server.query(`CREATE ROLE so_owner SUPERUSER LOGIN PASSWORD '${value}'`);
    const file = initial(world, 'owner', value);
    manifests.push(
      target('owned', '{ username: so_owner, password: { secret: postgresql/owner } }'),
      manifest(
        'RotatedSecret',
        'postgresql/owner',
        `  target: owned\n  rotator: target\n  account: { username: so_owner }\n  schedule: { every: 300d }\n  initial: { password: { file: ${file} } }`,
      ),
    );
    members.push({
      secret: 'postgresql/owner',
      overlap: false,
      accepts: ({ username, value: kept }) => logsIn(server, username, kept),
      strays: async () => [],
    });
    await add('ward', { on: 'owned' });
  }
  return {
    server: kind,
    members,
    manifests: { [`manifests/${kind}.yaml`]: manifests.join('---\n') },
    logs: [server.logFile],
    pids: [],
    stop: () => server.stop(),
  };
}

async function host(world: World, server: SshServer): Promise<Part> {
  const admin = fresh();
  world.canary.learn("the ssh administrator's password", admin);
  server.addUser('soadmin', admin, { sudo: 'ALL=(ALL) NOPASSWD: ALL' });
  put(world.at('initial', 'ssh-admin'), admin, 0o600);
  const manifests = [
    manifest(
      'Target',
      'host',
      `  type: ssh\n  host: 127.0.0.1\n  port: ${server.port}\n  hostKeys: ["${server.fingerprint}"]\n  sudo: passwordless\n  spacing: 0s\n  credentials: { username: soadmin, password: { file: ${world.at('initial', 'ssh-admin')} } }`,
    ),
  ];
  const members = (
    [
      ['password', 'authenticateAs: target', false],
      ['self', 'authenticateAs: user', false],
      ['key', 'rotator: ssh-key\n  authenticateAs: target\n  grace: 1h', true],
    ] as const
  ).map(([name, spec, key]): Member => {
    const user = `so${name}`;
    const value = fresh();
    server.addUser(user, value);
    const given =
      name === 'self' ? `\n  initial: { password: { file: ${initial(world, 'ssh-self', value)} } }` : '';
    manifests.push(
      manifest(
        'RotatedSecret',
        `ssh/${name}`,
        `  target: host\n  ${spec}\n  account: { username: ${user} }\n  schedule: { every: 300d }${given}`,
      ),
    );
    return {
      secret: `ssh/${name}`,
      overlap: key,
      accepts: ({ username, value: kept }) =>
        accepts(server, username, key ? { privateKey: kept } : { password: kept }),
      strays: async (_, accepted) => {
        if (!key) return [];
        const lines = server.run(`grep -c . /etc/kt-homes/${user}/.ssh/authorized_keys || true`).trim();
        return Number(lines) === accepted ? [] : [`${user} has ${lines} keys, ${accepted} are recorded`];
      },
    };
  });
  return {
    server: 'sshd',
    members,
    manifests: { 'manifests/ssh.yaml': manifests.join('---\n') },
    logs: [server.logFile],
    pids: [['the ssh host', server.pid]],
    stop: () => server.stop(),
  };
}

async function aws(world: World, moto: Moto): Promise<Part> {
  const proxy = await startAwsProxy(moto.port);
  proxy.flap = [true, false, true];
  const { accessKeyId, secretAccessKey } = moto.admin;
  world.canary.learn("the AWS administrator's key", secretAccessKey);
  put(world.at('initial', 'aws-admin'), secretAccessKey, 0o600);
  const manifests = [
    manifest(
      'Target',
      'aws',
      `  type: aws\n  accountId: "${moto.accountId}"\n  endpoint: ${proxy.url}\n  tls: { mode: disable }\n  credentials: { accessKeyId: ${accessKeyId}, secretAccessKey: { file: ${world.at('initial', 'aws-admin')} } }`,
    ),
  ];
  const members: Member[] = [];
  for (const [name, spec] of [
    ['grace', 'authenticateAs: target\n  grace: 1h\n  deleteAfter: 1d'],
    ['graceful', 'authenticateAs: target\n  graceful: true'],
    ['self', 'authenticateAs: user\n  grace: 1h\n  deleteAfter: 1d'],
  ] as const) {
    const user = `so-${name}`;
    const all = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: ['iam:*'], Resource: '*' }] };
    await moto.createUser(user, name === 'self' ? all : undefined);
    let given = '';
    if (name === 'self') {
      const first = await moto.createKey(user);
      given = `\n  initial: { accessKeyId: ${first.accessKeyId}, secretAccessKey: { file: ${initial(world, 'aws-self', first.secretAccessKey)} } }`;
    }
    manifests.push(
      manifest(
        'RotatedSecret',
        `aws/${name}`,
        `  target: aws\n  ${spec}\n  account: { username: ${user} }\n  schedule: { every: 300d }${given}`,
      ),
    );
    members.push({
      secret: `aws/${name}`,
      overlap: true,
      accepts: ({ handle, value }) => callerIs(proxy, user, handle ?? '', value),
      strays: async (record) => {
        const known = new Set(Object.values(record.versions).map((version) => version.handle));
        return (await moto.keys(user)).flatMap(({ id }) =>
          known.has(id) ? [] : [`an orphan of ${user}: ${id}`],
        );
      },
    });
  }
  return {
    server: 'moto (AWS)',
    members,
    manifests: { 'manifests/aws.yaml': manifests.join('---\n') },
    logs: [],
    pids: [],
    stop: async () => {
      await proxy.stop();
      await moto.stop();
    },
  };
}

/** New keys flap: several tries. */
async function callerIs(proxy: AwsProxy, user: string, accessKeyId: string, value: string): Promise<boolean> {
  const { GetCallerIdentityCommand, STSClient } = await import('@aws-sdk/client-sts');
  const sts = new STSClient({
    endpoint: proxy.url,
    region: 'us-east-1',
    credentials: { accessKeyId, secretAccessKey: value },
  });
  try {
    for (const _ of [1, 2, 3, 4]) {
      const arn = await sts.send(new GetCallerIdentityCommand({})).then(
        ({ Arn = '' }) => Arn,
        () => '',
      );
      if (arn.endsWith(`/${user}`)) return true;
    }
    return false;
  } finally {
    sts.destroy();
  }
}
