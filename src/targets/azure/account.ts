/** Which tenant, which endpoints: what a manifest says of Azure, and what its clouds add. */
import type { AzureTarget } from '../../manifests/model.ts';
import type { Binding } from '../../state/model.ts';
import type { Target } from '../driver.ts';

export function azureOf(target: Target): AzureTarget {
  if (target.azure) return target.azure;
  throw new Error(`${target.name} is no Azure target`);
}

export type Api = 'graph' | 'management';

/** Whom tokens are for: by the cloud alone, wherever its endpoints are reached. */
const audiences: Record<AzureTarget['cloud'], Record<Api, string>> = {
  public: { graph: 'https://graph.microsoft.com', management: 'https://management.azure.com' },
  usgov: { graph: 'https://graph.microsoft.us', management: 'https://management.usgovcloudapi.net' },
  china: {
    graph: 'https://microsoftgraph.chinacloudapi.cn',
    management: 'https://management.chinacloudapi.cn',
  },
};

export const scopeOf = (target: Target, api: Api): string =>
  `${audiences[azureOf(target).cloud][api]}/.default`;

/** Every place that a secret of the tenant, or a token got with one, is sent to. */
const places = ({ endpoints }: AzureTarget): string =>
  [endpoints.login, endpoints.graph, endpoints.management].map((url) => new URL(url).host).join('|');

export const bindingOf = (type: Binding['type'], target: Target, account: string): Binding => ({
  type,
  host: places(azureOf(target)),
  port: target.port,
  account: `${azureOf(target).tenantId}/${account}`,
  tls: 'system',
});
