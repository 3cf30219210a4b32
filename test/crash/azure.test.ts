/**
 * Client secrets, users' passwords and storage keys are never lost: every failpoint of the three machines, the real
 * command line killed there, with its disk (`kill`) or without it (`evict`), against a tenant that spreads slowly.
 */
import { rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openSession } from '../../src/run.ts';
import {
  type Application,
  addApplication,
  addSecret,
  addStorageAccount,
  addUser,
  type StorageAccount,
  type User,
} from '../servers/azure/directory.ts';
import { type AzureDouble, startAzure } from '../servers/azure/server.ts';
import { tally } from '../tally.ts';
import { issuing, isWire, renewing, rotation, wire } from './failpoints.ts';
import { createWorld, type Machine, type RunOptions, type World } from './world.ts';

const hour = 3_600_000;
/** When the dying starts: the first versions have rested for a lease by then. */
const ahead = 3 * hour;
/** How much later the recovery comes: by then a list that lacks something can be believed. */
const late = 30 * 60_000;

/** Dead there, the claim is not in the remote. */
const unclaimed = ['claim.beforeCommit', 'claim.push.beforeSend'];

type Mode = 'kill' | 'evict';

interface Case {
  name: string;
  at: string;
  /** The operation of the double that changes something, for places within a driver. */
  operation: string;
  manifest: string;
  /** What the target accepts now. */
  live(): string[];
  /** What it accepted at first and must not any more, once the rotation is over. */
  over: () => string[];
}

describe.concurrent('a process that dies', () => {
  it.each(['kill', 'evict'] as const)(
    'loses nothing that Azure made or took, leaves no orphan and touches nothing foreign (%s)',
    async (mode) => {
      const azure = await startAzure();
      try {
        await round(azure, mode);
      } finally {
        await azure.stop();
      }
    },
    600_000,
  );
});

async function round(azure: AzureDouble, mode: Mode): Promise<void> {
  const { directory } = azure;
  const admin = addApplication(directory, 'keyturn', {
    roles: ['Application.ReadWrite.OwnedBy', 'User.Read.All', 'User-PasswordProfile.ReadWrite.All'],
    actions: [
      'Microsoft.Storage/storageAccounts/listkeys/action',
      'Microsoft.Storage/storageAccounts/regeneratekey/action',
    ],
  });
  const login = addSecret(admin, 'made by hand').secretText;
  // a user's value is in the remote before it is set: whose disk survives says nothing
  const cases = [
    ...applications(azure, admin),
    ...(mode === 'evict' ? users(azure) : []),
    ...accounts(azure, mode),
  ];
  const world = await createWorld({
    'manifests/azure.yaml': `${targetOf(azure, admin, 'azure', 'azure')}`,
    'manifests/secrets.yaml': cases.map(({ manifest }) => manifest).join('---\n'),
    'manifests/accounts.yaml': directory.accounts
      .map((one) => storageTarget(azure, admin, one))
      .join('---\n'),
  });
  const env = { AZURE_ADMIN: login, NODE_EXTRA_CA_CERTS: azure.caFile };
  try {
    const a = world.machine('a');
    const first = await world.run(a, ['apply', '--yes'], { env });
    expect(first.code, first.stderr).toBe(0);
    // the first of a storage key was read, not made: what is renewed below is its second
    azure.lag.refusals = [true, false, true];
    azure.lag.stale = 1;
    for (const one of cases) await die(world, a, azure, one, env);
    await judge(world, a, cases, false);

    if (mode === 'evict') rmSync(`${a.env.HOME}/.cache`, { recursive: true, force: true });
    const b = mode === 'evict' ? world.machine('b') : a;
    if (mode === 'kill') world.git(a.clone, 'pull', '--quiet', '--ff-only');
    const offset = ahead + late;
    const recovery = await world.run(b, ['apply', '--yes', '--force'], { env, offset });
    expect(recovery.code, recovery.stderr).toBe(0);
    await judge(world, b, cases, true);
    const tip = world.tip();
    const again = await world.run(b, ['apply', '--yes'], { env, offset });
    expect([again.code, world.tip() === tip], again.stderr).toEqual([0, true]);

    for (const { displayName, secrets } of directory.applications.filter((one) => one !== admin))
      expect(
        secrets.filter((secret) => secret.displayName === 'made by hand'),
        displayName,
      ).toHaveLength(1);
    expect(azure.violations).toEqual([]);
    const places = [world.at('tmp'), a.env.HOME ?? '', b.env.HOME ?? ''];
    expect(world.canary.findings({ repositories: [world.remote], folders: places, logs: [] })).toEqual([]);
  } finally {
    world.remove();
  }
}

async function die(world: World, a: Machine, azure: AzureDouble, one: Case, env: NodeJS.ProcessEnv) {
  const { name, at, operation } = one;
  const options = { env, offset: ahead };
  const kill: RunOptions = isWire(at)
    ? {
        started: (child) =>
          azure.arm(operation, wire[at] === 'before' ? 'lose-request' : 'lose-reply', () =>
            child.kill('SIGKILL'),
          ),
      }
    : { killAt: at };
  // a victim is what an earlier death left there
  if (at.startsWith('victim.')) {
    const orphan = await world.run(a, ['rotate', name, '--force'], {
      ...options,
      killAt: 'create.afterReply',
    });
    expect(orphan.signal).toBe('SIGKILL');
  }
  const args = at.startsWith('victim.') ? ['apply', '--only', name] : ['rotate', name, '--force'];
  const died = await world.run(a, args, { ...options, ...kill });
  expect([name, at, died.signal, died.signal ? '' : died.stderr]).toEqual([name, at, 'SIGKILL', '']);
}

