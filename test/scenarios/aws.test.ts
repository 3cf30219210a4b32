/** The life of access keys through the real command line, against moto with authorization enforced. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createWorld, type Machine, type World } from '../crash/world.ts';
import { type AwsProxy, startAwsProxy } from '../servers/aws-proxy.ts';
import { isMotoMissing, type Moto, startMoto } from '../servers/moto.ts';

const hour = 3_600_000;
const day = 24 * hour;

describe.skipIf(isMotoMissing())('access keys', () => {
  let moto: Moto;
  let proxy: AwsProxy;
  beforeAll(async () => {
    moto = await startMoto();
    proxy = await startAwsProxy(moto.port);
  }, 60_000);
  afterAll(async () => {
    await proxy?.stop();
    await moto?.stop();
  });

  const started = async (spec: string, user: string): Promise<{ world: World; a: Machine }> => {
    const world = await createWorld({
      'manifests/aws.yaml': `apiVersion: keyturn/v1
kind: Target
metadata: { name: aws }
spec:
  type: aws
  accountId: "123456789012"
  endpoint: ${proxy.url}
  tls: { mode: disable }
  credentials: { accessKeyId: ${moto.admin.accessKeyId}, secretAccessKey: { env: AWS_ADMIN } }
---
apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: key }
spec:
  target: aws
  account: { username: ${user} }
${spec}
`,
    });
    return { world, a: world.machine('a') };
  };
  const states = async (user: string) => (await moto.keys(user)).map(({ active }) => active);
  const runs = async (
    world: World,
    a: Machine,
    args: string[],
    offset: number,
    env: NodeJS.ProcessEnv = {},
  ) => {
    const run = await world.run(a, args, { offset, env: { AWS_ADMIN: moto.admin.secretAccessKey, ...env } });
    expect(run.code, run.stderr).toBe(0);
    return run;
  };

  it('of a user that manages itself is adopted, replaced, switched off and deleted by the new one', async () => {
    await moto.createUser('self', {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: ['iam:*'], Resource: '*' }],
    });
    const first = await moto.createKey('self');
    const { world, a } = await started(
      `  initial: { accessKeyId: ${first.accessKeyId}, secretAccessKey: { env: FIRST } }\n  grace: 1h\n  deleteAfter: 2d`,
      'self',
    );
    try {
      await runs(world, a, ['apply', '--yes'], 0, { FIRST: first.secretAccessKey });
      expect(await states('self')).toEqual([true]);
      await runs(world, a, ['rotate', 'key', '--yes'], hour);
      expect(await states('self')).toEqual([true, true]);
      const { stdout } = await world.ask(a, ['get', 'key', '--field', 'accessKeyId'], { offset: hour });
      const from = proxy.seen.length;
      await runs(world, a, ['apply', '--yes'], 3 * hour);
      expect(await states('self')).toEqual([false, true]);
      await runs(world, a, ['apply', '--yes'], 4 * day);
      expect(await moto.keys('self')).toEqual([{ id: stdout.trim(), active: true }]);
      const changes = proxy.seen.slice(from).filter((line) => /^(Update|Delete)/.test(line));
      expect(changes).toEqual([`UpdateAccessKey by ${stdout.trim()}`, `DeleteAccessKey by ${stdout.trim()}`]);
      expect((await world.ask(a, ['verify'], { offset: 4 * day })).stdout).toContain('logged in');
    } finally {
      world.remove();
    }
  }, 120_000);

  it('that are graceful are two, and the older is replaced', async () => {
    await moto.createUser('two');
    const { world, a } = await started('  authenticateAs: target\n  graceful: true', 'two');
    try {
      await runs(world, a, ['apply', '--yes'], 0);
      await runs(world, a, ['rotate', 'key', '--yes', '--force'], hour);
      const [, newer] = await moto.keys('two');
      await runs(world, a, ['apply', '--yes'], 10 * day);
      expect(await states('two')).toEqual([true, true]);
      await runs(world, a, ['rotate', 'key', '--yes', '--force'], 11 * day);
      const after = await moto.keys('two');
      expect(after.map(({ active }) => active)).toEqual([true, true]);
      expect(after[0]?.id).toBe(newer?.id);
    } finally {
      world.remove();
    }
  }, 120_000);

  it('of somebody else are never touched, however new, and stop the secret', async () => {
    await moto.createUser('shared');
    const { world, a } = await started('  authenticateAs: target', 'shared');
    try {
      await runs(world, a, ['apply', '--yes'], 0);
      const foreign = await moto.createKey('shared');
      const env = { AWS_ADMIN: moto.admin.secretAccessKey };
      const stopped = await world.run(a, ['rotate', 'key', '--yes', '--force'], { env, offset: hour });
      expect([stopped.code, stopped.stderr.includes(foreign.accessKeyId)], stopped.stderr).toEqual([3, true]);
      expect(await states('shared')).toEqual([true, true]);
    } finally {
      world.remove();
    }
  }, 120_000);

  it('in use are left alone where the manifest says so, and without grace go at once', async () => {
    await moto.createUser('used');
    const { world, a } = await started('  authenticateAs: target\n  stillInUse: block', 'used');
    try {
      await runs(world, a, ['apply', '--yes'], 0);
      const env = { AWS_ADMIN: moto.admin.secretAccessKey };
      const held = await world.run(a, ['rotate', 'key', '--yes', '--force'], { env, offset: hour });
      expect([held.code, held.stderr.includes('was last used at')], held.stderr).toEqual([3, true]);
      expect(await states('used')).toEqual([true, true]);
      await runs(world, a, ['apply', '--yes'], 2 * day);
      expect(await states('used')).toEqual([false, true]);
    } finally {
      world.remove();
    }
  }, 120_000);
});
