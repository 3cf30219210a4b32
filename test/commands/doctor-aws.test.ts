/** What `doctor` says of AWS and what `destroy --retire` leaves there, by the real command line. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createWorld, type Machine, type World } from '../crash/world.ts';
import { isMotoMissing, type Moto, startMoto } from '../servers/moto.ts';

const needed = [
  'ListAccessKeys',
  'CreateAccessKey',
  'UpdateAccessKey',
  'DeleteAccessKey',
  'GetAccessKeyLastUsed',
];
const policyBut = (missing?: string) => ({
  Version: '2012-10-17',
  Statement: [
    {
      Effect: 'Allow',
      Action: needed.filter((action) => action !== missing).map((action) => `iam:${action}`),
      Resource: '*',
    },
  ],
});

interface Finding {
  subject: string;
  level: string;
  what: string;
  fix: string | null;
}

describe.skipIf(isMotoMissing())('an AWS target', () => {
  let moto: Moto;
  let world: World;
  let a: Machine;
  let user = '';
  let users = 0;
  beforeAll(async () => {
    moto = await startMoto();
  }, 60_000);
  afterAll(() => moto?.stop());
  beforeEach(() => {
    users += 1;
    user = `user-${users}`;
  });
  afterEach(() => world?.remove());

  const env = () => ({ AWS_ADMIN: admin.secretAccessKey });
  let admin = { accessKeyId: '', secretAccessKey: '' };
  const secret = (more: string) => `apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: key }
spec: { target: aws, account: { username: ${user} }${more} }
`;
  const started = async (as: typeof admin, more: string): Promise<void> => {
    admin = as;
    world = await createWorld({
      'manifests/aws.yaml': `apiVersion: keyturn/v1
kind: Target
metadata: { name: aws }
spec:
  type: aws
  accountId: "123456789012"
  endpoint: ${moto.url}
  tls: { mode: disable }
  credentials: { accessKeyId: ${as.accessKeyId}, secretAccessKey: { env: AWS_ADMIN } }
`,
      'manifests/key.yaml': secret(more),
    });
    a = world.machine('a');
  };
  const examined = async (): Promise<{ code: number | null; findings: Finding[] }> => {
    const run = await world.run(a, ['doctor', '--json'], { env: env() });
    const findings = JSON.parse(run.stdout) as Finding[];
    return { code: run.code, findings: findings.filter(({ subject }) => ['aws', 'key'].includes(subject)) };
  };
  const least = (mode: string, over: string): object => ({
    subject: 'aws',
    level: 'ok',
    what: `the least that authenticateAs: ${mode} needs: ${JSON.stringify({
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Action: needed.map((action) => `iam:${action}`),
          Resource: `arn:aws:iam::123456789012:user/${over}`,
        },
      ],
    })}`,
    fix: null,
  });

  it('is fit where its credentials may do the least, and says what only a rotation shows', async () => {
    await moto.createUser(`manager-${user}`, policyBut());
    await moto.createUser(user);
    await started(await moto.createKey(`manager-${user}`), ', authenticateAs: target');
    const { code, findings } = await examined();
    expect(code).toBe(0);
    expect(findings).toEqual([
      expect.objectContaining({ subject: 'key', level: 'ok', what: expect.stringContaining('123456789012') }),
      expect.objectContaining({ level: 'warning', what: expect.stringContaining('iam:CreateAccessKey') }),
      least('target', user),
    ]);
    expect(await moto.keys(user)).toEqual([]);
  }, 60_000);

  it.each(['UpdateAccessKey', 'DeleteAccessKey', 'GetAccessKeyLastUsed'])(
    'lacks iam:%s, and says so',
    async (missing) => {
      await moto.createUser(`manager-${user}`, policyBut(missing));
      await moto.createUser(user);
      await started(await moto.createKey(`manager-${user}`), ', authenticateAs: target');
      const { code, findings } = await examined();
      expect(code).toBe(1);
      expect(findings.filter(({ level }) => level === 'problem')).toEqual([
        {
          subject: 'key',
          level: 'problem',
          what: `the credentials of aws may not iam:${missing}`,
          fix: `allow iam:${missing} on ${user}`,
        },
      ]);
    },
    60_000,
  );

  it('lets users manage themselves: asked with their own key, once there is one', async () => {
    await moto.createUser(user, policyBut('DeleteAccessKey'));
    const own = await moto.createKey(user);
    await started(
      moto.admin,
      `, authenticateAs: user, initial: { accessKeyId: ${own.accessKeyId}, secretAccessKey: { env: FIRST } }`,
    );
    const before = await examined();
    expect([before.code, before.findings]).toEqual([
      0,
      [
        expect.objectContaining({ what: 'has no key yet with which to ask what it may do' }),
        least('user', '$' + '{aws:username}'),
      ],
    ]);
    const adopted = await world.run(a, ['apply', '--yes'], {
      env: { ...env(), FIRST: own.secretAccessKey },
    });
    expect(adopted.code, adopted.stderr).toBe(0);
    const { code, findings } = await examined();
    expect(code).toBe(1);
    expect(findings.filter(({ level }) => level === 'problem')).toMatchObject([
      { what: 'the account itself may not iam:DeleteAccessKey', fix: `allow iam:DeleteAccessKey on ${user}` },
    ]);
  }, 60_000);

  it('keeps a foreign key when a secret is destroyed and its own keys go', async () => {
    await moto.createUser(user);
    await started(moto.admin, ', authenticateAs: target, deleteProtection: false');
    const run = async (...args: string[]) => {
      const done = await world.run(a, [...args, '--yes'], { env: env() });
      expect(done.code, done.stderr).toBe(0);
      return done;
    };
    await run('apply');
    const stranger = await moto.createKey(user);
    world.commit(a, { 'manifests/key.yaml': null });
    const refused = await world.run(a, ['destroy', 'aws', '--retire', '--yes'], { env: env() });
    expect(refused.code).not.toBe(0);
    // the target was asked and the branch says no: asked again, the target has nothing to do
    const hook = join(world.remote, 'hooks', 'pre-receive');
    writeFileSync(hook, '#!/bin/sh\nexit 1\n', { mode: 0o755 });
    const unpushed = await world.run(a, ['destroy', 'key', '--retire', '--yes'], { env: env() });
    expect(unpushed.code, unpushed.stderr).not.toBe(0);
    expect(await moto.keys(user)).toEqual([{ id: stranger.accessKeyId, active: true }]);
    rmSync(hook);
    const { stderr } = await run('destroy', 'key', '--retire');
    expect(stderr).toContain('aws holds no value of it any more');
    expect(await moto.keys(user)).toEqual([{ id: stranger.accessKeyId, active: true }]);
    expect((await world.ask(a, ['list', '--json'])).stdout).not.toContain('"key"');
  }, 60_000);
});
