/** Custom rotators through the command line: examples/custom-rotator as a program, keyturn as another. */
import { readFileSync } from 'node:fs';
import type { JSONWebKeySet } from 'jose';
import { afterEach, expect, test } from 'vitest';
import { createWorld, type Machine, type World } from '../crash/world.ts';
import { audience, type ExampleRotator, startExample } from '../servers/rotator.ts';

const stops: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

const secret = (name: string, more: string): string => `apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: app/${name} }
spec:
  target: app
  account: { username: ${name} }
${more}`;

async function stage(
  manifests: Record<string, string>,
  users: string[],
): Promise<{ world: World; me: Machine; example: ExampleRotator }> {
  const world = await createWorld({});
  stops.push(() => world.remove());
  const me = world.machine('a');
  const keys: JSONWebKeySet = JSON.parse((await world.ask(me, ['jwks'])).stdout);
  const example = await startExample(keys);
  stops.push(() => example.stop());
  for (const user of users) example.store.create(user, `by-hand-${user}-1`);
  world.commit(me, {
    'ca.pem': example.caPem,
    'manifests/app.yaml': `apiVersion: keyturn/v1
kind: Target
metadata: { name: app }
spec:
  type: web
  url: ${example.url}
  audience: ${audience}
  tls: { ca: ca.pem }
  allowAddresses: [127.0.0.1, "::1"]
  timeout: 5s
`,
    ...Object.fromEntries(
      Object.entries(manifests).map(([name, more]) => [`manifests/${name}.yaml`, secret(name, more)]),
    ),
  });
  return { world, me, example };
}

const get = async (world: World, me: Machine, name: string, ...more: string[]): Promise<string> =>
  (await world.ask(me, ['get', name, ...more])).stdout.trim();

test('a proposed value is set, verified, kept in its grace and revoked', async () => {
  const { world, me, example } = await stage(
    { reporting: '  operations: [rotate, verify, revoke, status]\n  replays: true\n  grace: 1s\n' },
    ['reporting'],
  );
  const first = await world.run(me, ['apply', '--yes']);
  expect(first.code, first.stderr).toBe(0);
  const one = await get(world, me, 'app/reporting');
  expect(example.store.login('reporting', one)).toBe('present');
  const second = await world.run(me, ['rotate', 'app/reporting', '--force', '--yes']);
  expect(second.code, second.stderr).toBe(0);
  const two = await get(world, me, 'app/reporting');
  expect([example.store.login('reporting', two), example.store.login('reporting', one)]).toEqual([
    'present',
    'former',
  ]);
  for (let runs = 0; runs < 20 && example.store.login('reporting', one) !== 'refused'; runs += 1) {
    const third = await world.run(me, ['apply', '--yes']);
    expect(third.code, third.stderr).toBe(0);
  }
  expect([example.store.login('reporting', two), example.store.login('reporting', one)]).toEqual([
    'present',
    'refused',
  ]);
  expect((await world.run(me, ['verify'])).code).toBe(0);
});

test('a value that the rotator makes is recorded before it is current', async () => {
  const { world, me, example } = await stage(
    {
      mailer:
        '  generate: rotator\n  operations: [rotate, verify, status]\n  replays: true\n  passwordPolicy: { length: 24, symbols: false }\n',
    },
    ['mailer'],
  );
  const first = await world.run(me, ['apply', '--yes']);
  expect(first.code, first.stderr).toBe(0);
  const one = await get(world, me, 'app/mailer');
  expect(one).toMatch(/^[A-Za-z0-9]{24}$/);
  expect(example.store.login('mailer', one)).toBe('present');
  const second = await world.run(me, ['rotate', 'app/mailer', '--force', '--yes']);
  expect(second.code, second.stderr).toBe(0);
  expect(example.store.login('mailer', await get(world, me, 'app/mailer'))).toBe('present');
  expect(example.store.login('mailer', one)).toBe('refused');
  expect(world.git(me.clone, 'log', '--format=%s', 'origin/main')).toContain('keyturn: record app/mailer v2');
  expect(readFileSync(`${me.clone}/ca.pem`, 'utf8')).toBe(example.caPem);
});

test('a rotator that verifies nothing is not asked, and that is no failure', async () => {
  const { world, me } = await stage({ plain: '  replays: true\n  verify: { every: 1d }\n' }, ['plain']);
  const first = await world.run(me, ['apply', '--yes']);
  expect(first.code, first.stderr).toBe(0);
  const verified = await world.run(me, ['verify']);
  expect([verified.code, verified.stdout]).toEqual([
    0,
    expect.stringMatching(/plain +v1 +skipped +the rotator has no operation to verify a value/),
  ]);
  const tip = world.tip();
  const checked = await world.run(me, ['apply', '--yes'], { offset: 2 * 86_400_000 });
  expect([checked.code, world.tip() === tip], checked.stderr).toEqual([0, true]);
});
