/**
 * Access keys are never lost: every failpoint of the issuing machine, the real command line killed there, with its
 * disk (`kill`) or without it (`evict`), against moto with authorization enforced and keys that flap.
 */
import { rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openSession } from '../../src/run.ts';
import { type AwsProxy, startAwsProxy } from '../servers/aws-proxy.ts';
import { isMotoMissing, type Moto, startMoto } from '../servers/moto.ts';
import { tally } from '../tally.ts';
import { issuing } from './failpoints.ts';
import { createWorld, type Machine, type World } from './world.ts';

const hour = 3_600_000;
/** How far the clock of our machines is ahead of AWS's when the dying starts. */
const ahead = 3 * hour;

interface Case {
  user: string;
  at: string;
}

const target = (proxy: AwsProxy, admin: string): string => `apiVersion: keyturn/v1
kind: Target
metadata: { name: aws }
spec:
  type: aws
  accountId: "123456789012"
  endpoint: ${proxy.url}
  tls: { mode: disable }
  credentials: { accessKeyId: ${admin}, secretAccessKey: { env: AWS_ADMIN } }
`;

const secret = ({ user }: Case): string => `apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: keys/${user} }
spec:
  target: aws
  authenticateAs: target
  account: { username: ${user} }
  grace: 1h
  deleteAfter: 1d
`;

/** Rotated side by side, so that the second push that records keys holds several. */
const crowds = ['issued.push.beforeSend#2', 'issued.push.afterApply#2'].map((at, crowd) => ({
  at,
  users: Array.from({ length: 5 }, (_, n): Case => ({ user: `crowd${crowd}-${n}`, at: '' })),
}));

/** Dead after these, the new key is what consumers read. */
const promoted = ['promote.push.afterApply', 'promote.afterPush'];

describe.skipIf(isMotoMissing()).concurrent('a process that dies', () => {
  it.each(['kill', 'evict'] as const)(
    'loses no key, leaves no orphan and touches nothing foreign (%s)',
    async (mode) => {
      const moto = await startMoto();
      const proxy = await startAwsProxy(moto.port);
      const world = await createWorld({ 'manifests/aws.yaml': target(proxy, moto.admin.accessKeyId) });
      try {
        await round(world, moto, proxy, mode);
      } finally {
        world.remove();
        await proxy.stop();
        await moto.stop();
      }
    },
    400_000,
  );
});

