import { bindingOf } from './azure/account.ts';
import { missingForKeys } from './azure/permissions.ts';
import { StorageKeys, storageOf } from './azure/storage.ts';
import type { SlotDriver } from './slots.ts';

/** Access keys of storage accounts (protocol §4.4). */
export const azureStorage: SlotDriver = {
  machine: 'slots',
  type: 'azure-storage',
  binding: (target, { usernames }) =>
    bindingOf('azure-storage', target, `${storageOf({ target }).name}/${usernames.join('|')}`),
  // a secret of an application logs in at the tenant, whatever is done with it there
  login: (target, { usernames }) => bindingOf('azure', target, usernames[0]),
  describe: (target, slot) => ({ accountName: storageOf({ target }).name, keyName: slot }),
  rotator: (job) => new StorageKeys(job),
  leastPrivileges: (target) =>
    `the role Storage Account Key Operator Service Role on storage account ${storageOf({ target }).name}, and Reader where resourceGroup is left out`,
  async missingPrivileges(job) {
    const group = await new StorageKeys(job).resourceGroup();
    return group === undefined ? { missing: [], unknown: [] } : missingForKeys(job, group);
  },
};
