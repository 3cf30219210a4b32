import type { AzureTarget } from '../../src/manifests/model.ts';
import type { Target } from '../../src/targets/driver.ts';
import type { AzureDouble } from '../servers/azure/server.ts';

/** A target as `defaults.ts` makes one, at the double. */
export function targetAt(
  azure: Pick<AzureDouble, 'origin' | 'directory'>,
  more: Partial<AzureTarget> = {},
): Target {
  const { origin } = azure;
  return {
    name: 'azure',
    type: more.storage ? 'azure-storage' : 'azure',
    host: 'localhost',
    port: Number(new URL(origin).port),
    verifyHost: undefined,
    database: undefined,
    tls: { mode: 'verify', ca: undefined, caFile: undefined, serverName: undefined },
    credentials: undefined,
    azure: {
      tenantId: azure.directory.tenantId,
      clientId: undefined,
      login: { how: 'secret' },
      cloud: 'public',
      endpoints: { login: origin, graph: origin, management: origin },
      publicClientId: undefined,
      storage: undefined,
      ...more,
    },
    concurrency: 1,
    timeout: 3_000,
    source: { file: 'manifests/azure.yaml', line: 1, column: 1 },
  };
}