async function round(world: World, moto: Moto, proxy: AwsProxy, mode: 'kill' | 'evict'): Promise<void> {
  const cases = issuing.map((at, index): Case => ({ user: `u${index}`, at }));
  const env = { AWS_ADMIN: moto.admin.secretAccessKey };
  const a = world.machine('a');
  const guest: Case = { user: 'guest', at: '' };
  const everybody = [...cases, guest, ...crowds.flatMap(({ users }) => users)];
  for (const { user } of everybody) await moto.createUser(user);
  world.commit(a, Object.fromEntries(everybody.map((one) => [`manifests/${one.user}.yaml`, secret(one)])));
  const first = await world.run(a, ['apply', '--yes'], { env });
  expect(first.code, first.stderr).toBe(0);
  expect(Number(world.git(world.remote, 'rev-list', '--count', 'main'))).toBeLessThan(everybody.length);
  const before = await handles(world, a);

  proxy.flap = [true, false, true];
  for (const { user, at } of cases) {
    // a second key of its own makes the slot the matter: the former one is switched off and removed first
    if (at.startsWith('victim.')) {
      const orphan = await world.run(a, ['rotate', `keys/${user}`, '--force'], {
        env,
        killAt: 'create.afterReply',
        offset: ahead,
      });
      expect(orphan.signal).toBe('SIGKILL');
      const died = await world.run(a, ['apply', '--only', `keys/${user}`], {
        env,
        killAt: at,
        offset: ahead,
      });
      expect([at, died.signal, died.signal ? '' : died.stderr]).toEqual([at, 'SIGKILL', '']);
      continue;
    }
    const died = await world.run(a, ['rotate', `keys/${user}`, '--force'], {
      env,
      killAt: at,
      offset: ahead,
    });
    expect([at, died.signal, died.signal ? '' : died.stderr]).toEqual([at, 'SIGKILL', '']);
  }
  for (const { at, users } of crowds) {
    const names = users.map(({ user }) => `keys/${user}`);
    const died = await world.run(a, ['rotate', ...names, '--force'], { env, killAt: at, offset: ahead });
    expect([at, died.signal, died.signal ? '' : died.stderr]).toEqual([at, 'SIGKILL', '']);
  }
  // A: what consumers read works at every instant
  for (const [user, { current }] of await handles(world, a)) {
    expect(await logsIn(proxy, user, current), user).toBe(true);
    const at = cases.find((one) => one.user === user)?.at ?? '';
    expect([at, before.get(user)?.current.handle === current.handle]).toEqual([at, !promoted.includes(at)]);
  }

  if (mode === 'evict') rmSync(`${a.env.HOME}/.cache`, { recursive: true, force: true });
  const b = mode === 'evict' ? world.machine('b') : a;
  const offset = ahead + (mode === 'evict' ? hour / 2 : 0);
  if (mode === 'kill') world.git(a.clone, 'pull', '--quiet', '--ff-only');
  const recovery = await world.run(b, ['apply', '--yes', '--force'], { env, offset });
  expect([0, 3], recovery.stderr).toContain(recovery.code);
  for (const [user, { current, all, pending }] of await handles(world, b)) {
    expect(pending, `${user} ${cases.find((one) => one.user === user)?.at}\n${recovery.stderr}`).toBe(false);
    expect(await logsIn(proxy, user, current), user).toBe(true);
    const listed = (await moto.keys(user)).map(({ id }) => id);
    expect(
      listed.filter((id) => !all.includes(id)),
      `orphans of ${user}`,
    ).toEqual([]);
  }
  const stranger = await moto.createKey(guest.user);
  const blocked = await world.run(b, ['rotate', `keys/${guest.user}`, '--yes', '--force'], { env, offset });
  expect([blocked.code, blocked.stderr.includes(stranger.accessKeyId)], blocked.stderr).toEqual([3, true]);
  expect(await moto.keys(guest.user)).toHaveLength(2);
  // said once in the record, so that it is not pushed every hour
  const tip = world.tip();
  const again = await world.run(b, ['apply', '--yes'], { env, offset });
  expect([again.code, world.tip() === tip], again.stderr).toEqual([0, true]);
  const findings = world.canary.findings({
    repositories: [world.remote],
    folders: [world.at('tmp'), a.env.HOME ?? '', b.env.HOME ?? ''],
    logs: [],
  });
  expect(findings).toEqual([]);
}

interface Held {
  current: { handle: string; value: string };
  all: string[];
  pending: boolean;
}

/** What the remote says of every user, each value taught to the canary. */
async function handles(world: World, machine: Machine): Promise<Map<string, Held>> {
  const { ledger } = await openSession(world.host(machine), {});
  const found = new Map<string, Held>();
  for (const record of Object.values(ledger.state.records)) {
    if (record.current === null) continue;
    const values = new Map<number, string>();
    for (const [v, version] of Object.entries(record.versions)) {
      if (version.file === null) continue;
      const value = (await ledger.readVersion(record, Number(v))).value.reveal();
      world.canary.learn(`v${v} of ${record.name}`, value);
      values.set(Number(v), value);
    }
    found.set(record.name.replace('keys/', ''), {
      current: {
        handle: record.versions[record.current]?.handle ?? '',
        value: values.get(record.current) ?? '',
      },
      all: Object.values(record.versions).flatMap(({ handle }) => handle ?? []),
      pending: record.pending !== null,
    });
  }
  return found;
}

/** One call by the plain SDK: the key may do nothing, but AWS knows it. */
async function logsIn(proxy: AwsProxy, user: string, { handle, value }: Held['current']): Promise<boolean> {
  const { GetCallerIdentityCommand, STSClient } = await import('@aws-sdk/client-sts');
  const credentials = { accessKeyId: handle, secretAccessKey: value };
  const sts = new STSClient({ endpoint: proxy.url, region: 'us-east-1', credentials });
  tally('logins', 1);
  for (const _ of [1, 2, 3, 4]) {
    const arn = await sts.send(new GetCallerIdentityCommand({})).then(
      ({ Arn = '' }) => Arn,
      () => '',
    );
    if (arn.endsWith(`/${user}`)) return true;
  }
  return false;
}
