/** How a job logs in to Entra. `@azure/identity` is loaded with the first login; tokens stay in memory. */
import { readFile } from 'node:fs/promises';
import type { TokenCredential } from '@azure/identity';
import type { Credentials, Target } from '../driver.ts';
import { type Api, azureOf, scopeOf } from './account.ts';
import { LoginFailed } from './classify.ts';

/** As whom: the application itself with its own secret, or as the target says. */
export interface LoginOf {
  target: Target;
  /** `{ appId, secret }` of an application that acts for itself. */
  own: { username: string; password: Credentials['password'] } | undefined;
  admin: Credentials | undefined;
}

const wellKnown = ['login.microsoftonline.com', 'login.microsoftonline.us', 'login.chinacloudapi.cn'];

/** What every credential is made with: one try each, because the engine decides about another. */
export function optionsOf(target: Target) {
  const { endpoints } = azureOf(target);
  return {
    authorityHost: endpoints.login,
    ...(wellKnown.includes(new URL(endpoints.login).host) ? {} : { disableInstanceDiscovery: true }),
    retryOptions: { maxRetries: 1 },
    loggingOptions: { allowLoggingAccountIdentifiers: false },
  };
}

/** Rejects with `LoginFailed` alone. */
export async function tokenOf(credential: TokenCredential, target: Target, api: Api): Promise<string> {
  try {
    const { token } =
      (await credential.getToken(scopeOf(target, api), {
        abortSignal: AbortSignal.timeout(target.timeout),
      })) ?? {};
    if (token) return token;
  } catch (error) {
    throw new LoginFailed(error);
  }
  throw new LoginFailed(undefined);
}

export async function credentialOf({ target, own, admin }: LoginOf): Promise<TokenCredential> {
  const identity = await import('@azure/identity').catch((error: unknown) => {
    throw new LoginFailed(error);
  });
  const { tenantId, clientId = '', login } = azureOf(target);
  const options = optionsOf(target);
  if (own) return new identity.ClientSecretCredential(tenantId, own.username, own.password.reveal(), options);
  switch (login.how) {
    case 'secret':
      return new identity.ClientSecretCredential(tenantId, clientId, admin?.password.reveal() ?? '', options);
    case 'certificate': {
      const certificate = admin?.password.reveal() ?? '';
      if (!certificate.includes('-----BEGIN CERTIFICATE-----')) throw nothing();
      return new identity.ClientCertificateCredential(tenantId, clientId, { certificate }, options);
    }
    case 'github':
      if (!process.env.ACTIONS_ID_TOKEN_REQUEST_URL) throw nothing();
      return new identity.ClientAssertionCredential(tenantId, clientId, githubToken, options);
    case 'token-file':
      if (!process.env.AZURE_FEDERATED_TOKEN_FILE) throw nothing();
      return new identity.ClientAssertionCredential(tenantId, clientId, federatedToken, options);
    case 'managed-identity':
      return new identity.ManagedIdentityCredential({ ...options, ...(clientId === '' ? {} : { clientId }) });
    case 'environment':
      return new identity.DefaultAzureCredential({
        ...options,
        tenantId,
        ...(clientId === '' ? {} : { managedIdentityClientId: clientId, workloadIdentityClientId: clientId }),
      });
  }
}

/** What this way to log in takes is not there. */
const nothing = (): LoginFailed =>
  new LoginFailed(Object.assign(new Error(), { name: 'CredentialUnavailableError' }));

/** What another issuer says of this process, at the place that workload identity names: never one of a manifest. */
async function federatedToken(): Promise<string> {
  const { AZURE_FEDERATED_TOKEN_FILE: path = '' } = process.env;
  return (await readFile(path, 'utf8')).trim();
}

/** What GitHub says of this job, for Entra's token exchange. */
async function githubToken(): Promise<string> {
  const { ACTIONS_ID_TOKEN_REQUEST_URL: url, ACTIONS_ID_TOKEN_REQUEST_TOKEN: bearer } = process.env;
  const answer = await fetch(`${url}&audience=${encodeURIComponent('api://AzureADTokenExchange')}`, {
    headers: { authorization: `bearer ${bearer}`, accept: 'application/json' },
    signal: AbortSignal.timeout(10_000),
  });
  const { value } = (await answer.json()) as { value?: string };
  if (!answer.ok || !value) throw new Error('GitHub gave no token');
  return value;
}

/** What a token of Entra says of its bearer. Read for identity and hints, never for trust. */
export function claimsOf(token: string): {
  appid?: string;
  azp?: string;
  tid?: string;
  upn?: string;
  oid?: string;
  roles?: string[];
} {
  try {
    return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) ?? {};
  } catch {
    return {};
  }
}
