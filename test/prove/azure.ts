import { request } from 'node:https';
import { put, type World } from '../crash/world.ts';
import {
  type Application,
  addApplication,
  addSecret,
  addStorageAccount,
  addUser,
  type StorageAccount,
} from '../servers/azure/directory.ts';
import type { AzureDouble } from '../servers/azure/server.ts';
import { initial, type Kept, type Member, manifest, type Part } from './part.ts';

const foreign = 'made by hand';
const roles = ['Application.ReadWrite.OwnedBy', 'User.Read.All', 'User-PasswordProfile.ReadWrite.All'];
const actions = [
  'Microsoft.Storage/storageAccounts/listkeys/action',
  'Microsoft.Storage/storageAccounts/regeneratekey/action',
];

/**
 * Client secrets by an administrator, by the application itself, and of the login that the rest is done with; users'
 * passwords, proven by a login and by Entra's word; storage keys in turns, and one that has no twin. In a tenant where
 * new secrets flap and changes are seen late.
 */
export async function azure(world: World, tenant: AzureDouble): Promise<Part> {
  const { directory, origin } = tenant;
  tenant.lag.refusals = [true, false, true];
  tenant.lag.stale = 1;
  const manifests: string[] = [];
  const members: Member[] = [];

  const target = (name: string, clientId: string, secret: string, account?: StorageAccount): string =>
    manifest(
      'Target',
      name,
      `  type: ${account ? 'azure-storage' : 'azure'}\n  tenantId: ${directory.tenantId}\n  endpoints: { login: ${origin}, graph: ${origin}, management: ${origin} }\n  credentials: { clientId: ${clientId}, clientSecret: ${secret} }${account ? `\n  subscriptionId: ${account.subscriptionId}\n  resourceGroup: ${account.resourceGroup}\n  account: ${account.name}` : `\n  publicClientId: ${login.appId}`}`,
    );
  const add = (name: string, on: string, spec: string, member: Omit<Member, 'secret'>): void => {
    const secret = `azure/${name}`;
    const text = `  target: ${on}\n  ${spec}\n  schedule: { every: 300d }`;
    manifests.push(manifest('RotatedSecret', secret, text));
    members.push({ secret, ...member });
  };
  const login = addApplication(directory, 'people log in here', { publicClient: true });
  const admin = addApplication(directory, 'keyturn', { roles, actions });
  const { secretText } = addSecret(admin, foreign);
  world.canary.learn('the login to the tenant', secretText);
  const adminFile = world.at('initial', 'azure-admin');
  put(adminFile, secretText, 0o600);
  manifests.push(target('tenant', admin.appId, `{ file: ${adminFile} }`));

  const application = (name: string, on: string, spec: string, self: boolean): Application => {
    const app = addApplication(directory, name, { roles: self ? roles : [], owners: [admin.appId], actions });
    addSecret(app, foreign);
    let given = '';
    if (self) {
      const first = addSecret(app, 'typed by hand');
      given = `\n  initial: { keyId: ${first.keyId}, clientSecret: { file: ${initial(world, `azure-${name}`, first.secretText)} } }`;
    }
    add(name, on, `${spec.replace('APP', app.appId)}${given}`, {
      overlap: true,
      accepts: ({ value }) => tokenAs(tenant, app, value),
      strays: async (record, accepted) => {
        const known = new Set(Object.values(record.versions).map(({ handle }) => handle));
        const ours = app.secrets.filter(({ displayName }) => displayName !== foreign);
        return [
          ...ours.flatMap(({ keyId }) => (known.has(keyId) ? [] : [`an orphan of ${name}: ${keyId}`])),
          ...(ours.length === accepted
            ? []
            : [`${name} has ${ours.length} secrets, ${accepted} are recorded`]),
          ...(app.secrets.length === ours.length + 1 ? [] : [`the foreign secret of ${name} is gone`]),
        ];
      },
    });
    return app;
  };
  application('app', 'tenant', 'authenticateAs: target\n  account: { appId: APP }\n  grace: 1h', false);
  application('self', 'tenant', 'authenticateAs: user\n  account: { appId: APP }\n  grace: 1h', true);
  const own = application('login', 'tenant-owned', 'rotator: target', true);
  manifests.push(target('tenant-owned', own.appId, '{ secret: azure/login }'));

  const user = (name: string, on: string, more: string): void => {
    const { userPrincipalName } = addUser(directory, `${name}@example.org`);
    add(
      name,
      on,
      `rotator: password\n  authenticateAs: target\n  account: { username: ${userPrincipalName} }${more}`,
      {
        overlap: false,
        accepts: (kept) => tokenOf(tenant, login, userPrincipalName, kept),
        strays: async (_, accepted) =>
          accepted === 1 ? [] : [`${accepted} recorded passwords of ${name} work, it has one`],
      },
    );
  };
  user('user', 'tenant', '\n  verify: ropc');
  user('ward', 'tenant-owned', '');

  const storage = (name: string, secret: string, clientId: string, spec: string, single: boolean): void => {
    const account = addStorageAccount(directory, `so${name}`);
    const read = new Set<string>();
    for (const { keyName, value } of account.keys)
      world.canary.learn(`the first ${keyName} of ${name}`, value);
    manifests.push(target(`storage-${name}`, clientId, secret, account));
    add(name, `storage-${name}`, spec, {
      overlap: !single,
      // Azure shows its keys to whoever may ask
      again: () => single,
      accepts: async ({ value }) => {
        read.add(value);
        return account.keys.some((key) => key.value === value);
      },
      strays: async () =>
        account.keys
          .slice(0, single ? 1 : 2)
          .flatMap(({ keyName, value }) =>
            read.has(value) ? [] : [`nobody has read ${keyName} of ${name}`],
          ),
    });
  };
  storage('turns', `{ file: ${adminFile} }`, admin.appId, 'graceful: true', false);
  storage('single', '{ secret: azure/login }', own.appId, 'account: { keyName: key1 }', true);

  return {
    server: 'Azure (double)',
    members,
    manifests: { 'manifests/azure.yaml': manifests.join('---\n') },
    env: { NODE_EXTRA_CA_CERTS: tenant.caFile },
    violations: () => tenant.violations,
    stop: () => tenant.stop(),
  };
}

