/** The life of what Azure accepts through the real command line: secrets, passwords, keys, and the logins to get there. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createWorld, type Machine, type Run, type World } from '../crash/world.ts';
import { type Azurite, createAzurite } from '../servers/azure/azurite.ts';
import {
  type Application,
  addApplication,
  addSecret,
  addStorageAccount,
  addUser,
  newKey,
  type StorageAccount,
} from '../servers/azure/directory.ts';
import { type AzureDouble, startAzure } from '../servers/azure/server.ts';
import { expectFailure } from './scene.ts';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

const operator = [
  'Microsoft.Storage/storageAccounts/listkeys/action',
  'Microsoft.Storage/storageAccounts/regeneratekey/action',
];

describe('in a tenant of Azure', () => {
  let azure: AzureDouble;
  let azurite: Azurite;
  let admin: Application;
  let secret = '';
  beforeAll(async () => {
    azure = await startAzure();
    azurite = await createAzurite();
    admin = addApplication(azure.directory, 'keyturn', {
      roles: ['Application.ReadWrite.OwnedBy', 'User.Read.All', 'User-PasswordProfile.ReadWrite.All'],
      actions: operator,
      publicClient: true,
    });
    secret = addSecret(admin, 'made by hand').secretText;
  });
  afterAll(async () => {
    await azurite?.stop();
    await azure?.stop();
  });

  const target = (
    credentials = `{ clientId: ${admin.appId}, clientSecret: { env: AZURE_ADMIN } }`,
    more = '',
  ) =>
    `apiVersion: keyturn/v1
kind: Target
metadata: { name: ${more === '' ? 'tenant' : 'storage'} }
spec:
  type: ${more === '' ? 'azure' : 'azure-storage'}
  tenantId: ${azure.directory.tenantId}
  endpoints: { login: ${azure.origin}, graph: ${azure.origin}, management: ${azure.origin} }
${credentials === '' ? '' : `  credentials: ${credentials}\n`}${more}`;
  const storage = (account: StorageAccount, credentials?: string) =>
    target(
      credentials,
      `  subscriptionId: ${account.subscriptionId}\n  resourceGroup: ${account.resourceGroup}\n  account: ${account.name}\n`,
    );
  const secretOf = (name: string, spec: string, of = 'tenant') => `apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: ${name} }
spec:
  target: ${of}
${spec}
`;
  const env = (more: NodeJS.ProcessEnv = {}) => ({
    AZURE_ADMIN: secret,
    NODE_EXTRA_CA_CERTS: azure.caFile,
    ...more,
  });
  /** Runs the work in a repository of these documents; nothing that the double refuses was sent. */
  const within = async (
    documents: string[],
    work: (
      world: World,
      a: Machine,
      runs: (args: string[], offset?: number, more?: NodeJS.ProcessEnv) => Promise<Run>,
    ) => Promise<void>,
  ) => {
    const world = await createWorld({ 'manifests/all.yaml': documents.join('---\n') });
    const a = world.machine('a');
    try {
      await work(world, a, async (args, offset = 0, more = {}) => {
        const run = await world.run(a, args, { env: env(more), offset });
        expect(run.code, run.stderr).toBe(0);
        return run;
      });
      expect(azure.violations.splice(0)).toEqual([]);
    } finally {
      world.remove();
    }
  };
  const get = async (world: World, a: Machine, name: string, ...more: string[]) =>
    (await world.ask(a, ['get', name, ...more], { offset: day })).stdout.trim();

  it('a client secret is adopted, replaced beside foreign ones, and removed by its id', async () => {
    const app = addApplication(azure.directory, 'shop', { owners: [admin.appId] });
    const foreign = addSecret(app, 'made by hand');
    const first = addSecret(app, 'the first one', {
      endDateTime: new Date(Date.now() + 10 * day).toISOString(),
    });
    const spec = `  authenticateAs: target
  account: { appId: ${app.appId} }
  initial: { keyId: ${first.keyId}, clientSecret: { env: FIRST } }
  grace: 1h`;
    await within([target(), secretOf('app', spec)], async (world, a, runs) => {
      await runs(['apply', '--yes'], 0, { FIRST: first.secretText });
      const warned = await runs(['plan'], hour, { FIRST: first.secretText });
      expect(warned.stdout).toMatch(/v1 ends by itself .*its next rotation is due/);
      await runs(['rotate', 'app', '--yes'], hour);
      expect(app.secrets).toHaveLength(3);
      expect(await get(world, a, 'app')).toBe(app.secrets[2]?.secretText);
      expect(await get(world, a, 'app', '--field', 'keyId')).toBe(app.secrets[2]?.keyId);
      expect((await runs(['plan'], hour)).stdout).not.toContain('ends by itself');
      await runs(['apply', '--yes'], 3 * hour);
      expect(app.secrets.map(({ displayName }) => displayName)).toEqual([
        'made by hand',
        expect.stringMatching(/^keyturn\/[0-9A-Z]{26}\/[0-9A-Z]{26}\/1$/),
      ]);
      expect(app.secrets[0]).toBe(foreign);
      const end = Date.parse(app.secrets[1]?.endDateTime ?? '') - Date.now();
      expect(Math.round(end / day)).toBe(90);
      expect((await runs(['verify'], 3 * hour)).stdout).toContain('logged in');
    });
  }, 120_000);

  it('a client secret is not adopted under the id of another one', async () => {
    const app = addApplication(azure.directory, 'mixed', { owners: [admin.appId] });
    const first = addSecret(app, 'the first one');
    const spec = `  authenticateAs: target
  account: { appId: ${app.appId} }
  initial: { keyId: ${crypto.randomUUID()}, clientSecret: { env: FIRST } }`;
    await within([target(), secretOf('app', spec)], async (world, a) => {
      const run = await world.run(a, ['apply', '--yes'], { env: env({ FIRST: first.secretText }) });
      expectFailure(run, 3, /the application has no keyId/);
    });
  }, 60_000);

  it('an orphan of a lost answer goes by its mark before the next secret is made', async () => {
    const app = addApplication(azure.directory, 'orphaned', { owners: [admin.appId] });
    const spec = `  authenticateAs: target\n  account: { appId: ${app.appId} }`;
    await within([target(), secretOf('app', spec)], async (world, a, runs) => {
      azure.arm('addPassword', 'lose-reply');
      await runs(['apply', '--yes']);
      expect(app.secrets.map(({ displayName }) => displayName?.split('/')[3])).toEqual(['2']);
      expect(await get(world, a, 'app')).toBe(app.secrets[0]?.secretText);
    });
  }, 60_000);

  it('a secret that a state which was rolled back does not know is no orphan', async () => {
    const app = addApplication(azure.directory, 'rolled', { owners: [admin.appId] });
    const spec = `  authenticateAs: target\n  account: { appId: ${app.appId} }`;
    await within([target(), secretOf('app', spec)], async (world, _, runs) => {
      await runs(['apply', '--yes']);
      const old = world.tip();
      await runs(['rotate', 'app', '--yes'], hour);
      const kept = app.secrets.map(({ keyId }) => keyId);
      world.git(world.remote, 'update-ref', 'refs/heads/main', old);
      const b = world.machine('b');
      const run = await world.run(b, ['rotate', 'app', '--yes'], { env: env(), offset: 2 * hour });
      expectFailure(run, 3, /the state was rolled back/, /restore the newest state/);
      expect(app.secrets.map(({ keyId }) => keyId)).toEqual(kept);
    });
  }, 60_000);

  it('a lost answer whose secret no list shows yet is waited for, not repeated', async () => {
    const app = addApplication(azure.directory, 'lagging', { owners: [admin.appId] });
    const spec = `  authenticateAs: target\n  account: { appId: ${app.appId} }`;
    await within([target(), secretOf('app', spec)], async (world, a, runs) => {
      azure.lag.hidden = 99;
      azure.arm('addPassword', 'lose-reply');
      const run = await world.run(a, ['apply', '--yes'], { env: env() });
      azure.lag.hidden = 0;
      expectFailure(run, 75, /an answer was lost, and the target may not list yet what it made/);
      const [orphan] = app.secrets;
      expect(app.secrets).toHaveLength(1);
      if (orphan) orphan.hiddenFor = 0;
      await runs(['apply', '--yes'], 16 * minute);
      expect(app.secrets).toHaveLength(1);
      expect(app.secrets[0]).not.toBe(orphan);
    });
  }, 120_000);

  it('the login of the target is replaced by itself, and works before the rest of the run needs it', async () => {
    const own = addApplication(azure.directory, 'own', { roles: admin.roles, actions: operator });
    const first = addSecret(own, 'the first one');
    const app = addApplication(azure.directory, 'other', { owners: [own.appId] });
    const account = addStorageAccount(azure.directory, 'shared');
    const credentials = `{ clientId: ${own.appId}, clientSecret: { secret: login } }`;
    const documents = [
      target(credentials),
      storage(account, credentials),
      secretOf(
        'login',
        `  rotator: target\n  initial: { keyId: ${first.keyId}, clientSecret: { env: FIRST } }`,
      ),
      secretOf('app', `  authenticateAs: target\n  account: { appId: ${app.appId} }`),
      secretOf('key', '  graceful: true', 'storage'),
    ];
    await within(documents, async (world, a, runs) => {
      await runs(['apply', '--yes'], 0, { FIRST: first.secretText });
      azure.lag.refusals = [true, true, false, true];
      await runs(['rotate', 'login', 'app', 'key', '--yes', '--force'], hour);
      azure.lag.refusals = [];
      expect(own.secrets.map(({ keyId }) => keyId)).not.toContain(first.keyId);
      expect(await get(world, a, 'login')).toBe(own.secrets[0]?.secretText);
      expect(await get(world, a, 'key')).toBe(account.keys[1]?.value);
      await runs(['rotate', 'app', 'key', '--yes', '--force'], 2 * hour);
      expect(await get(world, a, 'key')).toBe(account.keys[0]?.value);
      expect((await runs(['verify'], 2 * hour)).stdout.match(/ ok /g)).toHaveLength(3);
    });
  }, 180_000);

  it('the password of a user is set, and proven by a login only where the manifest says so', async () => {
    const bob = addUser(azure.directory, 'bob@example.org');
    const eve = addUser(azure.directory, 'eve@example.org');
    const documents = [
      target(),
      secretOf('bob', '  rotator: password\n  account: { username: bob@example.org }'),
      secretOf('eve', '  rotator: password\n  account: { username: eve@example.org }\n  verify: ropc'),
    ];
    await within(documents, async (world, a, runs) => {
      const from = azure.seen.length;
      await runs(['apply', '--yes']);
      expect([await get(world, a, 'bob'), await get(world, a, 'eve')]).toEqual([bob.password, eve.password]);
      expect(azure.seen.slice(from).filter((line) => line.startsWith('patchUser'))).toHaveLength(2);
      eve.password = 'somebody-was-here';
      const verified = await world.run(a, ['verify'], { env: env() });
      expect([verified.code, verified.stdout], verified.stderr).toEqual([
        3,
        expect.stringMatching(/eve .*drift/),
      ]);
      expect(verified.stdout).toMatch(/bob .*only verify: ropc/);
    });
  }, 60_000);

  it('storage keys take turns, and both open the account all the while', async () => {
    const account = addStorageAccount(azure.directory, 'turns');
    await azurite.serve(account);
    azure.renewed = (renewed) => azurite.serve(renewed);
    await within(
      [storage(account), secretOf('key', '  graceful: true', 'storage')],
      async (world, a, runs) => {
        const first = account.keys[0]?.value;
        await runs(['apply', '--yes']);
        expect([await get(world, a, 'key'), account.keys[0]?.value]).toEqual([first, first]);
        for (const [slot, at] of [
          [1, hour],
          [0, 2 * hour],
        ] as const) {
          const before = await get(world, a, 'key');
          await runs(['rotate', 'key', '--yes', '--force'], at);
          const now = await get(world, a, 'key');
          expect([now, await get(world, a, 'key', '--field', 'keyName')]).toEqual([
            account.keys[slot]?.value,
            `key${slot + 1}`,
          ]);
          expect(await azurite.accepts('turns', before)).toBe(true);
          expect(await azurite.accepts('turns', now)).toBe(true);
        }
        expect(await azurite.accepts('turns', first ?? '')).toBe(false);
      },
    ).finally(() => {
      azure.renewed = async () => undefined;
    });
  }, 120_000);

  it('a storage key that two runners renew is, in the end, the one that is recorded', async () => {
    const account = addStorageAccount(azure.directory, 'twice');
    const documents = [storage(account), secretOf('key', '  account: { keyName: key2 }', 'storage')];
    await within(documents, async (world, a, runs) => {
      const b = world.machine('b');
      await runs(['apply', '--yes']);
      const before = azure.seen.length;
      let taken: Promise<Run> | undefined;
      const first = await world.run(a, ['rotate', 'key', '--yes', '--force'], {
        env: env(),
        offset: hour,
        hangAt: 'set.beforeConnect',
        started: (child) => {
          taken = child.said('hanging at set.beforeConnect').then(async () => {
            const second = await world.run(b, ['apply', '--yes', '--force'], {
              env: env(),
              offset: 2 * hour,
            });
            child.kill('SIGCONT');
            return second;
          });
        },
      });
      expect((await taken)?.code).toBe(0);
      expect(azure.seen.slice(before).filter((line) => line.startsWith('regenerateKey'))).toHaveLength(2);
      expect([first.code, first.stderr.includes('two runs renewed it')], first.stderr).toEqual([0, true]);
      world.git(b.clone, 'pull', '--quiet', '--ff-only');
      expect(await get(world, b, 'key')).toBe(account.keys[1]?.value);
      const tip = world.tip();
      const idle = await world.run(b, ['apply', '--yes'], { env: env(), offset: 2 * hour });
      expect([idle.code, world.tip() === tip], idle.stderr).toEqual([0, true]);
    });
  }, 120_000);

  it('a storage key that somebody renewed by hand is read again where the manifest says so', async () => {
    const account = addStorageAccount(azure.directory, 'byhand');
    const spec = '  graceful: true\n  verify: { every: 1d }\n  drift: adopt';
    await within([storage(account), secretOf('key', spec, 'storage')], async (world, a, runs) => {
      await runs(['apply', '--yes']);
      account.keys[0] = newKey('key1');
      const drifted = await world.run(a, ['verify'], { env: env(), offset: hour });
      expectFailure(drifted, 3, /key1 holds another value: somebody renewed it/);
      const found = await world.run(a, ['apply', '--yes'], { env: env(), offset: 2 * day });
      expect([found.code, found.stderr.includes('the next run reads what is there')]).toEqual([3, true]);
      await runs(['apply', '--yes', '--force'], 2 * day);
      expect(await get(world, a, 'key')).toBe(account.keys[0]?.value);
      expect((await runs(['verify'], 2 * day)).stdout).toMatch(/key .*ok/);
    });
  }, 60_000);

  it('doctor names the permissions and roles that are missing', async () => {
    const poor = addApplication(azure.directory, 'poor', {
      roles: ['User.Read.All'],
      actions: operator.slice(0, 1),
    });
    poor.actions.push('Microsoft.Authorization/permissions/read');
    const { secretText } = addSecret(poor, null);
    const app = addApplication(azure.directory, 'any', { owners: [poor.appId] });
    addUser(azure.directory, 'any@example.org');
    const account = addStorageAccount(azure.directory, 'anyaccount');
    const credentials = `{ clientId: ${poor.appId}, clientSecret: { env: POOR } }`;
    const documents = [
      target(credentials),
      storage(account, credentials),
      secretOf('app', `  authenticateAs: target\n  account: { appId: ${app.appId} }`),
      secretOf('user', '  rotator: password\n  account: { username: any@example.org }'),
      secretOf('key', '  graceful: true', 'storage'),
    ];
    await within(documents, async (world, a) => {
      const run = await world.run(a, ['doctor'], { env: env({ POOR: secretText }) });
      expect(run.code, run.stdout).toBe(1);
      expect(run.stdout).toMatch(/app: .*Application\.ReadWrite|grant Application\.ReadWrite/);
      expect(run.stdout).toContain('lacks User-PasswordProfile.ReadWrite.All');
      expect(run.stdout).toContain('may not Microsoft.Storage/storageAccounts/regeneratekey/action');
      expect(run.stdout).toContain('Storage Account Key Operator Service Role');
    });
  }, 60_000);
});
