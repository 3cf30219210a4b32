/** The double of Entra's token endpoint, by the recorded shape of its answers. */
import { createPublicKey, randomBytes, randomUUID, verify } from 'node:crypto';
import type { Application, Directory, User } from './directory.ts';
import { type Answer, type Asked, demand } from './exchange.ts';

/** What a token says and opens. */
export interface Grant {
  appId: string;
  audience: string;
  roles: string[];
  expires: number;
}

export type Grants = Map<string, Grant>;

const words: Record<number, string> = {
  7000215:
    'Invalid client secret provided. Ensure the secret being sent in the request is the client secret value',
  7000222: 'The provided client secret keys for app are expired.',
  700016: 'Application with identifier was not found in the directory.',
  700027:
    'The certificate with identifier used to sign the client assertion is not registered on application.',
  70021: 'No matching federated identity record found for presented assertion.',
  50126: 'Error validating credentials due to invalid username or password.',
  50053:
    'The account is locked, you have tried to sign in too many times with an incorrect user ID or password.',
  50055: 'The password is expired.',
  50034: 'The user account does not exist in the directory.',
  50076:
    'Due to a configuration change made by your administrator, you must use multi-factor authentication.',
  7000218: "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
};

const failure = (code: number, error = 'invalid_client', status = 401): Answer => ({
  status,
  body: {
    error,
    error_description: `AADSTS${code}: ${words[code] ?? 'Refused.'} Trace ID: ${randomUUID()} Correlation ID: ${randomUUID()}`,
    error_codes: [code],
    timestamp: new Date().toISOString().slice(0, 19).replace('T', ' ').concat('Z'),
    trace_id: randomUUID(),
    correlation_id: randomUUID(),
    error_uri: `https://login.microsoftonline.com/error?code=${code}`,
  },
});

/** `GET /{tenant}/v2.0/.well-known/openid-configuration` */
export const configuration = (origin: string, { tenantId }: Directory): Answer => ({
  status: 200,
  body: {
    token_endpoint: `${origin}/${tenantId}/oauth2/v2.0/token`,
    authorization_endpoint: `${origin}/${tenantId}/oauth2/v2.0/authorize`,
    device_authorization_endpoint: `${origin}/${tenantId}/oauth2/v2.0/devicecode`,
    end_session_endpoint: `${origin}/${tenantId}/oauth2/v2.0/logout`,
    jwks_uri: `${origin}/${tenantId}/discovery/v2.0/keys`,
    issuer: `${origin}/${tenantId}/v2.0`,
    response_types_supported: ['code', 'id_token'],
    token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt'],
    tenant_region_scope: 'EU',
    cloud_instance_name: 'microsoftonline.com',
  },
});

/** `POST /{tenant}/oauth2/v2.0/token` */
export function token(asked: Asked, origin: string, directory: Directory, grants: Grants): Answer {
  demand(
    String(asked.headers['content-type'] ?? '').startsWith('application/x-www-form-urlencoded'),
    'a token request is a form',
  );
  const form = new URLSearchParams(asked.body.toString());
  const scope = form.get('scope') ?? '';
  const application = directory.applications.find(({ appId }) => appId === form.get('client_id'));
  if (!application) return failure(700016, 'unauthorized_client', 400);
  switch (form.get('grant_type')) {
    case 'client_credentials': {
      demand(/^https:\/\/[^/ ]+\/+\.default$/.test(scope.split(' ')[0] ?? ''), `the scope is ${scope}`);
      const refused = form.has('client_assertion')
        ? assertionProblem(form, origin, directory, application)
        : secretProblem(form.get('client_secret'), application);
      if (refused !== null) return failure(refused);
      return granted(application, (scope.split(' ')[0] ?? '').replace(/\/\.default$/, ''), directory, grants);
    }
    case 'password': {
      if (!application.publicClient) return failure(7000218, 'invalid_client');
      const user = directory.users.find((one) => one.userPrincipalName === form.get('username'));
      const refused = passwordProblem(user, form.get('password') ?? '');
      if (refused !== null)
        return failure(refused, refused === 50076 ? 'interaction_required' : 'invalid_grant', 400);
      return granted(application, 'https://graph.microsoft.com', directory, grants, user);
    }
    default:
      return failure(70003, 'unsupported_grant_type', 400);
  }
}

function secretProblem(given: string | null, application: Application): number | null {
  const secret = application.secrets.find(({ secretText }) => secretText === given);
  if (!secret || secret.refusals.shift() === true) return 7000215;
  return Date.parse(secret.endDateTime) < Date.now() ? 7000222 : null;
}

function assertionProblem(
  form: URLSearchParams,
  origin: string,
  directory: Directory,
  application: Application,
): number | null {
  demand(
    form.get('client_assertion_type') === 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    'a client assertion without its type',
  );
  const [head = '', payload = '', signature = ''] = (form.get('client_assertion') ?? '').split('.');
  const read = (part: string) =>
    JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;
  const claims = read(payload);
  if (claims.iss === 'https://token.actions.githubusercontent.com')
    return claims.aud === 'api://AzureADTokenExchange' && application.subjects.includes(String(claims.sub))
      ? null
      : 70021;
  demand(
    claims.aud === `${origin}/${directory.tenantId}/oauth2/v2.0/token`,
    `an assertion for ${claims.aud}`,
  );
  const { alg, x5t, 'x5t#S256': _ } = read(head);
  const known = application.certificates.find(({ thumbprint }) => thumbprint === x5t || x5t === undefined);
  if (!known) return 700027;
  const key = createPublicKey(known.pem);
  const padded = alg === 'PS256' ? { key, padding: 6, saltLength: 32 } : { key };
  const holds = verify(
    'sha256',
    Buffer.from(`${head}.${payload}`),
    padded,
    Buffer.from(signature, 'base64url'),
  );
  return holds ? null : 700027;
}

const passwordProblem = (user: User | undefined, given: string): number | null => {
  if (!user) return 50034;
  if (user.password !== given) return 50126;
  if (user.afterPassword !== null) return user.afterPassword;
  return user.forceChange ? 50055 : null;
};

function granted(
  { appId, id, roles }: Application,
  audience: string,
  { tenantId }: Directory,
  grants: Grants,
  user?: User,
): Answer {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const expires = Math.floor(Date.now() / 1000) + 3599;
  const claims = {
    aud: audience,
    iss: `https://sts.windows.net/${tenantId}/`,
    exp: expires,
    appid: appId,
    oid: user?.id ?? id,
    tid: tenantId,
    ...(user ? { upn: user.userPrincipalName, scp: 'User.Read' } : { roles }),
  };
  const accessToken = `${part({ typ: 'JWT', alg: 'none' })}.${part(claims)}.${randomBytes(16).toString('base64url')}`;
  grants.set(accessToken, { appId, audience, roles: user ? [] : [...roles], expires: expires * 1000 });
  return {
    status: 200,
    body: {
      token_type: 'Bearer',
      expires_in: 3599,
      ext_expires_in: 3599,
      access_token: accessToken,
      ...(user
        ? {
            scope: 'User.Read',
            id_token: `${part({ typ: 'JWT', alg: 'none' })}.${part({ ...claims, sub: user.id, preferred_username: user.userPrincipalName })}.x`,
            client_info: part({ uid: user.id, utid: tenantId }),
          }
        : {}),
    },
    headers: { 'cache-control': 'no-store, no-cache', pragma: 'no-cache' },
  };
}
