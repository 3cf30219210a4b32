/** The double of Microsoft Graph v1.0, as far as the recorded traffic goes: strict about what it is sent. */
import { randomUUID } from 'node:crypto';
import { type Application, addSecret, type Directory, seconds, type User } from './directory.ts';
import type { Grant } from './entra.ts';
import { type Answer, type Asked, demand, jsonOf, keysOf } from './exchange.ts';

/** How new secrets of the directory behave. */
export interface Lag {
  /** How the first token requests with a new secret end: `true` is refused. */
  refusals: boolean[];
  /** Reads that do not show a new secret yet. */
  hidden: number;
  /** Reads of a user that still show the former time of change. */
  stale: number;
}

export const graphError = (status: number, code: string, message: string): Answer => {
  const id = randomUUID();
  return {
    status,
    body: {
      error: {
        code,
        message,
        innerError: {
          date: new Date().toISOString().slice(0, 19),
          'request-id': id,
          'client-request-id': id,
        },
      },
    },
  };
};

const denied = graphError(
  403,
  'Authorization_RequestDenied',
  'Insufficient privileges to complete the operation.',
);
const absent = (id: string): Answer =>
  graphError(
    404,
    'Request_ResourceNotFound',
    `Resource '${id}' does not exist or one of its queried reference-property objects are not present.`,
  );

const context = 'https://graph.microsoft.com/v1.0/$metadata#';

/** The operation of a request, for faults and for the list of what was seen; undefined where there is none. */
export function operationOf({ method, path }: Asked): string | undefined {
  const at = `${method} ${path.replace(/^\/v1\.0/, '')}`;
  if (/^GET \/applications$/.test(at)) return 'findApplication';
  if (/^GET \/applications\/[^/]+$/.test(at)) return 'getApplication';
  if (/^POST \/applications\/[^/]+\/addPassword$/.test(at)) return 'addPassword';
  if (/^POST \/applications\/[^/]+\/removePassword$/.test(at)) return 'removePassword';
  if (/^GET \/users\/[^/]+$/.test(at)) return 'getUser';
  if (/^PATCH \/users\/[^/]+$/.test(at)) return 'patchUser';
  return undefined;
}

export function graph(asked: Asked, operation: string, grant: Grant, directory: Directory, lag: Lag): Answer {
  demand(asked.path.startsWith('/v1.0/'), `${asked.path} is not of v1.0`);
  const id = decodeURIComponent(asked.path.split('/')[3] ?? '');
  if (operation === 'getUser' || operation === 'patchUser')
    return users(asked, operation, id, grant, directory, lag);
  if (operation === 'findApplication') return find(asked, grant, directory);
  const application = directory.applications.find((one) => one.id === id);
  if (!application) return absent(id);
  if (!mayManage(application, grant)) return denied;
  switch (operation) {
    case 'getApplication':
      demand(asked.body.length === 0, 'a GET with a body');
      return {
        status: 200,
        body: {
          '@odata.context': `${context}applications/$entity`,
          ...shown(application, asked.query, true),
        },
      };
    case 'addPassword':
      return addPassword(asked, application, lag);
    default:
      return removePassword(asked, application);
  }
}

const mayManage = (application: Application, { appId, roles }: Grant): boolean =>
  roles.includes('Application.ReadWrite.All') ||
  (roles.includes('Application.ReadWrite.OwnedBy') &&
    (application.appId === appId || application.owners.includes(appId)));

const properties = (application: Application): Record<string, unknown> => ({
  id: application.id,
  appId: application.appId,
  displayName: application.displayName,
  passwordCredentials: application.secrets
    .filter((secret) => secret.hiddenFor <= 0)
    .map(({ displayName, endDateTime, keyId, secretText, startDateTime }) => ({
      customKeyIdentifier: null,
      displayName,
      endDateTime,
      hint: secretText.slice(0, 3),
      keyId,
      secretText: null,
      startDateTime,
    })),
});

function shown(application: Application, query: URLSearchParams, ages: boolean): Record<string, unknown> {
  const all = properties(application);
  if (ages) for (const secret of application.secrets) secret.hiddenFor -= 1;
  const wanted = query.get('$select')?.split(',') ?? Object.keys(all);
  demand(
    wanted.every((name) => name in all),
    `$select names ${wanted}`,
  );
  return Object.fromEntries(wanted.map((name) => [name, all[name]]));
}

