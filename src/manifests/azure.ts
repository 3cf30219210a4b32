/** What is written of Azure -> model: tenants, clouds, and who is rotated there. */
import type { Account, AzureTarget, KeyPolicy, Login, Target } from './model.ts';
import type { WrittenSecret, WrittenTarget } from './written.ts';

type Spec = WrittenTarget['spec'];

const clouds: Record<AzureTarget['cloud'], AzureTarget['endpoints']> = {
  public: {
    login: 'https://login.microsoftonline.com',
    graph: 'https://graph.microsoft.com',
    management: 'https://management.azure.com',
  },
  usgov: {
    login: 'https://login.microsoftonline.us',
    graph: 'https://graph.microsoft.us',
    management: 'https://management.usgovcloudapi.net',
  },
  china: {
    login: 'https://login.chinacloudapi.cn',
    graph: 'https://microsoftgraph.chinacloudapi.cn',
    management: 'https://management.chinacloudapi.cn',
  },
};

export const isAzure = (type: Target['type'] | undefined): boolean =>
  type === 'azure' || type === 'azure-storage';

/** What a target of either type has beside every other's. */
export function toAzure(spec: Spec): { host: string; port: number; azure: AzureTarget } {
  const { tenantId = '', cloud = 'public', credentials } = spec;
  const endpoints = { ...clouds[cloud] };
  for (const api of ['login', 'graph', 'management'] as const) {
    const given = spec.endpoints?.[api];
    if (given !== undefined) endpoints[api] = given.replace(/\/$/, '');
  }
  const { hostname, port } = new URL(endpoints.login);
  const clientId = credentials?.clientId?.toLowerCase();
  return {
    host: hostname,
    port: Number(port || 443),
    azure: {
      tenantId: tenantId.toLowerCase(),
      clientId,
      login: { how: howOf(credentials) },
      cloud,
      endpoints,
      publicClientId: spec.publicClientId?.toLowerCase() ?? clientId,
      storage:
        spec.type === 'azure-storage'
          ? {
              subscriptionId: spec.subscriptionId?.toLowerCase() ?? '',
              resourceGroup: spec.resourceGroup,
              name: spec.account ?? '',
            }
          : undefined,
    },
  };
}

function howOf(credentials: Spec['credentials']): AzureTarget['login']['how'] {
  if (credentials === undefined) return 'environment';
  if (credentials.certificate !== undefined) return 'certificate';
  if (credentials.federated !== undefined)
    return credentials.federated === 'github' ? 'github' : 'token-file';
  return credentials.managedIdentity === true ? 'managed-identity' : 'secret';
}

/** Of a login that takes a value: the application's id and its secret, or its certificate with the key. */
export function toAzureLogin(credentials: Spec['credentials']): Login | undefined {
  const password = credentials?.clientSecret ?? credentials?.certificate;
  return password && { username: credentials?.clientId?.toLowerCase() ?? '', password };
}

/** An application by its id, a user by name, a key by its name; two keys that take turns where it is graceful. */
export function toAzureAccount({ spec }: WrittenSecret, target: Target): Account {
  const { account, graceful } = spec;
  const written = account?.appId?.toLowerCase() ?? account?.username;
  if (target.type === 'azure')
    return { usernames: [written ?? target.credentials?.username ?? ''], host: undefined };
  const key = account?.keyName ?? 'key1';
  return { usernames: graceful === true ? [key, twins[key] ?? ''] : [key], host: undefined };
}

const twins: Record<string, string> = { key1: 'key2', key2: 'key1', kerb1: 'kerb2', kerb2: 'kerb1' };

/** A client secret is there or removed: nothing of it is switched off, and Entra tells of no use. */
export const clientSecrets = (graceful: boolean): KeyPolicy => ({
  graceful,
  exclusive: false,
  deleteAfter: 0,
  stillInUseWindow: 0,
  stillInUse: 'warn',
  form: 'clientSecret',
});
