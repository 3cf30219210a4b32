/** Entra users' passwords through the real SDKs: set by an administrator, proven by Entra's word or by a login. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../src/secret.ts';
import { user as driver } from '../../src/targets/azure.ts';
import type { ChosenRotator, RotationJob } from '../../src/targets/driver.ts';
import { describeRotator, type RotatorFixture } from '../conformance.ts';
import {
  type Application,
  addApplication,
  addSecret,
  addUser,
  type User,
} from '../servers/azure/directory.ts';
import { type AzureDouble, startAzure } from '../servers/azure/server.ts';
import { trust } from '../servers/azure/trust.ts';
import { closedPort } from '../servers/cut-proxy.ts';
import { targetAt } from './azure-fixture.ts';

const granted = ['User.Read.All', 'User-PasswordProfile.ReadWrite.All'];
let drawn = 0;
const draw = (): Secret => new Secret(`Kt${++drawn}-Zq7%w@${crypto.randomUUID()}`);

let shared: AzureDouble;
let manager: Application;

const fixture: RotatorFixture = {
  driver,
  can: {
    retain: { target: false, self: false },
    witness: { target: true, self: true },
    word: 'changed',
    actors: ['target'],
    baseline: false,
    retire: false,
    alternate: false,
  },
  statement: /nothing can be read of what travels by TLS/,
  async start() {
    shared = await startAzure();
    trust(shared.caPem);
  },
  async stop() {
    expect(shared.violations).toEqual([]);
    await shared.stop();
  },
  async account() {
    manager = addApplication(shared.directory, 'manager', { roles: granted, publicClient: true });
    const { secretText } = addSecret(manager, null);
    const { userPrincipalName: username, password } = addUser(
      shared.directory,
      `user-${++drawn}@example.org`,
    );
    return {
      target: targetAt(shared, { clientId: manager.appId, publicClientId: manager.appId }),
      username,
      host: undefined,
      account: { usernames: [username], host: undefined },
      actor: 'target',
      admin: { username: '', password: new Secret(secretText) },
      current: new Secret(password),
      retain: false,
      login: 'ropc',
      mark: { uid: 'u', version: 1 },
    };
  },
  at(job, port) {
    const origin = `https://localhost:${port}`;
    const { azure } = job.target;
    if (!azure) throw new Error('no Azure target');
    const endpoints = { login: origin, graph: origin, management: origin };
    return { ...job, target: { ...job.target, port, azure: { ...azure, endpoints } } };
  },
  async fault(fault) {
    let struck = false;
    shared.arm('patchUser', fault, () => {
      struck = true;
    });
    return () => struck;
  },
  async accepts(username, value) {
    const body = new URLSearchParams({
      grant_type: 'password',
      client_id: manager.appId,
      username,
      password: value,
      scope: 'https://graph.microsoft.com/.default',
    });
    const url = `${shared.origin}/${shared.directory.tenantId}/oauth2/v2.0/token`;
    return (await fetch(url, { method: 'POST', body })).ok;
  },
  async powerless() {
    manager.roles = [];
    return { username: '', password: new Secret(manager.secrets[0]?.secretText ?? '') };
  },
};

describeRotator('an Entra user', fixture);

describe('the password of an Entra user', () => {
  let azure: AzureDouble;
  let admin: Application;
  let bob: User;
  const open: ChosenRotator[] = [];
  beforeAll(async () => {
    azure = await startAzure();
    trust(azure.caPem);
  });
  afterAll(() => azure?.stop());
  beforeEach(() => {
    azure.lag.stale = 0;
    admin = addApplication(azure.directory, 'keyturn', { roles: granted, publicClient: true });
    addSecret(admin, null);
    bob = addUser(azure.directory, `bob-${++drawn}@example.org`);
  });
  afterEach(async () => {
    for (const rotator of open.splice(0)) await rotator.close();
    expect(azure.violations.splice(0)).toEqual([]);
  });

  const rotatorOf = (change: Partial<RotationJob> = {}): ChosenRotator => {
    const rotator = driver.rotator({
      target: targetAt(azure, { clientId: admin.appId, publicClientId: admin.appId }),
      username: bob.userPrincipalName,
      host: undefined,
      account: { usernames: [bob.userPrincipalName], host: undefined },
      actor: 'target',
      admin: { username: '', password: new Secret(admin.secrets[0]?.secretText ?? '') },
      current: undefined,
      retain: false,
      mark: { uid: 'u', version: 1 },
      ...change,
    });
    open.push(rotator);
    return rotator;
  };
  const baselineOf = async (rotator: ChosenRotator): Promise<Record<string, string>> => {
    const preflight = await rotator.preflight();
    if (preflight.r !== 'ready') throw new Error(JSON.stringify(preflight));
    return preflight.baseline;
  };

  it('is set for good, and Entra bears witness', async () => {
    const rotator = rotatorOf();
    const baseline = await baselineOf(rotator);
    expect(await rotator.witness(draw(), baseline)).toBe('not-applied');
    const value = draw();
    expect(await rotator.set(value, baseline)).toMatchObject({ r: 'applied' });
    expect([bob.password === value.reveal(), bob.forceChange]).toEqual([true, false]);
    expect(await rotator.witness(value, baseline)).toBe('changed');
    expect(rotator.proof).toBe('witness');
    expect(await rotator.probe(value)).toMatchObject({ r: 'inconclusive', code: 'NO_LOGIN' });
    expect(await rotator.set(value, baseline)).toMatchObject({ r: 'applied' });
  });

  it('is proven by a login where the manifest says so', async () => {
    const rotator = rotatorOf({ login: 'ropc' });
    const value = draw();
    expect(await rotator.set(value, await baselineOf(rotator))).toMatchObject({ r: 'applied' });
    expect(await rotator.probe(value)).toMatchObject({ r: 'ok' });
    expect(await rotator.probe(draw())).toMatchObject({ r: 'denied', code: 'AADSTS50126' });
    for (const [code, r] of [
      [50053, 'blocked'],
      [50055, 'ok-restricted'],
      [50076, 'ok'],
      [50079, 'ok'],
      [50158, 'ok'],
      [53003, 'ok'],
      [65001, 'ok'],
      [90014, 'inconclusive'],
    ] as const) {
      bob.afterPassword = code;
      expect([code, await rotator.probe(value)]).toMatchObject([code, { r, code: `AADSTS${code}` }]);
    }
  });

  it('may have been set when no answer comes, and the witness knows', async () => {
    const rotator = rotatorOf();
    const baseline = await baselineOf(rotator);
    const value = draw();
    azure.arm('patchUser', 'lose-request');
    expect(await rotator.set(value, baseline)).toMatchObject({ r: 'ambiguous' });
    expect(await rotator.witness(value, baseline)).toBe('not-applied');
    azure.lag.stale = 1;
    azure.arm('patchUser', 'lose-reply');
    expect(await rotator.set(value, baseline)).toMatchObject({ r: 'ambiguous' });
    expect(await rotator.witness(value, baseline)).toBe('not-applied');
    expect(await rotator.witness(value, baseline)).toBe('changed');
    azure.arm('getUser', 'fail');
    expect(await rotator.witness(value, baseline)).toBe('unknown');
  });

  it('is refused by policy, permission and absence, each by its name', async () => {
    const rotator = rotatorOf();
    expect(await rotator.set(new Secret('a'.repeat(257)), {})).toMatchObject({ r: 'refused', why: 'policy' });
    expect(await rotator.set(new Secret('Aa1-\u00e9-12345'), {})).toMatchObject({
      r: 'refused',
      why: 'policy',
    });
    azure.arm('patchUser', 'absent');
    expect(await rotator.set(draw(), {})).toMatchObject({ r: 'refused', why: 'no-account' });
    admin.roles = ['User.Read.All'];
    expect(await rotatorOf().set(draw(), {})).toMatchObject({ r: 'refused', why: 'permission' });
    admin.roles = [];
    expect(await rotatorOf().preflight()).toMatchObject({
      r: 'refused',
      why: 'permission',
      hint: 'grant User.Read.All and User-PasswordProfile.ReadWrite.All',
    });
    admin.roles = granted;
    expect(await rotatorOf({ username: 'nobody@example.org' }).preflight()).toMatchObject({
      why: 'no-account',
    });
  });

  it('cannot be changed by the user, kept beside another, or set for a synchronised user', async () => {
    expect(await rotatorOf({ actor: 'self' }).preflight()).toMatchObject({
      r: 'refused',
      why: 'unsupported',
    });
    expect(await rotatorOf({ retain: true }).preflight()).toMatchObject({ r: 'refused', why: 'unsupported' });
    bob.onPremisesSyncEnabled = true;
    expect(await rotatorOf().preflight()).toMatchObject({ r: 'refused', code: 'SYNCED' });
    bob.onPremisesSyncEnabled = null;
    bob.accountEnabled = false;
    expect(await rotatorOf().preflight()).toMatchObject({ warnings: [expect.stringContaining('disabled')] });
  });

  it('is not sent where nobody answers, nor without a login to the tenant', async () => {
    const origin = `https://localhost:${await closedPort()}`;
    const endpoints = { login: azure.origin, graph: origin, management: origin };
    const deaf = rotatorOf({ target: targetAt(azure, { clientId: admin.appId, endpoints }) });
    expect(await deaf.preflight()).toMatchObject({ r: 'unreachable', code: 'ECONNREFUSED' });
    expect(await deaf.set(draw(), {})).toMatchObject({ r: 'not-sent' });
    const wrong = rotatorOf({ admin: { username: '', password: new Secret('wrong-wrong-wrong') } });
    expect(await wrong.set(draw(), {})).toMatchObject({ r: 'refused', why: 'bad-current' });
  });
});
