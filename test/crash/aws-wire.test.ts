/**
 * What happens between two instructions, at AWS: throttling, errors, lost answers, keys that come late and flap, and a
 * process that dies with its request on the wire; in every mode. After one rerun: the current key works, no orphan is
 * left, nothing foreign was touched.
 */
import { rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openSession } from '../../src/run.ts';
import { type AwsProxy, acceptsKey, type Fault, startAwsProxy } from '../servers/aws-proxy.ts';
import { isMotoMissing, type Moto, startMoto } from '../servers/moto.ts';
import { createWorld, type Machine, type World } from './world.ts';

const hour = 3_600_000;
const own = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'iam:*', Resource: '*' }] };

const modes = {
  'target-grace': 'authenticateAs: target, grace: 12h',
  'target-graceful': 'authenticateAs: target, graceful: true',
  'user-grace': 'authenticateAs: user, grace: 12h',
  'user-graceful': 'authenticateAs: user, graceful: true',
};
type Mode = keyof typeof modes;
const allModes = Object.keys(modes) as Mode[];

interface Case {
  user: string;
  mode: Mode;
  action: string;
  fault: Fault;
  /** The SDK asks up to three times where that is harmless. */
  times: number;
}

const caseOf = (mode: Mode, action: string, fault: Fault, times = 1): Case => ({
  user: `${mode}-${action.replace('AccessKey', '').toLowerCase()}-${fault}`,
  mode,
  action,
  fault,
  times,
});

/** A rotation of each removes the older of two keys, then makes one. */
const faults: Case[] = allModes.flatMap((mode) => [
  caseOf(mode, 'ListAccessKeys', 'throttle', 3),
  caseOf(mode, 'UpdateAccessKey', 'lose-reply', 3),
  caseOf(mode, 'DeleteAccessKey', 'fail', 3),
  ...(['throttle', 'fail', 'lose-request', 'lose-reply'] as const).map((fault) =>
    caseOf(mode, 'CreateAccessKey', fault),
  ),
]);

const deaths: Case[] = [
  ...allModes.flatMap((mode) => [
    caseOf(mode, 'CreateAccessKey', 'lose-request'),
    caseOf(mode, 'CreateAccessKey', 'lose-reply'),
  ]),
  caseOf('target-graceful', 'UpdateAccessKey', 'lose-reply'),
  caseOf('user-grace', 'UpdateAccessKey', 'lose-request'),
  caseOf('target-grace', 'DeleteAccessKey', 'lose-request'),
  caseOf('user-graceful', 'DeleteAccessKey', 'lose-reply'),
];

class Stage {
  readonly #moto: Moto;
  readonly proxy: AwsProxy;
  readonly world: World;
  readonly a: Machine;
  readonly env: NodeJS.ProcessEnv;
  readonly #cases: readonly Case[];

  private constructor(
    moto: Moto,
    proxy: AwsProxy,
    world: World,
    env: NodeJS.ProcessEnv,
    cases: readonly Case[],
  ) {
    this.#moto = moto;
    this.proxy = proxy;
    this.world = world;
    this.a = world.machine('a');
    this.env = env;
    this.#cases = cases;
  }

  /** Every user has two keys of ours; `guest` has one of ours and one of somebody else. */
  static async set(cases: readonly Case[]): Promise<Stage> {
    const moto = await startMoto();
    const proxy = await startAwsProxy(moto.port);
    const env: NodeJS.ProcessEnv = { AWS_ADMIN: moto.admin.secretAccessKey };
    const files: Record<string, string> = {
      'manifests/aws.yaml': `apiVersion: keyturn/v1
kind: Target
metadata: { name: aws }
spec:
  type: aws
  accountId: "123456789012"
  endpoint: ${proxy.url}
  tls: { mode: disable }
  concurrency: 16
  credentials: { accessKeyId: ${moto.admin.accessKeyId}, secretAccessKey: { env: AWS_ADMIN } }
`,
    };
    const declare = (user: string, spec: string): void => {
      files[`manifests/${user}.yaml`] = `apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: keys/${user} }
spec: { target: aws, account: { username: ${user} }, ${spec} }
`;
    };
    for (const [index, { user, mode }] of cases.entries()) {
      const self = mode.startsWith('user');
      await moto.createUser(user, self ? own : undefined);
      if (!self) declare(user, modes[mode]);
      else {
        const { accessKeyId, secretAccessKey } = await moto.createKey(user);
        env[`FIRST_${index}`] = secretAccessKey;
        const initial = `{ accessKeyId: ${accessKeyId}, secretAccessKey: { env: FIRST_${index} } }`;
        declare(user, `${modes[mode]}, initial: ${initial}`);
      }
    }
    await moto.createUser('guest');
    declare('guest', modes['target-grace']);
    const stage = new Stage(moto, proxy, await createWorld(files), env, cases);
    const first = await stage.run(['apply', '--yes'], 0);
    expect(first.code, first.stderr).toBe(0);
    const names = cases.map(({ user }) => `keys/${user}`);
    const second = await stage.run(['rotate', ...names, '--yes', '--force'], hour);
    expect(second.code, second.stderr).toBe(0);
    for (const { user } of cases) expect(await moto.keys(user), user).toHaveLength(2);
    await moto.createKey('guest');
    // from now on keys come late, and go again
    proxy.flap = [true, true, true, false, true, false];
    return stage;
  }

