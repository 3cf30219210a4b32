import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadManifests } from '../../src/manifests/load.ts';
import { desired, join, manifest, mysql, project, said, secret } from './fixtures.ts';

const tenant = '11111111-1111-4111-8111-111111111111';
const client = '22222222-2222-4222-8222-222222222222';
const app = '44444444-4444-4444-8444-444444444444';
const login = `credentials: { clientId: ${client}, clientSecret: { env: AZURE } }`;
const azure = (more = login) => manifest('Target', 'azure', `type: azure\ntenantId: ${tenant}\n${more}`);
const account = (more = login) =>
  manifest(
    'Target',
    'store',
    `type: azure-storage\ntenantId: ${tenant}\nsubscriptionId: ${client}\naccount: acmeshop\n${more}`,
  );
const ofApp = (more = '', name = 'shop') =>
  manifest(
    'RotatedSecret',
    name,
    `target: azure\nauthenticateAs: target\naccount: { appId: ${app} }\n${more}`,
  );
const ofUser = (more = '') =>
  manifest(
    'RotatedSecret',
    'bob',
    `target: azure\nrotator: password\naccount: { username: bob@acme.example }\n${more}`,
  );
const key = (more = 'graceful: true') => manifest('RotatedSecret', 'key', `target: store\n${more}`);

describe('a tenant', () => {
  it('is reached by its cloud, or where the manifest says', async () => {
    const at = async (more: string) => (await desired(azure(more))).targets.get('azure');
    expect(await at('')).toMatchObject({
      host: 'login.microsoftonline.com',
      port: 443,
      credentials: undefined,
      azure: { tenantId: tenant, clientId: undefined, login: { how: 'environment' }, cloud: 'public' },
    });
    expect(await at('cloud: usgov')).toMatchObject({
      host: 'login.microsoftonline.us',
      azure: { endpoints: { graph: 'https://graph.microsoft.us' } },
    });
    expect(await at('endpoints: { login: "https://entra.test:8443/" }')).toMatchObject({
      host: 'entra.test',
      port: 8443,
      azure: { endpoints: { login: 'https://entra.test:8443', graph: 'https://graph.microsoft.com' } },
    });
    expect(await said(azure('endpoints: { login: "http://entra.test" }'))).toHaveLength(1);
    expect(await said(azure('host: x'))).toHaveLength(1);
    expect(await said(manifest('Target', 'azure', 'type: azure'))).toHaveLength(1);
  });

  it('is logged in to in one of five ways', async () => {
    const how = async (credentials: string) =>
      (await desired(azure(`credentials: ${credentials}`))).targets.get('azure')?.azure?.login.how;
    expect(await how(`{ clientId: ${client}, clientSecret: { env: A } }`)).toBe('secret');
    expect(await how(`{ clientId: ${client}, certificate: { env: A } }`)).toBe('certificate');
    expect(await how(`{ clientId: ${client}, federated: github }`)).toBe('github');
    expect(await how(`{ clientId: ${client}, federated: file }`)).toBe('token-file');
    expect(await how('{ managedIdentity: true }')).toBe('managed-identity');
  });

  it('is not logged in to in two ways at once, or in none', async () => {
    const wrong = async (credentials: string) => said(azure(`credentials: ${credentials}`));
    expect(await wrong(`{ clientId: ${client} }`)).toEqual([
      expect.stringContaining('spec.credentials says no way to log in'),
    ]);
    expect(await wrong(`{ clientId: ${client}, clientSecret: { env: A }, federated: github }`)).toEqual([
      expect.stringContaining('clientSecret and federated'),
    ]);
    expect(await wrong('{ federated: github }')).toEqual([expect.stringContaining('lacks clientId')]);
    expect(await wrong(`{ clientId: ${client}, certificate: { secret: x } }`)).toEqual(
      expect.arrayContaining([expect.stringContaining('a certificate is no rotated secret')]),
    );
  });
});

