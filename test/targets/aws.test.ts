/** The contract of `issued.ts`, kept by the AWS driver against moto with authorization enforced, behind a proxy that misbehaves. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../src/secret.ts';
import { missingPermissions } from '../../src/targets/aws/permissions.ts';
import { type Policy, policyFor } from '../../src/targets/aws/policy.ts';
import { aws } from '../../src/targets/aws.ts';
import type { Target } from '../../src/targets/driver.ts';
import type { Issued, IssuedJob, IssuedRotator } from '../../src/targets/issued.ts';
import { type AwsProxy, startAwsProxy } from '../servers/aws-proxy.ts';
import { closedPort } from '../servers/cut-proxy.ts';
import { isMotoMissing, type Moto, startMoto } from '../servers/moto.ts';

const targetAt = (port: number, accountId = '123456789012'): Target => ({
  name: 'aws',
  type: 'aws',
  host: '127.0.0.1',
  port,
  verifyHost: undefined,
  database: undefined,
  tls: { mode: 'disable', ca: undefined, caFile: undefined, serverName: undefined },
  credentials: undefined,
  concurrency: 1,
  timeout: 3_000,
  aws: {
    accountId,
    region: 'us-east-1',
    partition: 'aws',
    endpoint: `http://127.0.0.1:${port}`,
    profile: undefined,
    assumeRole: undefined,
  },
  source: { file: 'manifests/aws.yaml', line: 1, column: 1 },
});

/** moto enforces the actions of a policy, but knows no resource of IAM other than `*`. */
const everywhere = (policy: Policy): Policy => ({
  ...policy,
  Statement: policy.Statement.map((statement) => ({ ...statement, Resource: '*' })),
});

