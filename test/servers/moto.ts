import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateAccessKeyCommand,
  CreateRoleCommand,
  CreateUserCommand,
  DeleteAccessKeyCommand,
  IAMClient,
  ListAccessKeysCommand,
  PutRolePolicyCommand,
  PutUserPolicyCommand,
  UpdateAccessKeyCommand,
} from '@aws-sdk/client-iam';
import { cache } from './mysql-installation.ts';

/** AWS as moto plays it, with signatures and policies enforced. Known gap: a key that is switched off still works. */
export interface Moto {
  readonly port: number;
  readonly url: string;
  readonly accountId: string;
  /** May do everything. */
  readonly admin: { accessKeyId: string; secretAccessKey: string };
  /** Makes a user, with an inline policy if one is given. */
  createUser(name: string, policy?: object): Promise<void>;
  /** A role that does what `policy` says, for whoever may assume it; its ARN. */
  createRole(name: string, policy: object): Promise<string>;
  createKey(name: string): Promise<{ accessKeyId: string; secretAccessKey: string }>;
  deleteKey(name: string, id: string): Promise<void>;
  /** Switches it off; moto still takes it. */
  switchOff(name: string, id: string): Promise<void>;
  /** Ids of the user's keys. */
  keys(name: string): Promise<{ id: string; active: boolean }[]>;
  stop(): Promise<void>;
}

const root = join(cache, 'moto');

export const isMotoInstalled = (): boolean => existsSync(`${root}/usr/lib/python3/dist-packages/moto`);

/** For `describe.skipIf`: says so out loud, and on CI it is an error, because there everything is installed. */
export function isMotoMissing(): boolean {
  if (isMotoInstalled()) return false;
  const line = 'moto: not installed: its tests are SKIPPED; run test/servers/install.sh';
  if (process.env.CI) throw new Error(line);
  process.stderr.write(`\n!!! ${line}\n\n`);
  return true;
}

export async function startMoto(): Promise<Moto> {
  const home = await mkdtemp(join(tmpdir(), 'keyturn-moto-'));
  const port = await freePort();
  const libraries = readdirSync(`${root}/usr/lib`)
    .filter((name) => name.endsWith('-linux-gnu'))
    .map((name) => `${root}/usr/lib/${name}`);
  const [loader] = libraries.flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => /^ld-linux.*\.so\.\d$/.test(name))
      .map((name) => join(folder, name)),
  );
  if (loader === undefined)
    throw new Error(`${root} holds no loader; remove it and run test/servers/install.sh`);
  const python = readdirSync(`${root}/usr/bin`).find((name) => /^python3\.\d+$/.test(name)) ?? 'python3';
  const server = spawn(
    loader,
    [
      '--library-path',
      libraries.join(':'),
      `${root}/usr/bin/${python}`,
      '-m',
      'moto.server',
      '-H',
      '127.0.0.1',
      '-p',
      String(port),
    ],
    {
      cwd: home,
      env: {
        PATH: process.env.PATH,
        HOME: home,
        PYTHONHOME: `${root}/usr`,
        PYTHONPATH: `${root}/usr/lib/python3/dist-packages`,
        PYTHONDONTWRITEBYTECODE: '1',
      },
      stdio: 'ignore',
    },
  );
  const stopNow = (): void => void server.kill('SIGKILL');
  process.once('exit', stopNow);
  const url = `http://127.0.0.1:${port}`;
  for (const deadline = performance.now() + 30_000; ; ) {
    if (
      await fetch(`${url}/moto-api/`).then(
        () => true,
        () => false,
      )
    )
      break;
    if (server.exitCode !== null || performance.now() > deadline) throw new Error('moto did not start');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const open = clientAs(url, { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'anything' });
  await open.send(new CreateUserCommand({ UserName: 'root-of-tests' }));
  await putPolicy(open, 'root-of-tests', [{ Effect: 'Allow', Action: '*', Resource: '*' }]);
  const made = await open.send(new CreateAccessKeyCommand({ UserName: 'root-of-tests' }));
  const admin = pairOf(made.AccessKey);
  await fetch(`${url}/moto-api/reset-auth`, { method: 'POST', body: '0' });
  const iam = clientAs(url, admin);
  return {
    port,
    url,
    accountId: '123456789012',
    admin,
    async createUser(name, policy) {
      await iam.send(new CreateUserCommand({ UserName: name }));
      if (policy)
        await iam.send(
          new PutUserPolicyCommand({
            UserName: name,
            PolicyName: 'own',
            PolicyDocument: JSON.stringify(policy),
          }),
        );
    },
    async createRole(name, policy) {
      const trust = { Version: '2012-10-17', Statement: [] };
      const { Role } = await iam.send(
        new CreateRoleCommand({ RoleName: name, AssumeRolePolicyDocument: JSON.stringify(trust) }),
      );
      const PolicyDocument = JSON.stringify(policy);
      await iam.send(new PutRolePolicyCommand({ RoleName: name, PolicyName: 'own', PolicyDocument }));
      return Role?.Arn ?? '';
    },
    createKey: async (name) =>
      pairOf((await iam.send(new CreateAccessKeyCommand({ UserName: name }))).AccessKey),
    async deleteKey(name, id) {
      await iam.send(new DeleteAccessKeyCommand({ UserName: name, AccessKeyId: id }));
    },
    async switchOff(name, id) {
      await iam.send(new UpdateAccessKeyCommand({ UserName: name, AccessKeyId: id, Status: 'Inactive' }));
    },
    async keys(name) {
      const { AccessKeyMetadata = [] } = await iam.send(new ListAccessKeysCommand({ UserName: name }));
      return AccessKeyMetadata.map((key) => ({ id: key.AccessKeyId ?? '', active: key.Status === 'Active' }));
    },
    async stop() {
      process.removeListener('exit', stopNow);
      open.destroy();
      iam.destroy();
      if (server.exitCode === null && server.signalCode === null) {
        server.kill('SIGKILL');
        await once(server, 'exit');
      }
      await rm(home, { recursive: true, force: true });
    },
  };
}

export const clientAs = (
  endpoint: string,
  credentials: { accessKeyId: string; secretAccessKey: string },
): IAMClient => new IAMClient({ endpoint, region: 'us-east-1', credentials });

const putPolicy = (iam: IAMClient, user: string, statement: object[]) =>
  iam.send(
    new PutUserPolicyCommand({
      UserName: user,
      PolicyName: 'own',
      PolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: statement }),
    }),
  );

const pairOf = (
  key: { AccessKeyId?: string | undefined; SecretAccessKey?: string | undefined } | undefined,
) => ({
  accessKeyId: key?.AccessKeyId ?? '',
  secretAccessKey: key?.SecretAccessKey ?? '',
});

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
