/**
 * Custom rotators: every failpoint of both ways to get a value, the real command line killed there, with its disk
 * (`kill`) or without it (`evict`), and killed by the rotator itself while it works.
 */
import { rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openSession } from '../../src/run.ts';
import { type CustomServer, startCustom } from '../servers/custom.ts';
import { audience } from '../servers/rotator.ts';
import { tally } from '../tally.ts';
import { pushed } from './failpoints.ts';
import { createWorld, type Machine, type World } from './world.ts';

const late = 30 * 60_000;
const initial = 'typed-by-hand-1';
/** Killed by the rotator: before it has changed anything, and after, with its answer on the way. */
const atRotator = ['rotator.before', 'rotator.after'] as const;
const proposed = [
  ...pushed('claim'),
  'fence.after',
  'set.beforeConnect',
  ...atRotator,
  'set.afterAck',
  'verify.before',
  ...pushed('promote'),
];
const made = [
  ...pushed('claim'),
  'fence.after',
  'create.beforeSend',
  ...atRotator,
  'create.afterReply',
  'create.beforeSpool',
  'create.afterSpool',
  ...pushed('issued').slice(1),
  'issued.beforePush',
  'verify.before',
  ...pushed('promote'),
];

const needsCurrent = `  payload: '{"current": "\${current_password}"}'\n  initial: { password: { env: INITIAL } }\n`;
const kinds = [
  {
    kind: 'proposed, with grace',
    at: proposed,
    replays: false,
    grace: true,
    spec: '  operations: [rotate, verify, revoke]\n  grace: 1h\n',
  },
  {
    kind: 'proposed, needs the current value',
    at: proposed,
    replays: false,
    grace: false,
    spec: `  operations: [rotate, verify]\n${needsCurrent}`,
  },
  {
    kind: 'proposed, verified by nothing',
    at: proposed,
    replays: true,
    grace: false,
    spec: '  replays: true\n',
  },
  {
    kind: 'made there, replayed, needs the current value',
    at: made,
    replays: true,
    grace: false,
    spec: `  generate: rotator\n  replays: true\n  operations: [rotate, verify]\n${needsCurrent}`,
  },
  {
    kind: 'made there, never replayed',
    at: made,
    replays: false,
    grace: false,
    spec: '  generate: rotator\n  operations: [rotate, verify]\n',
  },
] as const;

const manifest = (name: string, spec: string): string => `apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: app/${name} }
spec:
  target: app
  account: { username: ${name} }
${spec}`;

const target = (server: CustomServer): string => `apiVersion: keyturn/v1
kind: Target
metadata: { name: app }
spec:
  type: web
  url: ${server.url}/
  audience: ${audience}
  tls: { ca: ca.pem }
  allowAddresses: [127.0.0.1, "::1"]
  timeout: 5s
`;

describe.each(['kill', 'evict'] as const)('a process that dies (%s)', (mode) => {
  it.each(kinds)(
    'loses no value that is $kind',
    async ({ at, replays, grace, spec }) => {
      const server = await startCustom({ replays });
      const world = await createWorld({ 'manifests/app.yaml': target(server), 'ca.pem': server.caPem });
      try {
        await round(world, server, mode, at, grace, spec);
      } finally {
        world.remove();
        await server.stop();
      }
    },
    400_000,
  );
});

async function round(
  world: World,
  server: CustomServer,
  mode: 'kill' | 'evict',
  places: readonly string[],
  grace: boolean,
  spec: string,
): Promise<void> {
  const a = world.machine('a');
  server.keys = JSON.parse((await world.ask(a, ['jwks'])).stdout);
  const users = places.map((_, index) => `u${index}`);
  const env = { INITIAL: initial };
  for (const user of users) server.store.create(user, initial);
  world.commit(a, Object.fromEntries(users.map((user) => [`manifests/${user}.yaml`, manifest(user, spec)])));
  const first = await world.run(a, ['apply', '--yes'], { env });
  expect(first.code, first.stderr).toBe(0);

  for (const [index, place] of places.entries()) {
    const name = `app/u${index}`;
    const [, moment] = /^rotator\.(.*)$/.exec(place) ?? [];
    const died = await world.run(a, ['rotate', name, '--force', '--yes'], {
      env,
      ...(moment === undefined ? { killAt: place } : {}),
      started: (child) => {
        server.during = async (now) => {
          if (now !== moment) return;
          child.kill('SIGKILL');
          server.during = () => undefined;
        };
      },
    });
    server.during = () => undefined;
    expect([place, died.signal, died.signal ? '' : died.stderr]).toEqual([place, 'SIGKILL', '']);
  }
  // I1, I5: what works is recorded, unless only the rotator has ever known it; in its grace the current value works
  for (const [user, { values, current }] of await held(world, a)) {
    const place = places[Number(user.slice(1))];
    const live = values.filter((value) => logIn(server, user, value) === 'present');
    if (!spec.includes('generate')) expect([place, live.length]).toEqual([place, 1]);
    if (grace) expect([place, logIn(server, user, current)]).not.toEqual([place, 'refused']);
  }

  if (mode === 'evict') rmSync(`${a.env.HOME}/.cache`, { recursive: true, force: true });
  const b = mode === 'evict' ? world.machine('b') : a;
  const offset = mode === 'evict' ? late : 0;
  server.ahead = offset;
  if (mode === 'kill') world.git(a.clone, 'pull', '--quiet', '--ff-only');
  const recovery = await world.run(b, ['apply', '--yes', '--force'], { env, offset });
  expect(recovery.code, recovery.stderr).toBe(0);
  for (const [user, { current, pending }] of await held(world, b)) {
    const place = places[Number(user.slice(1))];
    expect([place, logIn(server, user, current), pending], recovery.stderr).toEqual([
      place,
      'present',
      false,
    ]);
  }
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

function logIn({ store }: CustomServer, user: string, value: string): ReturnType<typeof store.login> {
  tally('logins', 1);
  return store.login(user, value);
}

/** What the remote says of every user, each value taught to the canary. */
async function held(
  world: World,
  machine: Machine,
): Promise<Map<string, { current: string; values: string[]; pending: boolean }>> {
  const { ledger } = await openSession(world.host(machine), {});
  const found = new Map<string, { current: string; values: string[]; pending: boolean }>();
  for (const record of Object.values(ledger.state.records)) {
    const values = new Map<number, string>();
    for (const [v, { file }] of Object.entries(record.versions)) {
      if (file === null) continue;
      const value = (await ledger.readVersion(record, Number(v))).value.reveal();
      // the initial one is in the environment by intent
      if (value !== initial) world.canary.learn(`v${v} of ${record.name}`, value);
      values.set(Number(v), value);
    }
    found.set(record.name.replace('app/', ''), {
      current: values.get(record.current ?? 0) ?? '',
      values: [...values.values()],
      pending: record.pending !== null,
    });
  }
  return found;
}
