/** The contract of `issued.ts`, kept by the AWS driver against moto with authorization enforced, behind a proxy that misbehaves. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../src/secret.ts';
import { type Policy, policyFor, policyToAssume } from '../../src/targets/aws/policy.ts';
import { aws } from '../../src/targets/aws.ts';
import type { Target } from '../../src/targets/driver.ts';
import type { Issued, IssuedJob, IssuedRotator } from '../../src/targets/issued.ts';
import { SpareLogins } from '../../src/targets/spare.ts';
import { asking, describeIssuer, type IssuedFixture } from '../conformance-issued.ts';
import { type AwsProxy, acceptsKey, startAwsProxy } from '../servers/aws-proxy.ts';
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

const assuming = ({ aws: account }: Target, arn: string): Pick<Target, 'aws'> =>
  account === undefined
    ? {}
    : { aws: { ...account, assumeRole: { arn, externalId: undefined, sessionName: 'keyturn' } } };

/** moto enforces the actions of a policy, but knows no resource of IAM other than `*`. */
const everywhere = (policy: Policy): Policy => ({
  ...policy,
  Statement: policy.Statement.map((statement) => ({ ...statement, Resource: '*' })),
});

const missing = isMotoMissing();
let moto: Moto;
let proxy: AwsProxy;
let users = 0;

const asked = (): number => proxy.seen.filter((line) => line.startsWith('CreateAccessKey')).length;
const issuedOf = (key: { accessKeyId: string; secretAccessKey: string }): Issued => ({
  handle: key.accessKeyId,
  value: new Secret(key.secretAccessKey),
});
const managing = async (mode: 'user' | 'target', name: string): Promise<Issued> => {
  await moto.createUser(name, everywhere(policyFor(mode, targetAt(proxy.port), [name])));
  return issuedOf(await moto.createKey(name));
};

const fixture: IssuedFixture = {
  driver: aws,
  can: { actors: ['target', 'self'], disable: true, limit: true, lastUse: true },
  faults: ['lose-reply', 'lose-request', 'fail', 'throttle'],
  async start() {
    moto = await startMoto();
    proxy = await startAwsProxy(moto.port);
  },
  async stop() {
    await proxy?.stop();
    await moto?.stop();
  },
  async account(actor) {
    users += 1;
    const username = `user-${users}`;
    const job: IssuedJob = {
      target: targetAt(proxy.port),
      username,
      actor,
      admin: undefined,
      login: undefined,
    };
    if (actor === 'self') {
      const held = await managing('user', username);
      return { job: { ...job, login: held }, held };
    }
    const manager = await managing('target', `manager-${users}`);
    await moto.createUser(username);
    const admin = { username: manager.handle, password: manager.value };
    return { job: { ...job, admin }, held: issuedOf(await moto.createKey(username)) };
  },
  async powerless() {
    users += 1;
    const username = `powerless-${users}`;
    await moto.createUser(username);
    const login = issuedOf(await moto.createKey(username));
    return { target: targetAt(proxy.port), username, actor: 'self', admin: undefined, login };
  },
  at: (job, port) => ({ ...job, target: targetAt(port) }),
  nobody: (job) => ({ ...job, username: 'nobody' }),
  holds: async ({ username }) =>
    (await moto.keys(username)).map(({ id, active }) => ({ handle: id, active })),
  accepts: (_, { handle, value }) =>
    acceptsKey(proxy.url, { accessKeyId: handle, secretAccessKey: value.reveal() }),
  fault(fault) {
    const before = asked();
    proxy.arm('CreateAccessKey', fault);
    return () => asked() - before;
  },
};

