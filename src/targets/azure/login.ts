/** How a job logs in to Entra. `@azure/identity` is loaded with the first login; tokens stay in memory. */
import { readFile } from 'node:fs/promises';
import type { TokenCredential } from '@azure/identity';
import type { Credentials, Target } from '../driver.ts';
import { type Api, azureOf, scopeOf } from './account.ts';
import { LoginFailed } from './classify.ts';
import { within } from './within.ts';

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

/** Rejects with `LoginFailed` alone, when the target's timeout is over at the latest. */
export async function tokenOf(credential: TokenCredential, target: Target, api: Api): Promise<string> {
  try {
    const { token } =
      (await within(target.timeout, (abortSignal) =>
        credential.getToken(scopeOf(target, api), { abortSignal }),
      )) ?? {};
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

const claims = ['appid', 'azp', 'tid', 'upn', 'oid'] as const;
type Claims = Partial<Record<(typeof claims)[number], string>> & { roles?: string[] };

/**
 * What a token of Entra says of its bearer. Read for identity and hints, never for trust. A claim that is no plain word
 * is an empty one, which is nobody's.
 */
export function claimsOf(token: string): Claims {
  try {
    const said = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) ?? {};
    const found: Claims = {};
    for (const claim of claims) if (said[claim] !== undefined) found[claim] = plain(said[claim]);
    if (Array.isArray(said.roles)) found.roles = said.roles.map(plain);
    return found;
  } catch {
    return {};
  }
}

const plain = (value: unknown): string =>
  typeof value === 'string' && /^[\x21-\x7e]{1,256}$/.test(value) ? value : '';
