/**
 * What only a real tenant can show, tried on things that were made for it: `npm run test:live` with the variables that
 * examples/azure/README.md lists. Everything is put back but the user's password and the values of the storage keys.
 */
import { describe, expect, it } from 'vitest';
import { toAzure } from '../../src/manifests/azure.ts';
import { Secret } from '../../src/secret.ts';
import { application, user } from '../../src/targets/azure.ts';
import { azureStorage } from '../../src/targets/azure-storage.ts';
import type { Target } from '../../src/targets/driver.ts';
import { asking } from '../conformance-issued.ts';

const names = ['TENANT', 'CLIENT', 'APP', 'USER', 'SUBSCRIPTION', 'ACCOUNT'] as const;
const given = Object.fromEntries(
  names.map((name) => [name, process.env[`KEYTURN_LIVE_${name}`] ?? '']),
) as Record<(typeof names)[number], string>;

/** Skipped in the ordinary run without a word; asked for and not possible, out loud. */
function cannot(...needed: (typeof names)[number][]): boolean {
  if (process.env.KEYTURN_LIVE !== '1') return true;
  const missing = [...(['TENANT', 'CLIENT'] as const), ...needed].filter((name) => given[name] === '');
  if (missing.length > 0)
    process.stderr.write(
      `\n!!! SKIPPED: set ${missing.map((name) => `KEYTURN_LIVE_${name}`).join(', ')}\n\n`,
    );
  return missing.length > 0;
}

/** As a manifest without credentials makes it: the environment says how to log in. */
function target(type: 'azure' | 'azure-storage'): Target {
  const spec = { type, tenantId: given.TENANT, subscriptionId: given.SUBSCRIPTION, account: given.ACCOUNT };
  return {
    name: 'live',
    type,
    ...toAzure(spec),
    verifyHost: undefined,
    database: undefined,
    tls: { mode: 'verify', ca: undefined, caFile: undefined, serverName: undefined },
    credentials: undefined,
    concurrency: 1,
    timeout: 30_000,
    source: { file: 'live.yaml', line: 1, column: 1 },
  };
}

const minutes = (count: number) => ({ timeout: count * 60_000, interval: 2_000 });

describe('a real tenant', () => {
  it.skipIf(cannot('APP'))(
    'makes, spreads, lists and removes a client secret',
    async () => {
      const job = {
        target: target('azure'),
        username: given.APP,
        actor: 'target' as const,
        admin: undefined,
        login: undefined,
      };
      const rotator = application.rotator(job);
      expect(await rotator.preflight()).toMatchObject({ r: 'ready' });
      expect((await application.missingPrivileges(job)).missing).toEqual([]);
      const until = new Date(Date.now() + 2 * 86_400_000).toISOString();
      const made = await rotator.issue({ ...asking, until });
      if (made.r !== 'issued') throw new Error(JSON.stringify(made));
      const from = performance.now();
      try {
        await expect.poll(async () => (await rotator.verify(made.issued)).r, minutes(5)).toBe('ok');
        process.stderr.write(
          `the new secret was accepted after ${Math.round((performance.now() - from) / 1000)} s\n`,
        );
        const listed = async () => {
          const listing = await rotator.list();
          return listing.r === 'listed'
            ? listing.keys.find(({ handle }) => handle === made.issued.handle)
            : undefined;
        };
        await expect.poll(listed, minutes(2)).toMatchObject({ madeFor: asking.uid });
      } finally {
        for (const _ of ['first', 'again'])
          expect(await rotator.remove(made.issued.handle)).toEqual({ r: 'done' });
      }
      await expect.poll(async () => (await rotator.verify(made.issued)).r, minutes(5)).toBe('denied');
    },
    900_000,
  );

  it.skipIf(cannot('USER'))(
    "sets a user's password twice, and bears witness",
    async () => {
      const rotator = user.rotator({
        target: target('azure'),
        username: given.USER,
        host: undefined,
        account: { usernames: [given.USER], host: undefined },
        actor: 'target',
        admin: undefined,
        current: undefined,
        retain: false,
        mark: { uid: 'live', version: 1 },
      });
      for (const _ of ['first', 'second']) {
        const preflight = await rotator.preflight();
        if (preflight.r !== 'ready') throw new Error(JSON.stringify(preflight));
        const value = new Secret(`Kt1-${crypto.randomUUID()}`);
        expect(await rotator.set(value, preflight.baseline)).toMatchObject({ r: 'applied' });
        await expect.poll(() => rotator.witness(value, preflight.baseline), minutes(2)).toBe('changed');
      }
    },
    600_000,
  );

  it.skipIf(cannot('SUBSCRIPTION', 'ACCOUNT'))(
    'renews both storage keys, and each opens the account',
    async () => {
      const { BlobServiceClient, StorageSharedKeyCredential } = await import('@azure/storage-blob');
      const rotator = azureStorage.rotator({
        target: target('azure-storage'),
        admin: undefined,
        account: { usernames: ['key1', 'key2'], host: undefined },
      });
      for (const slot of ['key2', 'key1']) {
        const value = async () => {
          const reading = await rotator.read();
          if (reading.r !== 'read') throw new Error(JSON.stringify(reading));
          return reading.slots.find(({ name }) => name === slot)?.value.reveal() ?? '';
        };
        const before = await value();
        expect(await rotator.renew(slot)).toEqual({ r: 'renewed' });
        await expect.poll(async () => (await value()) === before, minutes(1)).toBe(false);
        const credential = new StorageSharedKeyCredential(given.ACCOUNT, await value());
        const blobs = new BlobServiceClient(`https://${given.ACCOUNT}.blob.core.windows.net`, credential);
        const opens = () =>
          blobs.getProperties().then(
            () => true,
            () => false,
          );
        await expect.poll(opens, minutes(3)).toBe(true);
      }
    },
    600_000,
  );
});