/** What consumers read works, and what works can be read; once `settled` nothing is pending or left over. */
async function judge(
  world: World,
  machine: Machine,
  cases: readonly Case[],
  settled: boolean,
): Promise<void> {
  const { ledger } = await openSession(world.host(machine), {});
  for (const { name, at, live, over, operation } of cases) {
    const record = Object.values(ledger.state.records).find((one) => one.name === name);
    if (record?.current == null) throw new Error(`${name} has no version`);
    const values = new Map<number, string>();
    for (const [v, version] of Object.entries(record.versions)) {
      if (version.file === null) continue;
      const { value } = await ledger.readVersion(record, Number(v));
      world.canary.learn(`v${v} of ${name}`, value.reveal());
      values.set(Number(v), value.reveal());
    }
    const current = values.get(record.current) ?? '';
    const works = live();
    tally('logins', 1);
    const where = `${name} at ${at}`;
    if (operation !== 'patchUser' && !name.startsWith('fixed/')) expect(works, where).toContain(current);
    // what Azure makes cannot be recorded before it is made: those wait at Azure, by their mark or in their slot
    if (operation === 'patchUser') expect([...values.values()], where).toEqual(expect.arrayContaining(works));
    if (!settled) continue;
    expect([where, record.pending, record.health]).toEqual([where, null, 'ok']);
    expect(works, where).toContain(current);
    // what was not even claimed was wished for once, by a command that died
    const rotated = !unclaimed.includes(at);
    expect([where, record.current]).toEqual([where, rotated ? 2 : 1]);
    if (rotated) for (const value of over()) expect(works, where).not.toContain(value);
    if (operation === 'addPassword')
      expect([...values.values()], where).toEqual(expect.arrayContaining(works));
  }
}

const applications = (azure: AzureDouble, admin: Application): Case[] =>
  issuing
    // Entra cannot switch a secret off
    .filter((at) => at !== 'victim.afterDisable')
    .map((at, index) => {
      const app = addApplication(azure.directory, `app${index}`, { owners: [admin.appId] });
      addSecret(app, 'made by hand');
      return {
        name: `apps/app${index}`,
        at,
        operation: 'addPassword',
        manifest: secretOf(
          `apps/app${index}`,
          'azure',
          `authenticateAs: target\n  account: { appId: ${app.appId} }\n  grace: 1h`,
        ),
        live: () =>
          app.secrets.flatMap(({ displayName, secretText }) =>
            displayName === 'made by hand' ? [] : [secretText],
          ),
        // the former secret is in its grace
        over: () => [],
      };
    });

const users = (azure: AzureDouble): Case[] =>
  rotation.map((at, index) => {
    const user: User = addUser(azure.directory, `user${index}@example.org`);
    const first = user.password;
    return {
      name: `users/user${index}`,
      at,
      operation: 'patchUser',
      manifest: secretOf(
        `users/user${index}`,
        'azure',
        `rotator: password\n  account: { username: ${user.userPrincipalName} }`,
      ),
      live: () => [user.password],
      over: () => [first],
    };
  });

/** Of a pair the one in use works at every instant; a single one does again after the recovery. */
const accounts = (azure: AzureDouble, mode: Mode): Case[] =>
  renewing.map((at, index) => {
    const account = addStorageAccount(azure.directory, `account${index}`);
    const single = mode === 'evict';
    const renewed = account.keys[single ? 0 : 1]?.value ?? '';
    const name = `${single ? 'fixed' : 'pairs'}/${account.name}`;
    return {
      name,
      at,
      operation: 'regenerateKey',
      manifest: secretOf(name, account.name, single ? 'account: { keyName: key1 }' : 'graceful: true'),
      live: () => account.keys.map(({ value }) => value),
      over: () => [renewed],
    };
  });

const secretOf = (name: string, target: string, spec: string): string => `apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: ${name} }
spec:
  target: ${target}
  schedule: { every: 300d }
  ${spec}
`;

const targetOf = (
  { origin, directory }: AzureDouble,
  admin: Application,
  name: string,
  type: string,
  more = '',
) =>
  `apiVersion: keyturn/v1
kind: Target
metadata: { name: ${name} }
spec:
  type: ${type}
  tenantId: ${directory.tenantId}
  concurrency: 32
  endpoints: { login: ${origin}, graph: ${origin}, management: ${origin} }
  credentials: { clientId: ${admin.appId}, clientSecret: { env: AZURE_ADMIN } }
${more}`;

const storageTarget = (azure: AzureDouble, admin: Application, one: StorageAccount): string =>
  targetOf(
    azure,
    admin,
    one.name,
    'azure-storage',
    `  subscriptionId: ${one.subscriptionId}\n  resourceGroup: ${one.resourceGroup}\n  account: ${one.name}\n`,
  );
