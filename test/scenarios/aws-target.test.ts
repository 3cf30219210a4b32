/** The key that the target itself uses (protocol §4.5): recovered first, rotated last, and never by one that is not proven. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createWorld, type Machine, type Run, type World } from '../crash/world.ts';
import { type AwsProxy, acceptsKey, startAwsProxy } from '../servers/aws-proxy.ts';
import { isMotoMissing, type Moto, startMoto } from '../servers/moto.ts';

const hour = 3_600_000;
const day = 24 * hour;
const all = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'iam:*', Resource: '*' }] };

describe.skipIf(isMotoMissing())("a target's own access key", () => {
  let moto: Moto;
  let proxy: AwsProxy;
  let world: World;
  let a: Machine;
  let ci = '';
  let app = '';
  let first = { accessKeyId: '', secretAccessKey: '' };
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
    ci = `ci-${users}`;
    app = `app-${users}`;
    await moto.createUser(ci, all);
    await moto.createUser(app);
    first = await moto.createKey(ci);
    world = await createWorld({
      'manifests/aws.yaml': `apiVersion: keyturn/v1
kind: Target
metadata: { name: aws }
spec:
  type: aws
  accountId: "123456789012"
  endpoint: ${proxy.url}
  tls: { mode: disable }
  credentials: { username: ${ci}, secretAccessKey: { secret: ci } }
---
apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: ci }
spec:
  target: aws
  rotator: target
  grace: 3h
  deleteAfter: 1d
  initial: { accessKeyId: ${first.accessKeyId}, secretAccessKey: { env: FIRST } }
`,
      'manifests/app.yaml': appOf('one'),
    });
    a = world.machine('a');
    await done(['apply', '--yes']);
    expect(await current('ci')).toBe(first.accessKeyId);
  }, 120_000);
  afterEach(() => world?.remove());

  const appOf = (rotateToken: string) => `apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: app }
spec: { target: aws, authenticateAs: target, account: { username: ${app} }, grace: 3h, deleteAfter: 1d, rotateToken: ${rotateToken} }
`;
  const run = (args: string[], options: { offset?: number; killAt?: string } = {}): Promise<Run> =>
    world.run(a, args, { ...options, env: { FIRST: first.secretAccessKey } });
  const done = async (...of: Parameters<typeof run>): Promise<Run> => {
    const ended = await run(...of);
    expect(ended.code, ended.stderr).toBe(0);
    return ended;
  };
  const current = async (name: string, offset = 0): Promise<string> =>
    (await world.ask(a, ['get', name, '--field', 'accessKeyId'], { offset })).stdout.trim();
  const works = async (name: string, offset = 0): Promise<boolean> =>
    acceptsKey(proxy.url, {
      accessKeyId: await current(name, offset),
      secretAccessKey: (await world.ask(a, ['get', name], { offset })).stdout.trim(),
    });

  it('is rotated after every key that it makes, and ends with the new one', async () => {
    const from = proxy.seen.length;
    const made = proxy.made.length;
    await done(['rotate', 'ci', 'app', '--yes', '--force'], { offset: hour });
    expect(proxy.made.slice(made)).toEqual([app, ci]);
    const creations = proxy.seen.slice(from).filter((line) => line.startsWith('CreateAccessKey'));
    expect(creations).toEqual(Array(2).fill(`CreateAccessKey by ${first.accessKeyId}`));
    const next = await current('ci', hour);
    expect(next).not.toBe(first.accessKeyId);
    expect(await works('ci', hour)).toBe(true);

    const later = proxy.seen.length;
    await done(['apply', '--yes'], { offset: 5 * hour });
    await done(['apply', '--yes'], { offset: 3 * day });
    const ended = proxy.seen.slice(later).filter((line) => /^(Update|Delete)/.test(line));
    expect(ended).toEqual(
      ['Update', 'Update', 'Delete', 'Delete'].map((verb) => `${verb}AccessKey by ${next}`),
    );
    for (const [name, user] of [
      ['ci', ci],
      ['app', app],
    ] as const)
      expect(await moto.keys(user)).toEqual([{ id: await current(name, 3 * day), active: true }]);
  }, 120_000);

  it.each(['create.afterReply', 'issued.afterPush', 'verify.after', 'promote.push.afterApply'])(
    'that died at %s is settled before anything is made with it',
    async (killAt) => {
      const died = await run(['rotate', 'ci', '--yes', '--force'], { offset: hour, killAt });
      expect(died.signal, died.stderr).toBe('SIGKILL');
      expect(await acceptsKey(proxy.url, first)).toBe(true);
      world.commit(a, { 'manifests/app.yaml': appOf('two') });
      const made = proxy.made.length;
      const from = proxy.seen.length;
      await done(['apply', '--yes', '--force'], { offset: 2 * hour });
      const next = await current('ci', 2 * hour);
      expect(next).not.toBe(first.accessKeyId);
      expect(proxy.made.slice(made)).toEqual(killAt === 'create.afterReply' ? [ci, app] : [app]);
      const creations = proxy.seen.slice(from).filter((line) => line.startsWith('CreateAccessKey'));
      expect(creations.at(-1)).toBe(`CreateAccessKey by ${next}`);
      for (const name of ['ci', 'app']) expect(await works(name, 2 * hour), name).toBe(true);
      expect((await moto.keys(ci)).map(({ id }) => id).sort()).toEqual([first.accessKeyId, next].sort());
      expect(await moto.keys(app)).toHaveLength(2);
    },
    120_000,
  );
});
