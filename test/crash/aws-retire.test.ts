/**
 * A former access key ends in two steps, switched off and later deleted. The real command line is killed at every
 * failpoint of both, with its disk or without it; the next run ends what that one began.
 */
import { rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openSession } from '../../src/run.ts';
import { acceptsKey, startAwsProxy } from '../servers/aws-proxy.ts';
import { isMotoMissing, startMoto } from '../servers/moto.ts';
import { retirement } from './failpoints.ts';
import { createWorld, type Machine, type World } from './world.ts';

const hour = 3_600_000;
const day = 24 * hour;
const own = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'iam:*', Resource: '*' }] };

const manifest = (kind: string, name: string, spec: string): string =>
  `apiVersion: keyturn/v1\nkind: ${kind}\nmetadata: { name: ${name} }\nspec: { ${spec} }\n`;

describe.skipIf(isMotoMissing()).concurrent('a process that dies while it retires access keys', () => {
  it.each([
    ['target', 'kill'],
    ['target', 'evict'],
    ['user', 'kill'],
    ['user', 'evict'],
  ] as const)(
    'leaves the current one alone, and the former one to the next run (%s, %s)',
    async (mode, how) => {
      const moto = await startMoto();
      const proxy = await startAwsProxy(moto.port);
      const env: NodeJS.ProcessEnv = { AWS_ADMIN: moto.admin.secretAccessKey };
      const users = retirement.map((at, index) => ({ user: `u${index}`, at }));
      const files: Record<string, string> = {
        'manifests/aws.yaml': manifest(
          'Target',
          'aws',
          `type: aws, accountId: "123456789012", endpoint: "${proxy.url}", tls: { mode: disable }, ` +
            `credentials: { accessKeyId: ${moto.admin.accessKeyId}, secretAccessKey: { env: AWS_ADMIN } }`,
        ),
      };
      for (const { user } of users) {
        await moto.createUser(user, mode === 'user' ? own : undefined);
        const first = await moto.createKey(user);
        env[`FIRST_${user.toUpperCase()}`] = first.secretAccessKey;
        files[`manifests/${user}.yaml`] = manifest(
          'RotatedSecret',
          user,
          `target: aws, authenticateAs: ${mode}, account: { username: ${user} }, grace: 1h, deleteAfter: 1d, ` +
            `initial: { accessKeyId: ${first.accessKeyId}, secretAccessKey: { env: FIRST_${user.toUpperCase()} } }`,
        );
      }
      const world = await createWorld(files);
      const a = world.machine('a');
      const run = (machine: Machine, args: string[], offset: number, killAt?: string) =>
        world.run(machine, args, { env, offset, ...(killAt === undefined ? {} : { killAt }) });
      const active = async (user: string) => (await moto.keys(user)).map((key) => key.active);
      const everyCurrentWorks = async (machine: Machine): Promise<void> => {
        for (const [name, key] of await currentKeys(world, machine))
          expect(await acceptsKey(proxy.url, key), name).toBe(true);
      };
      try {
        const adopted = await run(a, ['apply', '--yes'], 0);
        expect(adopted.code, adopted.stderr).toBe(0);
        const names = users.map(({ user }) => user);
        const rotated = await run(a, ['rotate', ...names, '--yes', '--force'], hour);
        expect(rotated.code, rotated.stderr).toBe(0);
        let machine = a;
        for (const [offset, end] of [
          [3 * hour, [false, true]],
          [4 * day, [true]],
        ] as const) {
          for (const { user, at } of users) {
            const died = await run(machine, ['apply', '--yes', '--only', user], offset, at);
            expect([at, died.signal, died.signal ? '' : died.stderr]).toEqual([at, 'SIGKILL', '']);
            expect(await moto.keys(user), at).toContainEqual(expect.objectContaining({ active: true }));
          }
          await everyCurrentWorks(machine);
          if (how === 'evict') {
            rmSync(`${machine.env.HOME}/.cache`, { recursive: true, force: true });
            machine = world.machine(`after-${offset}`);
          } else world.git(machine.clone, 'pull', '--quiet', '--ff-only');
          const recovery = await run(machine, ['apply', '--yes', '--force'], offset + hour);
          expect(recovery.code, recovery.stderr).toBe(0);
          for (const { user, at } of users) expect([at, await active(user)]).toEqual([at, end]);
          await everyCurrentWorks(machine);
          const tip = world.tip();
          const again = await run(machine, ['apply', '--yes'], offset + hour);
          expect([again.code, world.tip() === tip], again.stderr).toEqual([0, true]);
        }
      } finally {
        world.remove();
        await proxy.stop();
        await moto.stop();
      }
    },
    400_000,
  );
});

async function currentKeys(
  world: World,
  machine: Machine,
): Promise<Map<string, { accessKeyId: string; secretAccessKey: string }>> {
  const { ledger } = await openSession(world.host(machine), {});
  const found = new Map<string, { accessKeyId: string; secretAccessKey: string }>();
  for (const record of Object.values(ledger.state.records)) {
    if (record.current === null) throw new Error(`${record.name} has no current version`);
    const { value, fields } = await ledger.readVersion(record, record.current);
    found.set(record.name, {
      accessKeyId: fields.accessKeyId ?? '',
      secretAccessKey: value.reveal(),
    });
  }
  return found;
}
