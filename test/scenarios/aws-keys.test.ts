/** Keys that are too many, switched off, somebody else's or newer than the live one, and clocks that are off. */
import { writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createWorld, type Machine, type Run, type World } from '../crash/world.ts';
import { type AwsProxy, startAwsProxy } from '../servers/aws-proxy.ts';
import { isMotoMissing, type Moto, startMoto } from '../servers/moto.ts';

const hour = 3_600_000;
const day = 24 * hour;

/** Every clock of a process that is off, not only ours. */
const skewed = `const by = Number(process.env.SKEW);
const Right = Date;
globalThis.Date = class Date extends Right {
  constructor(...of) {
    if (of.length === 0) super(Right.now() + by);
    else super(...of);
  }
  static now() {
    return Right.now() + by;
  }
};
`;

describe.skipIf(isMotoMissing())('access keys', () => {
  let moto: Moto;
  let proxy: AwsProxy;
  let world: World;
  let a: Machine;
  let user = '';
  let users = 0;
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
    user = `user-${users}`;
    await moto.createUser(user);
  });
  afterEach(() => world?.remove());

  const started = async (more: string): Promise<void> => {
    world = await createWorld({
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
spec: { target: aws, authenticateAs: target, account: { username: ${user} }${more} }
`,
    });
    a = world.machine('a');
  };
  const run = (
    args: string[],
    options: { offset?: number; killAt?: string; machine?: Machine; skew?: number } = {},
  ): Promise<Run> => {
    const { machine = a, skew, ...rest } = options;
    const clock =
      skew === undefined ? {} : { SKEW: String(skew), NODE_OPTIONS: `--import=${world.at('skew.mjs')}` };
    return world.run(machine, args, { ...rest, env: { AWS_ADMIN: moto.admin.secretAccessKey, ...clock } });
  };
  const done = async (...of: Parameters<typeof run>): Promise<void> => {
    const { code, stderr } = await run(...of);
    expect(code, stderr).toBe(0);
  };
  const rotate = ['rotate', 'key', '--yes', '--force'];
  const current = async (offset = 0): Promise<string> =>
    (await world.ask(a, ['get', 'key', '--field', 'accessKeyId'], { offset })).stdout.trim();
  /** Six keys more than AWS allows, three of them switched off. */
  const crowd = (createdAt: string) => {
    const keys = [0, 1, 2, 3, 4, 5].map((n) => ({
      id: `AKIACROWD${users}0000000${n}`.slice(0, 20),
      active: n % 2 === 0,
      createdAt,
    }));
    proxy.beyond.set(user, [...keys]);
    return keys;
  };

  it('are eight, and none is touched that is not ours for certain', async () => {
    await started('');
    await done(['apply', '--yes']);
    const live = await current();
    await moto.createKey(user);
    const others = crowd(new Date().toISOString());
    const from = proxy.seen.length;
    const stopped = await run(rotate, { offset: hour });
    expect(stopped.code, stopped.stderr).toBe(3);
    for (const { id } of others) expect(stopped.stderr).toContain(id);
    expect(proxy.seen.slice(from).filter((line) => /^(Create|Update|Delete)/.test(line))).toEqual([]);
    expect([proxy.beyond.get(user)?.length, (await moto.keys(user)).length]).toEqual([6, 2]);
    expect(await current(hour)).toBe(live);
  }, 120_000);

  it('are eight, and go one by one where every key is ours', async () => {
    await started(', exclusive: true, grace: 2d');
    await done(['apply', '--yes']);
    const live = await current();
    await moto.createKey(user);
    crowd(new Date(Date.now() - 30 * day).toISOString());
    await done(rotate, { offset: hour });
    expect(proxy.beyond.get(user)).toEqual([]);
    expect((await moto.keys(user)).sort((x) => (x.id === live ? -1 : 1))).toEqual([
      { id: live, active: true },
      { id: await current(hour), active: true },
    ]);
  }, 120_000);

  it('that are switched off count, whosever they are', async () => {
    await started('');
    await done(['apply', '--yes']);
    const stranger = await moto.createKey(user);
    await moto.switchOff(user, stranger.accessKeyId);
    const stopped = await run(rotate, { offset: hour });
    expect([stopped.code, stopped.stderr.includes(stranger.accessKeyId)], stopped.stderr).toEqual([3, true]);
    await moto.deleteKey(user, stranger.accessKeyId);
    await done(rotate, { offset: 2 * hour });
    const second = await current(2 * hour);
    expect((await moto.keys(user)).map(({ active }) => active).sort()).toEqual([false, true]);
    await done(rotate, { offset: 4 * hour });
    const left = await moto.keys(user);
    expect(left.find(({ active }) => !active)?.id).toBe(second);
    expect(left).toContainEqual({ id: await current(4 * hour), active: true });
  }, 120_000);

  it('that are newer than the live one and nobody knows go, and the live one stays', async () => {
    await started(', grace: 20d');
    await done(['apply', '--yes']);
    const live = await current();
    const died = await run(rotate, { offset: hour, killAt: 'create.afterReply' });
    expect(died.signal).toBe('SIGKILL');
    const [orphan] = (await moto.keys(user)).filter(({ id }) => id !== live);
    const from = proxy.seen.length;
    await done(['apply', '--yes'], { offset: 2 * hour, machine: world.machine('b') });
    const ids = (await moto.keys(user)).map(({ id }) => id);
    expect(ids).toContain(live);
    expect(ids).not.toContain(orphan?.id);
    expect(ids).toHaveLength(2);
    const touched = proxy.seen.slice(from).filter((line) => /^(Update|Delete)/.test(line));
    expect(touched).toHaveLength(2);
  }, 120_000);

  it.each([2 * hour, -2 * hour])(
    'rotate on a machine whose clocks are off by %i ms',
    async (skew) => {
      await started(', grace: 20d');
      writeFileSync(world.at('skew.mjs'), skewed);
      await done(['apply', '--yes'], { skew });
      await done(rotate, { skew, offset: hour });
      const live = await current(skew + hour);
      const died = await run(rotate, { skew, offset: 2 * hour, killAt: 'create.afterReply' });
      expect([died.signal, died.stderr]).toEqual(['SIGKILL', expect.anything()]);
      const made = (await moto.keys(user)).map(({ id }) => id);
      // a machine that is right, as soon as it may think the other one dead
      const after = Math.max(skew, 0) + 3 * hour;
      await done(['apply', '--yes', '--force'], { offset: after, machine: world.machine('b') });
      const ids = (await moto.keys(user)).map(({ id }) => id);
      expect(ids).toHaveLength(2);
      expect(ids).toContain(live);
      expect(made.filter((id) => id !== live && ids.includes(id))).toEqual([]);
      world.git(a.clone, 'pull', '--quiet', '--ff-only');
      expect(ids).toContain(await current(after));
      expect(await current(after)).not.toBe(live);
    },
    180_000,
  );
});