/** New secrets flap: several tries. */
async function tokenAs(tenant: AzureDouble, app: Application, value: string): Promise<boolean> {
  for (const _ of [1, 2, 3, 4]) {
    const form = {
      client_id: app.appId,
      client_secret: value,
      scope: 'https://graph.microsoft.com/.default',
    };
    const { appid } = await token(tenant, { ...form, grant_type: 'client_credentials' }, 7000215);
    if (appid === app.appId) return true;
  }
  return false;
}

async function tokenOf(
  tenant: AzureDouble,
  { appId }: Application,
  username: string,
  { value }: Kept,
): Promise<boolean> {
  const form = { client_id: appId, username, password: value, scope: 'https://graph.microsoft.com/.default' };
  const { upn } = await token(tenant, { ...form, grant_type: 'password' }, 50126);
  return upn === username;
}

/** The claims of the token that Entra gives for this form; none where it says `wrong`. */
function token(
  { port, caPem, directory }: AzureDouble,
  form: Record<string, string>,
  wrong: number,
): Promise<{ appid?: string; upn?: string }> {
  const url = `https://localhost:${port}/${directory.tenantId}/oauth2/v2.0/token`;
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  return new Promise((resolve, reject) => {
    const asked = request(url, { method: 'POST', ca: caPem, headers }, async (answer) => {
      const chunks: Buffer[] = [];
      for await (const chunk of answer) chunks.push(chunk as Buffer);
      const { access_token: made, error_codes: codes = [] } = JSON.parse(Buffer.concat(chunks).toString());
      if (made) resolve(JSON.parse(Buffer.from(made.split('.')[1], 'base64url').toString()));
      else if (codes.includes(wrong)) resolve({});
      else reject(new Error(`Entra answers ${codes}`));
    });
    asked.once('error', reject);
    asked.end(new URLSearchParams(form).toString());
  });
}
