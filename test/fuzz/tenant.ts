/** Every question that the engine asks of a tenant. */
import { Secret } from '../../src/secret.ts';
import type { Target } from '../../src/targets/driver.ts';
import { driverOf } from '../../src/targets/registry.ts';
import { asking } from '../conformance-issued.ts';
import {
  type Application,
  addApplication,
  addSecret,
  addStorageAccount,
  addUser,
  type StorageAccount,
  type User,
} from '../servers/azure/directory.ts';
import type { AzureDouble } from '../servers/azure/server.ts';
import { targetAt } from '../targets/azure-fixture.ts';

const timeout = 800;

/** With all the patience for a target that says it did nothing, and a machine that has other things to do. */
async function inTime<T>(what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} does not end`)), 20_000);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

export interface Tenant {
  azure: Pick<AzureDouble, 'origin' | 'directory'>;
  /** Where each API is, if not at the tenant itself. */
  endpoints?: Partial<Record<'login' | 'graph' | 'management', string>>;
  admin: Application;
  app: Application;
  user: User;
  account: StorageAccount;
  /** The manifest leaves the resource group of `account` out. */
  groupless?: boolean;
}

/** Every question that the engine asks of a tenant; the values that came with the answers are kept apart. */
export async function interrogate({ azure, endpoints = {}, admin, app, user, account, groupless }: Tenant) {
  const at = { login: azure.origin, graph: azure.origin, management: azure.origin, ...endpoints };
  const { subscriptionId, name } = account;
  const resourceGroup = groupless ? undefined : account.resourceGroup;
  const target = (storage = false): Target => ({
    ...targetAt(azure, {
      clientId: admin.appId,
      publicClientId: admin.appId,
      endpoints: at,
      ...(storage ? { storage: { subscriptionId, resourceGroup, name } } : {}),
    }),
    timeout,
  });
  const login = new Secret(admin.secrets[0]?.secretText ?? 'a-login-of-nobody');
  const credentials = { username: admin.appId, password: login };
  const [applications, users, storage] = [
    await driverOf('azure'),
    await driverOf('azure', 'password'),
    await driverOf('azure-storage'),
  ];
  if (applications.machine !== 'issued' || users.machine !== 'chosen' || storage.machine !== 'slots')
    throw new Error('not the drivers of Azure');
  const issued = applications.rotator({
    target: target(),
    username: app.appId,
    actor: 'target',
    admin: credentials,
    login: undefined,
  });
  const chosen = users.rotator({
    target: target(),
    username: user.userPrincipalName,
    host: undefined,
    account: { usernames: [user.userPrincipalName], host: undefined },
    actor: 'target',
    admin: credentials,
    current: undefined,
    retain: false,
    login: 'ropc',
    mark: { uid: '01KTFUZZ', version: 2 },
  });
  const slots = storage.rotator({
    target: target(true),
    admin: credentials,
    account: { usernames: ['key1', 'key2'], host: undefined },
  });
  const wrong = new Secret('of-nobody-at-all-0');
  const baseline = { changed: user.lastPasswordChangeDateTime };
  const answers = {
    preflight: await inTime('preflight', issued.preflight()),
    issue: await inTime('issue', issued.issue(asking)),
    denied: await inTime('verify', issued.verify({ handle: crypto.randomUUID(), value: wrong })),
    witness: await inTime('witness', chosen.witness(wrong, baseline)),
    userPreflight: await inTime('preflight of a user', chosen.preflight()),
    probe: await inTime('probe', chosen.probe(wrong)),
    set: await inTime('set', chosen.set(new Secret('never-seen-before-1'), baseline)),
    read: await inTime('read', slots.read()),
    renew: await inTime('renew', slots.renew('key1')),
  };
  const verified =
    answers.issue.r === 'issued' ? await inTime('verify', issued.verify(answers.issue.issued)) : null;
  const removed = await inTime('remove', issued.remove(crypto.randomUUID()));
  for (const rotator of [issued, chosen, slots]) await rotator.close();
  const { witness, ...all } = answers;
  const words = [...Object.values(all), removed, ...(verified ? [verified] : [])].flatMap((answer) =>
    'detail' in answer ? [answer.code, answer.detail, 'hint' in answer ? answer.hint : ''] : [],
  );
  return { ...answers, verified, words };
}
export type Said = Awaited<ReturnType<typeof interrogate>>;

/** Everything that is rotated, each for itself. */
export function tenantOf(azure: AzureDouble): Tenant {
  const { directory } = azure;
  const admin = addApplication(directory, 'keyturn', {
    roles: ['Application.ReadWrite.OwnedBy', 'User.Read.All', 'User-PasswordProfile.ReadWrite.All'],
    actions: [
      'Microsoft.Storage/storageAccounts/read',
      'Microsoft.Storage/storageAccounts/listkeys/action',
      'Microsoft.Storage/storageAccounts/regeneratekey/action',
    ],
    publicClient: true,
  });
  addSecret(admin, null);
  const app = addApplication(directory, 'shop', { owners: [admin.appId] });
  const user = addUser(directory, `${crypto.randomUUID()}@example.org`);
  const account = addStorageAccount(directory, `fuzz${directory.accounts.length}`);
  return { azure, admin, app, user, account };
}