  run(args: string[], offset: number, machine = this.a, started?: (child: { pid: number }) => void) {
    return this.world.run(machine, args, { env: this.env, offset, ...(started ? { started } : {}) });
  }

  /** What the remote says of every case, each value taught to the canary. */
  async held(machine: Machine): Promise<Map<string, { current: string; all: string[]; pending: boolean }>> {
    const { ledger } = await openSession(this.world.host(machine), {});
    const found = new Map<string, { current: string; all: string[]; pending: boolean }>();
    for (const record of Object.values(ledger.state.records)) {
      if (record.current === null) throw new Error(`${record.name} has no current version`);
      for (const [v, { file }] of Object.entries(record.versions)) {
        if (file === null) continue;
        const value = (await ledger.readVersion(record, Number(v))).value.reveal();
        // what this very test passes in the environment is known there
        if (!Object.values(this.env).includes(value))
          this.world.canary.learn(`v${v} of ${record.name}`, value);
      }
      const current = record.versions[record.current]?.handle ?? '';
      const secretAccessKey = (await ledger.readVersion(record, record.current)).value.reveal();
      // what flaps is accepted now and then
      const tries = [1, 2, 3, 4, 5, 6, 7].map(
        () => () => acceptsKey(this.proxy.url, { accessKeyId: current, secretAccessKey }),
      );
      let works = false;
      for (const attempt of tries) works ||= await attempt();
      expect(works, `${record.name} works`).toBe(true);
      found.set(record.name.replace('keys/', ''), {
        current,
        all: Object.values(record.versions).flatMap(({ handle }) => handle ?? []),
        pending: record.pending !== null,
      });
    }
    return found;
  }

  /** One rerun, and what must be true then. */
  async recovered(before: Map<string, { current: string }>, machine: Machine, offset: number): Promise<void> {
    const recovery = await this.run(['apply', '--yes', '--force'], offset, machine);
    expect(recovery.code, recovery.stderr).toBe(0);
    const after = await this.held(machine);
    for (const { user, action } of this.#cases) {
      const now = after.get(user);
      expect([user, now?.pending], recovery.stderr).toEqual([user, false]);
      // what is not even claimed is asked for again by a person
      const begun = action !== 'ListAccessKeys';
      expect([user, now?.current !== before.get(user)?.current]).toEqual([user, begun]);
      const orphans = (await this.#moto.keys(user)).filter(({ id }) => now?.all.includes(id) !== true);
      expect([user, orphans]).toEqual([user, []]);
    }
    expect((await this.#moto.keys('guest')).map(({ active }) => active)).toEqual([true, true]);
    const findings = this.world.canary.findings({
      repositories: [this.world.remote],
      folders: [this.world.at('tmp'), this.a.env.HOME ?? '', machine.env.HOME ?? ''],
      logs: [],
    });
    expect(findings).toEqual([]);
  }

  async strike(): Promise<void> {
    this.world.remove();
    await this.proxy.stop();
    await this.#moto.stop();
  }
}

describe.skipIf(isMotoMissing()).concurrent('access keys in every mode', () => {
  it('outlive throttling, errors and lost answers', async () => {
    const stage = await Stage.set(faults);
    try {
      const before = await stage.held(stage.a);
      for (const { user, action, fault, times } of faults) stage.proxy.arm(action, fault, { user, times });
      const names = [...faults.map(({ user }) => `keys/${user}`), 'keys/guest'];
      const struck = await stage.run(['rotate', ...names, '--yes', '--force'], 3 * hour);
      expect([3, 75], struck.stderr).toContain(struck.code);
      await stage.held(stage.a);
      await stage.recovered(before, stage.a, 4 * hour);
    } finally {
      await stage.strike();
    }
  }, 400_000);

  it.each(['kill', 'evict'] as const)(
    'outlive a process that dies with its request on the wire (%s)',
    async (how) => {
      const stage = await Stage.set(deaths);
      try {
        const { world, a, proxy } = stage;
        const before = await stage.held(a);
        for (const { user, action, fault } of deaths) {
          let pid = 0;
          proxy.arm(action, fault, { user, struck: () => process.kill(pid, 'SIGKILL') });
          const died = await stage.run(
            ['rotate', `keys/${user}`, '--yes', '--force'],
            3 * hour,
            a,
            (child) => {
              pid = child.pid;
            },
          );
          expect([user, died.signal, died.signal ? '' : died.stderr]).toEqual([user, 'SIGKILL', '']);
        }
        await stage.held(a);
        if (how === 'evict') rmSync(`${a.env.HOME}/.cache`, { recursive: true, force: true });
        else world.git(a.clone, 'pull', '--quiet', '--ff-only');
        await stage.recovered(before, how === 'evict' ? world.machine('b') : a, 4 * hour);
      } finally {
        await stage.strike();
      }
    },
    400_000,
  );
});