function find({ query }: Asked, grant: Grant, directory: Directory): Answer {
  const [, appId] = /^appId eq '([0-9a-f-]{36})'$/.exec(query.get('$filter') ?? '') ?? [];
  demand(appId !== undefined, `$filter is ${query.get('$filter')}`);
  const readable = ['Application.ReadWrite.OwnedBy', 'Application.ReadWrite.All', 'Application.Read.All'];
  if (!grant.roles.some((role) => readable.includes(role))) return denied;
  const value = directory.applications
    .filter((one) => one.appId === appId)
    .map((application) => shown(application, query, true));
  return { status: 200, body: { '@odata.context': `${context}applications`, value } };
}

function addPassword(asked: Asked, application: Application, lag: Lag): Answer {
  const { passwordCredential } = keysOf(jsonOf(asked), ['passwordCredential'], 'the body');
  const { displayName, endDateTime } = keysOf(
    passwordCredential,
    ['displayName', 'endDateTime'],
    'passwordCredential',
  );
  demand(typeof displayName === 'string' && displayName.length <= 120, 'displayName is not short');
  demand(
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(String(endDateTime)),
    `endDateTime is ${endDateTime}`,
  );
  const secret = addSecret(application, displayName, {
    endDateTime: String(endDateTime),
    refusals: [...lag.refusals],
    hiddenFor: lag.hidden,
  });
  return {
    status: 200,
    body: {
      '@odata.context': `${context}microsoft.graph.passwordCredential`,
      customKeyIdentifier: null,
      displayName,
      endDateTime,
      hint: secret.secretText.slice(0, 3),
      keyId: secret.keyId,
      secretText: secret.secretText,
      startDateTime: secret.startDateTime,
    },
  };
}

function removePassword(asked: Asked, application: Application): Answer {
  const { keyId } = keysOf(jsonOf(asked), ['keyId'], 'the body');
  const at = application.secrets.findIndex((secret) => secret.keyId === keyId);
  if (at < 0) return graphError(400, 'Request_BadRequest', 'No password credential found with keyId.');
  application.secrets.splice(at, 1);
  return { status: 204 };
}

function users(
  asked: Asked,
  operation: 'getUser' | 'patchUser',
  id: string,
  { roles }: Grant,
  directory: Directory,
  lag: Lag,
): Answer {
  const user = directory.users.find((one) => one.id === id || one.userPrincipalName === id);
  const may = (...names: string[]) => roles.some((role) => names.includes(role));
  if (operation === 'getUser') {
    if (!may('User.Read.All', 'User.ReadWrite.All', 'Directory.Read.All')) return denied;
    if (!user) return absent(id);
    return { status: 200, body: { '@odata.context': `${context}users/$entity`, ...seen(user, asked.query) } };
  }
  const { passwordProfile } = keysOf(jsonOf(asked), ['passwordProfile'], 'the body');
  const { password, forceChangePasswordNextSignIn } = keysOf(
    passwordProfile,
    ['forceChangePasswordNextSignIn', 'password'],
    'passwordProfile',
  );
  demand(
    typeof password === 'string' && typeof forceChangePasswordNextSignIn === 'boolean',
    'passwordProfile',
  );
  if (!may('User-PasswordProfile.ReadWrite.All', 'User.ReadWrite.All')) return denied;
  if (!user) return absent(id);
  if (password.length < 8 || password.length > 256)
    return graphError(
      400,
      'Request_BadRequest',
      'The specified password does not comply with password complexity requirements. Please provide a different password.',
    );
  user.formerChange = user.lastPasswordChangeDateTime;
  user.staleFor = lag.stale;
  user.password = password;
  user.forceChange = forceChangePasswordNextSignIn;
  user.lastPasswordChangeDateTime = seconds(new Date());
  return { status: 204 };
}

function seen(user: User, query: URLSearchParams): Record<string, unknown> {
  const { id, userPrincipalName, onPremisesSyncEnabled, accountEnabled, lastPasswordChangeDateTime } = user;
  const stale = user.staleFor > 0;
  user.staleFor -= 1;
  const all: Record<string, unknown> = {
    id,
    userPrincipalName,
    onPremisesSyncEnabled,
    accountEnabled,
    lastPasswordChangeDateTime: stale ? user.formerChange : lastPasswordChangeDateTime,
  };
  // Graph tells the time of change only where it is asked for
  const wanted = query.get('$select')?.split(',') ?? ['id', 'userPrincipalName'];
  demand(
    wanted.every((name) => name in all),
    `$select names ${wanted}`,
  );
  return Object.fromEntries(wanted.map((name) => [name, all[name]]));
}
