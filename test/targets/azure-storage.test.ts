/** Storage account keys: ARM through the real SDK, and the data plane of Azurite, which knows the keys of the double. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../src/secret.ts';
import { azureStorage as driver } from '../../src/targets/azure-storage.ts';
import type { SlotJob, SlotRotator } from '../../src/targets/slots.ts';
import { describeSlots, type SlotFixture } from '../conformance-slots.ts';
import { type Azurite, createAzurite } from '../servers/azure/azurite.ts';
import {
  type Application,
  addApplication,
  addSecret,
  addStorageAccount,
  newKey,
  type StorageAccount,
} from '../servers/azure/directory.ts';
import { type AzureDouble, startAzure } from '../servers/azure/server.ts';
import { trust } from '../servers/azure/trust.ts';
import { targetAt } from './azure-fixture.ts';

const operator = [
  'Microsoft.Storage/storageAccounts/listkeys/action',
  'Microsoft.Storage/storageAccounts/regeneratekey/action',
];
const reader = 'Microsoft.Storage/storageAccounts/read';

let shared: AzureDouble;
const loginOf = ({ secrets: [secret] }: Application) => ({
  username: '',
  password: new Secret(secret?.secretText ?? ''),
});
const storageOf = ({ target: { azure } }: SlotJob) => {
  if (!azure?.storage) throw new Error('no storage account');
  return { azure, storage: azure.storage };
};
const provide = async (actions: string[]): Promise<SlotJob> => {
  const operates = addApplication(shared.directory, 'operator', { actions });
  addSecret(operates, null);
  const { name, subscriptionId, resourceGroup } = addStorageAccount(
    shared.directory,
    `slots${shared.directory.accounts.length}`,
  );
  const storage = { subscriptionId, resourceGroup, name };
  return {
    target: targetAt(shared, { clientId: operates.appId, storage }),
    admin: loginOf(operates),
    account: { usernames: ['key1', 'key2'], host: undefined },
  };
};
const fixture: SlotFixture = {
  driver,
  can: { createdAt: true },
  faults: ['lose-reply', 'swallow-reply', 'lose-request', 'fail', 'throttle'],
  async start() {
    shared = await startAzure();
    trust(shared.caPem);
  },
  async stop() {
    expect(shared.violations).toEqual([]);
    await shared.stop();
  },
  account: () => provide([...operator, 'Microsoft.Authorization/permissions/read']),
  powerless: (may) => provide(may === 'read' ? operator.slice(0, 1) : []),
  at(job, port) {
    const origin = `https://localhost:${port}`;
    const endpoints = { login: origin, graph: origin, management: origin };
    return { ...job, target: { ...job.target, azure: { ...storageOf(job).azure, endpoints } } };
  },
  nobody(job) {
    const { azure, storage } = storageOf(job);
    return {
      ...job,
      target: { ...job.target, azure: { ...azure, storage: { ...storage, name: 'nobody' } } },
    };
  },
  noSlot: (job) => ({ ...job, account: { usernames: ['kerb1'], host: undefined } }),
  stranger: (job) => ({ ...job, admin: { username: '', password: new Secret('wrong') } }),
  async holds(job) {
    const { name } = storageOf(job).storage;
    const found = shared.directory.accounts.find((one) => one.name === name);
    return Object.fromEntries((found?.keys ?? []).map(({ keyName, value }) => [keyName, value]));
  },
  fault(fault) {
    let struck = 0;
    // longer than anybody waits, so that it is asked for once
    shared.arm('regenerateKey', fault === 'throttle' ? 'throttle-long' : fault, () => {
      struck += 1;
    });
    const from = shared.seen.length;
    return () =>
      struck +
      shared.seen.slice(from).filter((line) => line.startsWith('regenerateKey')).length -
      (fault === 'lose-reply' || fault === 'swallow-reply' ? 1 : 0);
  },
};

describeSlots('storage keys', fixture);

describe('the keys of a storage account', () => {
  let azure: AzureDouble;
  let azurite: Azurite;
  let admin: Application;
  let account: StorageAccount;
  let accounts = 0;
  beforeAll(async () => {
    azure = await startAzure();
    azurite = await createAzurite();
    trust(azure.caPem);
  });
  afterAll(async () => {
    await azurite?.stop();
    await azure?.stop();
  });
  beforeEach(() => {
    admin = addApplication(azure.directory, 'keyturn', { actions: operator });
    addSecret(admin, null);
    account = addStorageAccount(azure.directory, `shop${++accounts}`);
  });
  afterEach(() => {
    azure.renewed = async () => undefined;
    expect(azure.violations.splice(0)).toEqual([]);
  });

  const login = () => ({ username: '', password: new Secret(admin.secrets[0]?.secretText ?? '') });
  const rotatorOf = (
    slots: [string] | [string, string] = ['key1', 'key2'],
    resourceGroup: string = account.resourceGroup,
  ): SlotRotator =>
    driver.rotator({
      target: targetAt(azure, {
        clientId: admin.appId,
        storage: {
          subscriptionId: account.subscriptionId,
          resourceGroup: resourceGroup === 'by-name' ? undefined : resourceGroup,
          name: account.name,
        },
      }),
      admin: login(),
      account: { usernames: slots, host: undefined },
    });
  const read = async (rotator: SlotRotator): Promise<string[]> => {
    const reading = await rotator.read();
    if (reading.r !== 'read') throw new Error(JSON.stringify(reading));
    return reading.slots.map(({ value }) => value.reveal());
  };

  it('open the data plane before and after each is renewed, and the renewed one no longer does', async () => {
    azure.renewed = (renewed) => azurite.serve(renewed);
    await azurite.serve(account);
    const rotator = rotatorOf();
    const [one = '', two = ''] = await read(rotator);
    expect([await azurite.accepts(account.name, one), await azurite.accepts(account.name, two)]).toEqual([
      true,
      true,
    ]);
    expect(await rotator.renew('key1')).toEqual({ r: 'renewed' });
    const [first = '', same = ''] = await read(rotator);
    expect(same).toBe(two);
    const after = [one, first, two].map((key) => azurite.accepts(account.name, key));
    expect(await Promise.all(after)).toEqual([false, true, true]);
    expect(await rotator.renew('key2')).toEqual({ r: 'renewed' });
    const [, second = ''] = await read(rotator);
    expect(await azurite.accepts(account.name, second)).toBe(true);
    expect(await azurite.accepts(account.name, two)).toBe(false);
  });

  it('are found by the name of the account alone', async () => {
    expect(await rotatorOf(['key1'], 'by-name').read()).toMatchObject({
      r: 'refused',
      why: 'permission',
      hint: expect.stringContaining('Reader'),
    });
    admin.actions = [...operator, reader];
    const found = await rotatorOf(['key1'], 'by-name').read();
    expect(found).toMatchObject({ r: 'read', server: expect.stringContaining(account.resourceGroup) });
    const { name } = account;
    account.name = 'renamed';
    const gone = driver.rotator({
      target: targetAt(azure, {
        clientId: admin.appId,
        storage: { subscriptionId: account.subscriptionId, resourceGroup: undefined, name },
      }),
      admin: login(),
      account: { usernames: ['key1'], host: undefined },
    });
    expect(await gone.read()).toMatchObject({ r: 'refused', why: 'no-account' });
  });

  it('include those of Kerberos where they exist', async () => {
    expect(await rotatorOf(['kerb1', 'kerb2']).read()).toMatchObject({ r: 'refused', code: 'NO_SUCH_KEY' });
    account.keys.push(newKey('kerb1'), newKey('kerb2'));
    const rotator = rotatorOf(['kerb1', 'kerb2']);
    const [first] = await read(rotator);
    expect(await rotator.renew('kerb1')).toEqual({ r: 'renewed' });
    expect((await read(rotator))[0]).not.toBe(first);
  });

  it('are renewed once a call, whatever becomes of the answer', async () => {
    const rotator = rotatorOf();
    const [one] = await read(rotator);
    azure.arm('regenerateKey', 'lose-request');
    expect(await rotator.renew('key1')).toMatchObject({ r: 'ambiguous' });
    expect((await read(rotator))[0]).toBe(one);
    azure.arm('regenerateKey', 'lose-reply');
    expect(await rotator.renew('key1')).toMatchObject({ r: 'ambiguous' });
    expect((await read(rotator))[0]).not.toBe(one);
    azure.arm('regenerateKey', 'fail');
    expect(await rotator.renew('key1')).toMatchObject({ r: 'ambiguous' });
    const from = azure.seen.length;
    for (const fault of ['throttle', 'conflict'] as const) azure.arm('regenerateKey', fault);
    expect(await rotator.renew('key1')).toEqual({ r: 'renewed' });
    expect(azure.seen.slice(from)).toEqual([`regenerateKey by ${admin.appId}`]);
  });

  it('say which role is missing', async () => {
    admin.actions = operator.slice(0, 1);
    const rotator = rotatorOf();
    expect(await rotator.read()).toMatchObject({ r: 'read' });
    expect(await rotator.renew('key1')).toMatchObject({
      r: 'refused',
      why: 'permission',
      hint: expect.stringContaining('Storage Account Key Operator Service Role'),
    });
    expect(await rotatorOf(['key1'], 'elsewhere').read()).toMatchObject({ r: 'refused', why: 'no-account' });
  });
});