describe.skipIf(isMotoMissing())('AWS access keys', () => {
  let moto: Moto;
  let proxy: AwsProxy;
  let users = 0;
  let username = '';
  const open: IssuedRotator[] = [];
  beforeAll(async () => {
    moto = await startMoto();
    proxy = await startAwsProxy(moto.port);
  }, 60_000);
  afterAll(async () => {
    await proxy?.stop();
    await moto?.stop();
  });
  beforeEach(async () => {
    users += 1;
    username = `user-${users}`;
    proxy.flap = [];
    await moto.createUser(username);
  });
  afterEach(async () => {
    for (const rotator of open.splice(0)) await rotator.close();
  });

  const admin = () => ({
    username: moto.admin.accessKeyId,
    password: new Secret(moto.admin.secretAccessKey),
  });
  const rotatorOf = (change: Partial<IssuedJob> = {}): IssuedRotator => {
    const target = targetAt(proxy.port);
    const job: IssuedJob = { target, username, actor: 'target', admin: admin(), login: undefined, ...change };
    const rotator = aws.rotator(job);
    open.push(rotator);
    return rotator;
  };
  const issue = async (rotator: IssuedRotator): Promise<Issued> => {
    const result = await rotator.issue();
    if (result.r !== 'issued') throw new Error(`${result.r} ${result.code}`);
    return result.issued;
  };
  /** A user that has a key and may manage its own keys, and no more than `policyFor` says. */
  const ownUser = async (): Promise<Issued> => {
    username = `own-${users}`;
    await moto.createUser(username, everywhere(policyFor('user', targetAt(proxy.port), [])));
    const { accessKeyId, secretAccessKey } = await moto.createKey(username);
    return { handle: accessKeyId, value: new Secret(secretAccessKey) };
  };

  it('lists, issues, proves, switches off and removes', async () => {
    const rotator = rotatorOf();
    expect(await rotator.preflight()).toMatchObject({
      r: 'ready',
      keys: [],
      at: expect.stringMatching(/^\d{4}-.*Z$/),
    });
    const issued = await issue(rotator);
    expect(await rotator.lastUsedAt(issued.handle)).toEqual({ r: 'known', at: null });
    expect(await rotator.verify(issued)).toMatchObject({ r: 'ok' });
    expect(await rotator.lastUsedAt(issued.handle)).toMatchObject({ r: 'known', at: expect.any(String) });
    expect(await rotator.list()).toMatchObject({ keys: [{ handle: issued.handle, active: true }] });
    expect(await rotator.disable(issued.handle)).toEqual({ r: 'done' });
    expect(await rotator.list()).toMatchObject({ keys: [{ active: false }] });
    expect(await rotator.verify(issued)).toMatchObject({ r: 'denied', code: 'InvalidClientTokenId' });
    for (const _ of [1, 2]) expect(await rotator.remove(issued.handle)).toEqual({ r: 'done' });
    expect(await rotator.disable(issued.handle)).toEqual({ r: 'done' });
    expect(await rotator.list()).toEqual({ r: 'listed', keys: [] });
  });

  it('knows a wrong secret, a wrong account and a wrong user from a right one', async () => {
    const rotator = rotatorOf();
    const issued = await issue(rotator);
    const wrong = { ...issued, value: new Secret('x'.repeat(40)) };
    expect(await rotator.verify(wrong)).toMatchObject({ r: 'denied', code: 'SignatureDoesNotMatch' });
    const elsewhere = rotatorOf({ target: targetAt(proxy.port, '210987654321') });
    expect(await elsewhere.verify(issued)).toMatchObject({ r: 'inconclusive', code: 'WRONG_ACCOUNT' });
    expect(await elsewhere.preflight()).toMatchObject({ r: 'refused', why: 'wrong-account' });
    expect(await rotatorOf({ username: 'somebody' }).verify(issued)).toMatchObject({ code: 'WRONG_ACCOUNT' });
  });

  it('says no where AWS does: a third key, no such user, no permission, no valid login', async () => {
    const rotator = rotatorOf();
    const first = await issue(rotator);
    await issue(rotator);
    expect(await rotator.issue()).toMatchObject({ r: 'refused', why: 'limit' });
    expect(await rotatorOf({ username: 'nobody' }).preflight()).toMatchObject({ why: 'no-account' });
    const powerless = rotatorOf({ actor: 'self', login: first });
    expect(await powerless.preflight()).toMatchObject({
      r: 'refused',
      why: 'permission',
      hint: `allow iam:ListAccessKeys on arn:aws:iam::123456789012:user/${username}`,
    });
    const stranger = { ...first, value: new Secret('y'.repeat(40)) };
    expect(await rotatorOf({ actor: 'self', login: stranger }).preflight()).toMatchObject({
      why: 'bad-login',
    });
  });

  it('is managed by the user itself with the least policy', async () => {
    const login = await ownUser();
    const rotator = rotatorOf({ actor: 'self', login, admin: undefined });
    expect(await rotator.preflight()).toMatchObject({ r: 'ready', keys: [{ handle: login.handle }] });
    const issued = await issue(rotator);
    expect(await rotator.verify(issued)).toMatchObject({ r: 'ok' });
    const next = rotatorOf({ actor: 'self', login: issued, admin: undefined });
    expect(await next.lastUsedAt(login.handle)).toMatchObject({ r: 'known' });
    expect(await next.disable(login.handle)).toEqual({ r: 'done' });
    expect(await next.remove(login.handle)).toEqual({ r: 'done' });
  });

  it('is managed by an administrator with the least policy', async () => {
    const manager = `manager-${users}`;
    await moto.createUser(manager, everywhere(policyFor('target', targetAt(proxy.port), [username])));
    const key = await moto.createKey(manager);
    const login = { username: key.accessKeyId, password: new Secret(key.secretAccessKey) };
    const rotator = rotatorOf({ admin: login });
    const issued = await issue(rotator);
    expect(await rotator.lastUsedAt(issued.handle)).toEqual({ r: 'known', at: null });
    expect(await rotator.disable(issued.handle)).toEqual({ r: 'done' });
    expect(await rotator.remove(issued.handle)).toEqual({ r: 'done' });
  });

  it('asks for a key once, whatever becomes of the answer', async () => {
    const rotator = rotatorOf();
    const before = proxy.seen.length;
    proxy.arm('CreateAccessKey', 'lose-reply');
    expect(await rotator.issue()).toMatchObject({ r: 'ambiguous' });
    expect(await moto.keys(username)).toHaveLength(1);
    proxy.arm('CreateAccessKey', 'fail');
    expect(await rotator.issue()).toMatchObject({ r: 'ambiguous' });
    proxy.arm('CreateAccessKey', 'throttle');
    expect(await rotator.issue()).toMatchObject({ r: 'not-sent', code: 'Throttling' });
    proxy.arm('CreateAccessKey', 'lose-request');
    expect(await rotator.issue()).toMatchObject({ r: 'ambiguous' });
    expect(await moto.keys(username)).toHaveLength(1);
    const asked = proxy.seen.slice(before).filter((line) => line.startsWith('CreateAccessKey'));
    expect(asked).toHaveLength(4);
    const deaf = rotatorOf({ target: targetAt(await closedPort()) });
    expect(await deaf.issue()).toMatchObject({ r: 'not-sent', code: 'ECONNREFUSED' });
    expect(await deaf.list()).toMatchObject({ r: 'unreachable' });
  });

  it('lacks nothing that the least policy grants, and names what is missing', async () => {
    const needed = policyFor('user', targetAt(proxy.port), []).Statement[0]?.Action ?? [];
    for (const action of needed) {
      username = `lacking-${users}-${action.slice(4).toLowerCase()}`;
      const Action = needed.filter((other) => other !== action);
      await moto.createUser(username, {
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Action, Resource: '*' }],
      });
      const { accessKeyId, secretAccessKey } = await moto.createKey(username);
      const login = { handle: accessKeyId, value: new Secret(secretAccessKey) };
      const job: IssuedJob = {
        target: targetAt(proxy.port),
        username,
        actor: 'self',
        admin: undefined,
        login,
      };
      const found = await missingPermissions(job);
      expect(found.missing).toEqual(action === 'iam:CreateAccessKey' ? [] : [action]);
      expect(found.unknown).toEqual(['iam:CreateAccessKey']);
    }
  });

  it('sees a new key flap', async () => {
    proxy.flap = [true, false, true, false];
    const rotator = rotatorOf();
    const issued = await issue(rotator);
    const answers: string[] = [];
    for (const _ of [1, 2, 3, 4, 5]) answers.push((await rotator.verify(issued)).r);
    expect(answers).toEqual(['denied', 'ok', 'denied', 'ok', 'ok']);
  });

  it('binds a key to its endpoint, account and user', () => {
    const account = { usernames: [username] as [string], host: undefined };
    expect(aws.binding(targetAt(proxy.port), account)).toEqual({
      type: 'aws',
      host: '127.0.0.1',
      port: proxy.port,
      account: `123456789012/${username}`,
      tls: 'disabled',
    });
  });
});
