/** The contract of `issued.ts`, kept by client secrets through the real SDKs against a double that misbehaves. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../src/secret.ts';
import { application as driver } from '../../src/targets/azure.ts';
import type { Issued, IssuedJob, IssuedRotator } from '../../src/targets/issued.ts';
import { asking, describeIssuer, type IssuedFixture } from '../conformance-issued.ts';
import { type Application, addApplication, addSecret } from '../servers/azure/directory.ts';
import { type AzureDouble, startAzure } from '../servers/azure/server.ts';
import { trust } from '../servers/azure/trust.ts';
import { closedPort } from '../servers/cut-proxy.ts';
import { targetAt } from './azure-fixture.ts';

const { uid } = asking;

let shared: AzureDouble;
const granted = ['Application.ReadWrite.OwnedBy'];
const loginOf = (app: Application) => ({
  username: app.appId,
  password: new Secret(app.secrets[0]?.secretText ?? ''),
});
const asIssued = ({ keyId, secretText }: Application['secrets'][number]): Issued => ({
  handle: keyId,
  value: new Secret(secretText),
});
const appOf = ({ username }: IssuedJob): Application | undefined =>
  shared.directory.applications.find(({ appId }) => appId === username);

const fixture: IssuedFixture = {
  driver,
  can: { actors: ['target', 'self'], disable: false, limit: false, lastUse: false },
  faults: ['lose-reply', 'lose-request', 'fail', 'throttle'],
  async start() {
    shared = await startAzure();
    trust(shared.caPem);
  },
  async stop() {
    expect(shared.violations).toEqual([]);
    await shared.stop();
  },
  async account(actor) {
    const manager = addApplication(shared.directory, 'manager', { roles: granted });
    addSecret(manager, null);
    const app = addApplication(shared.directory, 'app', {
      owners: [manager.appId],
      ...(actor === 'self' ? { roles: granted } : {}),
    });
    const held = asIssued(addSecret(app, 'made by hand'));
    const job: IssuedJob = {
      target: targetAt(shared, { clientId: manager.appId }),
      username: app.appId,
      actor,
      admin: actor === 'target' ? loginOf(manager) : undefined,
      login: actor === 'self' ? held : undefined,
    };
    return { job, held };
  },
  async powerless() {
    const app = addApplication(shared.directory, 'powerless');
    const login = asIssued(addSecret(app, 'made by hand'));
    return { target: targetAt(shared), username: app.appId, actor: 'self', admin: undefined, login };
  },
  at(job, port) {
    const origin = `https://localhost:${port}`;
    const { azure } = job.target;
    if (!azure) throw new Error('no Azure target');
    return {
      ...job,
      target: {
        ...job.target,
        azure: { ...azure, endpoints: { login: origin, graph: origin, management: origin } },
      },
    };
  },
  nobody: (job) => ({ ...job, username: crypto.randomUUID() }),
  holds: async (job) => (appOf(job)?.secrets ?? []).map(({ keyId }) => ({ handle: keyId, active: true })),
  async accepts(job, { value }) {
    const body = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: job.username,
      client_secret: value.reveal(),
      scope: 'https://graph.microsoft.com/.default',
    });
    const url = `${shared.origin}/${shared.directory.tenantId}/oauth2/v2.0/token`;
    return (await fetch(url, { method: 'POST', body })).ok;
  },
  fault(fault) {
    let struck = 0;
    // longer than anybody waits, so that it is asked for once
    shared.arm('addPassword', fault === 'throttle' ? 'throttle-long' : fault, () => {
      struck += 1;
    });
    const from = shared.seen.length;
    return () =>
      struck +
      shared.seen.slice(from).filter((line) => line.startsWith('addPassword')).length -
      (fault === 'lose-reply' ? 1 : 0);
  },
};

describeIssuer('client secrets', fixture);

describe('client secrets of an application', () => {
  let azure: AzureDouble;
  let admin: Application;
  let app: Application;
  const open: IssuedRotator[] = [];
  beforeAll(async () => {
    azure = await startAzure();
    trust(azure.caPem);
  });
  afterAll(() => azure?.stop());
  beforeEach(() => {
    azure.lag.refusals = [];
    azure.lag.hidden = 0;
    admin = addApplication(azure.directory, 'keyturn', { roles: ['Application.ReadWrite.OwnedBy'] });
    addSecret(admin, 'made by hand');
    app = addApplication(azure.directory, 'shop', { owners: [admin.appId] });
  });
  afterEach(async () => {
    for (const rotator of open.splice(0)) await rotator.close();
    expect(azure.violations.splice(0)).toEqual([]);
  });

  const rotatorOf = (change: Partial<IssuedJob> = {}, by: Application = admin): IssuedRotator => {
    const rotator = driver.rotator({
      target: targetAt(azure, { clientId: by.appId }),
      username: app.appId,
      actor: 'target',
      admin: { username: by.appId, password: new Secret(by.secrets[0]?.secretText ?? '') },
      login: undefined,
      ...change,
    });
    open.push(rotator);
    return rotator;
  };
  const issue = async (rotator: IssuedRotator): Promise<Issued> => {
    const result = await rotator.issue(asking);
    if (result.r !== 'issued') throw new Error(JSON.stringify(result));
    return result.issued;
  };

  it('are made with a mark and an end, listed by it, logged in with, and removed twice', async () => {
    const foreign = addSecret(app, 'made by hand');
    const rotator = rotatorOf();
    expect(await rotator.preflight()).toMatchObject({ r: 'ready', keys: [{ handle: foreign.keyId }] });
    const issued = await issue(rotator);
    const made = app.secrets[1];
    expect([made?.displayName, made?.endDateTime]).toEqual([
      `keyturn/${uid}/${asking.claim}/1`,
      asking.until,
    ]);
    expect(issued).toMatchObject({ handle: made?.keyId, expiresAt: asking.until });
    expect(await rotator.verify(issued)).toMatchObject({ r: 'ok' });
    const listing = await rotator.list();
    expect(listing).toMatchObject({ keys: [{ handle: foreign.keyId }, { madeFor: uid, active: true }] });
    expect(listing.r === 'listed' && listing.keys[0]).not.toHaveProperty('madeFor');
    for (const _ of ['first', 'again']) expect(await rotator.remove(issued.handle)).toEqual({ r: 'done' });
    expect(app.secrets.map(({ keyId }) => keyId)).toEqual([foreign.keyId]);
    expect(await rotator.verify(issued)).toMatchObject({ r: 'denied', code: 'AADSTS7000215' });
  });

  it('are made by the application itself where it may', async () => {
    app.roles = ['Application.ReadWrite.OwnedBy'];
    const own = addSecret(app, 'adopted');
    const login = { handle: own.keyId, value: new Secret(own.secretText) };
    const rotator = rotatorOf({ actor: 'self', login, admin: undefined });
    const issued = await issue(rotator);
    const next = rotatorOf({ actor: 'self', login: issued, admin: undefined });
    expect(await next.remove(own.keyId)).toEqual({ r: 'done' });
    expect(azure.seen.filter((line) => line.endsWith(app.appId)).map((line) => line.split(' ')[0])).toEqual([
      'findApplication',
      'addPassword',
      'findApplication',
      'removePassword',
    ]);
  });

  it('are asked for once, whatever becomes of the answer', async () => {
    const rotator = rotatorOf();
    await rotator.preflight();
    const from = azure.seen.length;
    azure.arm('addPassword', 'lose-reply');
    expect(await rotator.issue(asking)).toMatchObject({ r: 'ambiguous' });
    expect(app.secrets).toHaveLength(1);
    azure.arm('addPassword', 'lose-request');
    expect(await rotator.issue(asking)).toMatchObject({ r: 'ambiguous' });
    azure.arm('addPassword', 'fail');
    expect(await rotator.issue(asking)).toMatchObject({ r: 'ambiguous' });
    expect(app.secrets).toHaveLength(1);
    expect(azure.seen.slice(from)).toEqual([`addPassword by ${admin.appId}`]);
  });

  it('are asked for again where Azure says that it did nothing', async () => {
    const rotator = rotatorOf();
    for (const fault of ['conflict', 'busy', 'throttle', 'absent'] as const) azure.arm('addPassword', fault);
    await issue(rotator);
    expect(app.secrets).toHaveLength(1);
    azure.arm('findApplication', 'busy');
    expect(await rotatorOf().list()).toMatchObject({ r: 'listed' });
    for (const _ of [1, 2]) azure.arm('addPassword', 'busy');
    const hasty = rotatorOf({ target: { ...targetAt(azure, { clientId: admin.appId }), timeout: 1_000 } });
    expect(await hasty.issue(asking)).toMatchObject({
      r: 'not-sent',
      code: 'Directory_ConcurrencyViolation',
    });
    expect(app.secrets).toHaveLength(1);
  });

  it('are refused now and then while they spread', async () => {
    azure.lag.refusals = [true, true, false, true];
    azure.lag.hidden = 1;
    const rotator = rotatorOf();
    const issued = await issue(rotator);
    const answers: string[] = [];
    for (const _ of [1, 2, 3, 4, 5]) answers.push((await rotator.verify(issued)).r);
    expect(answers).toEqual(['denied', 'denied', 'ok', 'denied', 'ok']);
    expect(await rotator.list()).toEqual({ r: 'listed', keys: [] });
    expect(await rotator.list()).toMatchObject({ keys: [{ handle: issued.handle }] });
  });

  it('say no where Entra and Graph do, with what to grant', async () => {
    expect(await rotatorOf({ username: crypto.randomUUID() }).preflight()).toMatchObject({
      why: 'no-account',
    });
    const powerless = addApplication(azure.directory, 'powerless');
    addSecret(powerless, null);
    expect(await rotatorOf({}, powerless).preflight()).toMatchObject({
      r: 'refused',
      why: 'permission',
      hint: expect.stringContaining('Application.ReadWrite.OwnedBy'),
    });
    const stranger = addApplication(azure.directory, 'stranger', {
      roles: ['Application.ReadWrite.OwnedBy'],
    });
    addSecret(stranger, null);
    expect(await rotatorOf({}, stranger).issue(asking)).toMatchObject({ r: 'refused', why: 'permission' });
    const wrong = { username: admin.appId, password: new Secret('wrong-wrong-wrong') };
    expect(await rotatorOf({ admin: wrong }).preflight()).toMatchObject({
      r: 'refused',
      why: 'bad-login',
      code: 'AADSTS7000215',
    });
    expect(await rotatorOf({ admin: wrong }).issue(asking)).toMatchObject({ r: 'refused', why: 'bad-login' });
    expect(app.secrets).toEqual([]);
  });

  it('prove nothing as another application, in another tenant, or where nobody answers', async () => {
    const other = addSecret(addApplication(azure.directory, 'other'), null);
    const issued = { handle: other.keyId, value: new Secret(other.secretText) };
    expect(await rotatorOf().verify(issued)).toMatchObject({ r: 'denied' });
    const gone = rotatorOf({ username: crypto.randomUUID() });
    expect(await gone.verify(issued)).toMatchObject({ r: 'inconclusive', code: 'AADSTS700016' });
    const origin = `https://localhost:${await closedPort()}`;
    const endpoints = { login: origin, graph: origin, management: origin };
    const deaf = rotatorOf({ target: targetAt(azure, { clientId: admin.appId, endpoints }) });
    expect(await deaf.verify(issued)).toMatchObject({ r: 'unreachable' });
    expect(await deaf.preflight()).toMatchObject({ r: 'unreachable' });
    expect(await deaf.issue(asking)).toMatchObject({ r: 'not-sent' });
    expect(await deaf.remove('x')).toMatchObject({ r: 'unreachable' });
    const half = { login: azure.origin, graph: origin, management: origin };
    const mute = rotatorOf({ target: targetAt(azure, { clientId: admin.appId, endpoints: half }) });
    expect(await mute.issue(asking)).toMatchObject({ r: 'not-sent', code: 'ECONNREFUSED' });
  });

  it('are bound to tenant, application and every endpoint', () => {
    const account = { usernames: [app.appId] as [string], host: undefined };
    const host = `localhost:${azure.port}`;
    expect(driver.binding(targetAt(azure), account)).toEqual({
      type: 'azure',
      host: `${host}|${host}|${host}`,
      port: azure.port,
      account: `${azure.directory.tenantId}/${app.appId}`,
      tls: 'system',
    });
  });
});