describe('what is rotated there', () => {
  it('has defaults by its kind', async () => {
    const { secrets } = await desired(join(azure(), account(), ofApp(), ofUser(), key()), {
      project: project('defaults: { grace: 2d }'),
    });
    expect(secrets.get('shop')).toMatchObject({
      rotator: 'api-key',
      grace: 2 * 86_400_000,
      account: { usernames: [app] },
      keys: { graceful: false, exclusive: false, form: 'clientSecret' },
    });
    expect(secrets.get('bob')).toMatchObject({ authenticateAs: 'target', grace: 0 });
    expect(secrets.get('bob')?.keys).toBeUndefined();
    expect(secrets.get('key')).toMatchObject({
      rotator: 'storage-key',
      authenticateAs: 'target',
      grace: 0,
      account: { usernames: ['key1', 'key2'] },
    });
  });

  it('names its key, or takes turns from it on', async () => {
    const names = async (more: string) =>
      (await desired(join(account(), key(more)))).secrets.get('key')?.account.usernames;
    expect(await names('account: { keyName: kerb2 }')).toEqual(['kerb2']);
    expect(await names('account: { keyName: key2 }\ngraceful: true')).toEqual(['key2', 'key1']);
    expect(await said(join(account(), key('account: {}')))).toEqual([
      expect.stringContaining('spec.account lacks keyName'),
    ]);
    expect(await said(join(account(), key('account: { username: x }')))).toHaveLength(2);
  });

  it('adopts a client secret with its id, and of a user only what a login proves', async () => {
    const initial = `initial: { keyId: ${client}, clientSecret: { env: OLD } }`;
    const { secrets } = await desired(join(azure(), ofApp(initial)));
    expect(secrets.get('shop')?.initial).toEqual({
      password: { env: 'OLD' },
      username: undefined,
      handle: client,
    });
    expect(await said(join(azure(), ofApp('initial: { clientSecret: { env: OLD } }')))).toHaveLength(1);
    expect(await said(join(azure(), ofApp('initial: { password: { env: OLD } }')))).toEqual([
      'shop: spec.initial lacks clientSecret | add clientSecret: the existing client secret, by reference',
    ]);
    expect(await said(join(azure(), ofUser('initial: { password: { env: OLD } }')))).toEqual([
      expect.stringContaining('nothing proves an existing password of a user'),
    ]);
    const proven = 'verify: ropc\ninitial: { password: { env: OLD } }';
    expect((await desired(join(azure(), ofUser(proven)))).secrets.get('bob')).toMatchObject({
      verifyBy: 'ropc',
    });
  });

  it('says how a login proves it, and how often', async () => {
    const bob = async (more: string) => (await desired(join(azure(), ofUser(more)))).secrets.get('bob');
    expect(await bob('verify: { every: 7d, by: ropc }')).toMatchObject({
      verifyEvery: 7 * 86_400_000,
      verifyBy: 'ropc',
    });
    expect(await said(join(azure('credentials: { managedIdentity: true }'), ofUser('verify: ropc')))).toEqual(
      [expect.stringContaining('needs a public client')],
    );
    expect(await said(join(azure(), ofApp('verify: ropc')))).toEqual([
      expect.stringContaining('is for users of Entra'),
    ]);
    expect(await said(join(mysql(), secret('app', 'verify: ropc')))).toEqual([
      expect.stringContaining('is for users of Entra'),
    ]);
  });

  it('is refused what means nothing for it', async () => {
    expect(await said(join(azure(), ofApp('exclusive: true')))).toEqual([
      expect.stringContaining('spec.exclusive'),
    ]);
    expect(await said(join(azure(), ofApp('graceful: true\ngrace: 1d')))).toEqual([
      expect.stringContaining('graceful keeps'),
    ]);
    expect(await said(join(azure(), ofUser('grace: 1d')))).toEqual([expect.stringContaining('one password')]);
    expect(await said(join(azure(), ofUser('authenticateAs: user')))).toEqual([
      expect.stringContaining('without a person'),
    ]);
    expect(await said(join(account(), key('graceful: true\ngrace: 1d')))).toEqual([
      expect.stringContaining('dead at once'),
    ]);
    expect(await said(join(account(), key('rotator: password\naccount: { keyName: key1 }')))).toEqual([
      expect.stringContaining('rotator: password does not exist in azure-storage'),
    ]);
    expect(await said(join(mysql(), secret('app', 'rotator: storage-key')))).toEqual([
      expect.stringContaining('mysql has no storage keys'),
    ]);
  });

  it('belongs to one secret, whatever target names the tenant', async () => {
    const twin = ofApp('', 'twin');
    expect(await said(join(azure(), ofApp(), twin))).toEqual([expect.stringContaining(`rotates ${app}`)]);
    const second = azure().replace('name: azure', 'name: other');
    expect(
      await said(join(azure(), second, ofApp(), twin.replace('target: azure', 'target: other'))),
    ).toHaveLength(1);
    const two = [
      key('account: { keyName: key1 }'),
      key('account: { keyName: key2 }').replace('name: key', 'name: key-2'),
    ];
    expect(await said(join(account(), ...two))).toEqual([]);
  });
});

it('examples/azure loads, and its job holds no secret of Azure', async () => {
  const root = fileURLToPath(new URL('../../examples/azure/', import.meta.url));
  const { targets, secrets } = await loadManifests(root, { env: {} });
  expect([...targets.values()].map(({ credentials, azure: of }) => [credentials, of?.login.how])).toEqual([
    [undefined, 'github'],
    [undefined, 'github'],
  ]);
  expect([...secrets.values()].map(({ rotator }) => rotator).sort()).toEqual([
    'api-key',
    'password',
    'storage-key',
  ]);
});
