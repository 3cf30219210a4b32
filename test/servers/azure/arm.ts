/** The double of ARM's storage resource provider. */
import { type Directory, newKey, type StorageAccount } from './directory.ts';
import type { Grant } from './entra.ts';
import { type Answer, type Asked, demand, jsonOf, keysOf } from './exchange.ts';

/** What arm-storage 21 speaks, and what its permissions are asked with. */
const versions: Record<string, string> = {
  listAccounts: '2026-09-01',
  listKeys: '2026-09-01',
  regenerateKey: '2026-09-01',
  permissions: '2022-04-01',
};

const place = String.raw`/subscriptions/([0-9a-f-]{36})/resourceGroups/([^/]+)/providers/Microsoft\.Storage/storageAccounts/([a-z0-9]{3,24})`;

export function operationOf({ method, path }: Asked): string | undefined {
  if (
    method === 'GET' &&
    /^\/subscriptions\/[^/]+\/providers\/Microsoft\.Storage\/storageAccounts$/.test(path)
  )
    return 'listAccounts';
  const [, , , , rest] = new RegExp(`^${place}/(.+)$`).exec(path) ?? [];
  if (method === 'POST' && (rest === 'listKeys' || rest === 'regenerateKey')) return rest;
  if (method === 'GET' && rest === 'providers/Microsoft.Authorization/permissions') return 'permissions';
  return undefined;
}

export const armError = (status: number, code: string, message: string): Answer => ({
  status,
  body: { error: { code, message } },
});

const needs: Record<string, string> = {
  listAccounts: 'Microsoft.Storage/storageAccounts/read',
  listKeys: 'Microsoft.Storage/storageAccounts/listkeys/action',
  regenerateKey: 'Microsoft.Storage/storageAccounts/regeneratekey/action',
  permissions: 'Microsoft.Authorization/permissions/read',
};

export async function arm(
  asked: Asked,
  operation: string,
  grant: Grant,
  directory: Directory,
  renewed: (account: StorageAccount) => Promise<void>,
): Promise<Answer> {
  const version = asked.query.get('api-version');
  demand(version === versions[operation], `api-version of ${operation} is ${version}`);
  const actor = directory.applications.find(({ appId }) => appId === grant.appId);
  const need = needs[operation] ?? '';
  if (!actor?.actions.includes(need))
    return armError(
      403,
      'AuthorizationFailed',
      `The client '${grant.appId}' does not have authorization to perform action '${need}' over scope '${asked.path}'.`,
    );
  if (operation === 'listAccounts') {
    const [, , subscriptionId] = asked.path.split('/');
    const value = directory.accounts
      .filter((one) => one.subscriptionId === subscriptionId)
      .map((one) => ({
        id: idOf(one),
        name: one.name,
        type: 'Microsoft.Storage/storageAccounts',
        location: 'westeurope',
      }));
    return { status: 200, body: { value } };
  }
  const [, subscriptionId, resourceGroup, name] = new RegExp(`^${place}/`).exec(asked.path) ?? [];
  const account = directory.accounts.find(
    (one) =>
      one.subscriptionId === subscriptionId &&
      one.name === name &&
      one.resourceGroup.toLowerCase() === resourceGroup?.toLowerCase(),
  );
  if (!account)
    return armError(
      404,
      'ResourceNotFound',
      `The Resource 'Microsoft.Storage/storageAccounts/${name}' was not found.`,
    );
  switch (operation) {
    case 'permissions':
      return { status: 200, body: { value: [{ actions: actor.actions, notActions: [] }] } };
    case 'listKeys': {
      demand(asked.body.length === 0, 'listKeys with a body');
      const expand = asked.query.get('$expand');
      demand(expand === null || expand === 'kerb', `$expand is ${expand}`);
      return { status: 200, body: keysShown(account, expand === 'kerb') };
    }
    default: {
      const { keyName } = keysOf(jsonOf(asked), ['keyName'], 'the body');
      const at = account.keys.findIndex((key) => key.keyName === keyName);
      if (at < 0) return armError(400, 'KeyNotFound', `The key '${keyName}' does not exist.`);
      account.keys[at] = newKey(String(keyName));
      await renewed(account);
      return { status: 200, body: keysShown(account, String(keyName).startsWith('kerb')) };
    }
  }
}

const idOf = ({ subscriptionId, resourceGroup, name }: StorageAccount): string =>
  `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}/providers/Microsoft.Storage/storageAccounts/${name}`;

const keysShown = (account: StorageAccount, kerberos: boolean) => ({
  keys: account.keys
    .filter(({ keyName }) => kerberos || !keyName.startsWith('kerb'))
    .map(({ creationTime, keyName, value }) => ({ creationTime, keyName, value, permissions: 'FULL' })),
});
