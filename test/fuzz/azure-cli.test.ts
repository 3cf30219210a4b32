/** The real command line in a tenant that lies: nothing is current that was not proven, and the truth heals the rest. */
import { expect, it } from 'vitest';
import { openSession } from '../../src/run.ts';
import { createWorld, type Machine, type World } from '../crash/world.ts';
import { addSecret } from '../servers/azure/directory.ts';
import { type AzureDouble, startAzure } from '../servers/azure/server.ts';
import { lieTo } from './azure.ts';
import { eachSeed, seeds } from './seeds.ts';
import { type Tenant, tenantOf } from './tenant.ts';

const hour = 3_600_000;
const foreign = 'made by hand';

const document = (kind: string, name: string, spec: string): string =>
  `apiVersion: keyturn/v1\nkind: ${kind}\nmetadata: { name: ${name} }\nspec: { ${spec} }\n`;

function manifestsOf({ origin, directory }: AzureDouble, { admin, app, user, account }: Tenant): string {
  const tenant = `tenantId: ${directory.tenantId}, timeout: 2s, endpoints: { login: "${origin}", graph: "${origin}", management: "${origin}" }, credentials: { clientId: ${admin.appId}, clientSecret: { env: AZURE_ADMIN } }`;
  const { subscriptionId, resourceGroup, name } = account;
  return [
    document('Target', 'tenant', `type: azure, publicClientId: ${admin.appId}, ${tenant}`),
    document(
      'Target',
      'storage',
      `type: azure-storage, subscriptionId: ${subscriptionId}, resourceGroup: ${resourceGroup}, account: ${name}, ${tenant}`,
    ),
    document(
      'RotatedSecret',
      'app',
      `target: tenant, authenticateAs: target, account: { appId: ${app.appId} }, grace: 1h`,
    ),
    document(
      'RotatedSecret',
      'user',
      `target: tenant, rotator: password, authenticateAs: target, account: { username: "${user.userPrincipalName}" }, verify: ropc`,
    ),
    document('RotatedSecret', 'key', 'target: storage, graceful: true'),
  ].join('---\n');
}

/** What readers read of each secret works; a user's only while nothing is pending, whose value may have taken its place. */
async function judge(world: World, machine: Machine, { app, user, account }: Tenant): Promise<void> {
  const live = {
    app: app.secrets.map(({ secretText }) => secretText),
    user: [user.password],
    key: account.keys.map(({ value }) => value),
  };
  const { ledger } = await openSession(world.host(machine), {});
  for (const record of Object.values(ledger.state.records)) {
    const values = new Map<number, string>();
    for (const [v, { file }] of Object.entries(record.versions)) {
      if (file === null) continue;
      const value = (await ledger.readVersion(record, Number(v))).value.reveal();
      world.canary.learn(`v${v} of ${record.name}`, value);
      values.set(Number(v), value);
    }
    const works = live[record.name as keyof typeof live];
    const current = values.get(record.current ?? 0);
    if (record.name === 'user' && record.pending !== null)
      expect([...values.values()]).toEqual(expect.arrayContaining(works));
    else expect(works, record.name).toContain(current);
    if (record.name === 'app' && record.pending === null)
      expect([...values.values(), foreign]).toEqual(
        expect.arrayContaining(
          app.secrets.map(({ displayName, secretText }) => (displayName === foreign ? foreign : secretText)),
        ),
      );
  }
}

it('lets nobody read what does not work, says no stack trace, and ends well', async () => {
  await eachSeed(seeds(2), 2, async (_, dice) => {
    const azure = await startAzure();
    const tenant = tenantOf(azure);
    addSecret(tenant.app, foreign);
    const world = await createWorld({ 'manifests/all.yaml': manifestsOf(azure, tenant) });
    try {
      const a = world.machine('a');
      const env = {
        AZURE_ADMIN: tenant.admin.secrets[0]?.secretText ?? '',
        NODE_EXTRA_CA_CERTS: azure.caFile,
      };
      const first = await world.run(a, ['apply', '--yes'], { env });
      expect(first.code, first.stderr).toBe(0);
      azure.lie = (_operation, truth, response) => {
        if (dice.below(4) > 0) return false;
        lieTo(response, truth, dice, 'https://localhost:9');
        return true;
      };
      for (const offset of [1, 2]) {
        const lied = await world.run(a, ['rotate', 'app', 'user', 'key', '--yes', '--force'], {
          env,
          offset: offset * hour,
        });
        expect([0, 3, 75], lied.stderr).toContain(lied.code);
        expect(lied.stderr).not.toMatch(/internal error|this is a bug|\n\s+at .*:\d+:\d+|[^\n\x20-\x7e…·→]/);
        await judge(world, a, tenant);
      }
      azure.lie = () => false;
      for (const offset of [4, 5, 6])
        await world.run(a, ['apply', '--yes', '--force'], { env, offset: offset * hour });
      await judge(world, a, tenant);
      const last = await world.run(a, ['rotate', 'app', 'user', 'key', '--yes', '--force'], {
        env,
        offset: 8 * hour,
      });
      expect(last.code, last.stderr).toBe(0);
      await judge(world, a, tenant);
      expect(azure.violations).toEqual([]);
      const places = [world.at('tmp'), a.env.HOME ?? ''];
      expect(world.canary.findings({ repositories: [world.remote], folders: places, logs: [] })).toEqual([]);
    } finally {
      azure.lie = () => false;
      world.remove();
      await azure.stop();
    }
  });
}, 900_000);