describe.skipIf(missing)('AWS', () => {
  describeIssuer('access keys', fixture, () => {
    const open: IssuedRotator[] = [];
    beforeEach(() => {
      proxy.flap = [];
    });
    afterEach(async () => {
      for (const rotator of open.splice(0)) await rotator.close();
    });
    const rotatorOf = (job: IssuedJob): IssuedRotator => {
      const rotator = aws.rotator(job);
      open.push(rotator);
      return rotator;
    };

    it('of another account are refused, by name', async () => {
      const { job, held } = await fixture.account('target');
      const elsewhere = rotatorOf({ ...job, target: targetAt(proxy.port, '210987654321') });
      expect(await elsewhere.verify(held)).toMatchObject({ r: 'inconclusive', code: 'WRONG_ACCOUNT' });
      expect(await elsewhere.preflight()).toMatchObject({ r: 'refused', why: 'wrong-account' });
      const other = rotatorOf({ ...job, username: 'somebody' });
      expect(await other.verify(held)).toMatchObject({ code: 'WRONG_ACCOUNT' });
    });

    it('tell when they were used, and say what to allow', async () => {
      const { job, held } = await fixture.account('target');
      const rotator = rotatorOf(job);
      expect(await rotator.preflight()).toMatchObject({ at: expect.stringMatching(/^\d{4}-.*Z$/) });
      expect(await rotator.lastUsedAt(held.handle)).toEqual({ r: 'known', at: null });
      await rotator.verify(held);
      expect(await rotator.lastUsedAt(held.handle)).toMatchObject({ r: 'known', at: expect.any(String) });
      const powerless = await fixture.powerless();
      expect(await rotatorOf(powerless).preflight()).toMatchObject({
        why: 'permission',
        hint: `allow iam:ListAccessKeys on arn:aws:iam::123456789012:user/${powerless.username}`,
      });
    });

    it('lack nothing that the least policy grants, and a missing permission is named', async () => {
      const needed = policyFor('user', targetAt(proxy.port), []).Statement[0]?.Action ?? [];
      for (const action of needed) {
        const username = `lacking-${action.slice(4).toLowerCase()}`;
        const Action = needed.filter((other) => other !== action);
        await moto.createUser(username, {
          Version: '2012-10-17',
          Statement: [{ Effect: 'Allow', Action, Resource: '*' }],
        });
        const login = issuedOf(await moto.createKey(username));
        const found = await aws.missingPrivileges({
          target: targetAt(proxy.port),
          username,
          actor: 'self',
          admin: undefined,
          login,
        });
        expect(found.missing).toEqual(action === 'iam:CreateAccessKey' ? [] : [action]);
        expect(found.unknown).toEqual(['iam:CreateAccessKey']);
      }
    });

    it('of many users are made by one session of the role, and by another after a refusal', async () => {
      const arn = await moto.createRole(
        'keeper',
        everywhere(policyFor('target', targetAt(proxy.port), ['a'])),
      );
      const { job } = await fixture.account('target');
      const may = policyToAssume({ ...job.target, ...assuming(job.target, arn) });
      await moto.createUser('assuming', may ?? undefined);
      const signer = issuedOf(await moto.createKey('assuming'));
      const spare = new SpareLogins();
      const admin = { username: signer.handle, password: signer.value };
      const target = { ...job.target, ...assuming(job.target, arn) };
      const assumed = (): number => proxy.seen.filter((line) => line.startsWith('AssumeRole')).length;
      const before = assumed();
      const makes = async (username: string): Promise<string> => {
        const rotator = aws.rotator({ ...job, target, admin, username, spare });
        const [preflight, made] = [await rotator.preflight(), await rotator.issue(asking)];
        await rotator.close();
        return `${preflight.r} ${made.r}`;
      };
      const others = ['many-1', 'many-2', 'many-3'];
      for (const name of others) await moto.createUser(name);
      proxy.overKept.length = 0;
      expect(await Promise.all(others.map(makes))).toEqual(others.map(() => 'ready issued'));
      expect(await makes('many-1')).toBe('ready issued');
      expect(assumed() - before).toBe(1);
      expect(await makes('nobody-of-many')).toBe('refused refused');
      expect(assumed() - before).toBe(1);
      expect(await makes('many-2')).toBe('ready issued');
      expect(assumed() - before).toBe(2);
      expect(proxy.overKept).toContain('ListAccessKeys');
      expect(proxy.overKept).not.toContain('CreateAccessKey');
      await spare.close();
    });

    it('flap at first', async () => {
      proxy.flap = [true, false, true, false];
      const { job } = await fixture.account('target');
      const rotator = rotatorOf(job);
      const made = await rotator.issue(asking);
      if (made.r !== 'issued') throw new Error(made.code);
      const answers: string[] = [];
      for (const _ of [1, 2, 3, 4, 5]) answers.push((await rotator.verify(made.issued)).r);
      expect(answers).toEqual(['denied', 'ok', 'denied', 'ok', 'ok']);
    });

    it('are bound to their endpoint, account and user', () => {
      const account = { usernames: ['app'] as [string], host: undefined };
      expect(aws.binding(targetAt(proxy.port), account)).toEqual({
        type: 'aws',
        host: '127.0.0.1',
        port: proxy.port,
        account: '123456789012/app',
        tls: 'disabled',
      });
    });
  });
});
