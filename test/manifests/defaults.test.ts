import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { specDigest } from '../../src/manifests/digest.ts';
import { notifyEvents } from '../../src/manifests/model.ts';
import { toTarget } from '../../src/manifests/targets.ts';
import type { WrittenTarget } from '../../src/manifests/written.ts';
import {
  admin,
  alice,
  bob,
  ci,
  desired,
  join,
  manifest,
  mysql,
  postgres,
  project,
  secret,
} from './fixtures.ts';

const day = 86_400_000;

const schema = JSON.parse(readFileSync(new URL('../../schemas/target.schema.json', import.meta.url), 'utf8'));
/** Target type -> its schema. */
const targetKinds = Object.entries<{ properties?: { concurrency?: { default: number } } }>(
  schema.$defs,
).filter(([, { properties }]) => properties?.concurrency !== undefined);

describe('defaults', () => {
  it('fill in a whole secret', async () => {
    const { secrets } = await desired(join(mysql(), secret()));
    expect(secrets.get('app')).toEqual({
      name: 'app',
      description: undefined,
      tags: [],
      target: 'prod/mysql',
      rotator: 'password',
      authenticateAs: 'user',
      account: { usernames: ['app'], host: '%' },
      initial: undefined,
      schedule: {
        auto: true,
        paused: false,
        everyDays: 30,
        hour: undefined,
        timezone: 'UTC',
        jitter: 0,
        offset: 0,
        pair: undefined,
        apart: 86_400_000,
        windows: [],
        overdueAfter: 2 * day,
      },
      grace: 0,
      passwordPolicy: {
        length: 32,
        lowercase: true,
        uppercase: true,
        numbers: true,
        symbols: true,
        exclude: '',
      },
      keep: 5,
      deleteProtection: true,
      rotateToken: undefined,
      movedFrom: undefined,
      readers: [],
      notify: { before: [], events: [...notifyEvents], channels: [] },
      verifyEvery: undefined,
      drift: 'alarm',
      ownSchedule: false,
      specDigest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      source: { file: 'manifests/a.yaml', line: 9, column: 1 },
    });
  });

  it('fill in a target and a project', async () => {
    const { project: acme, targets } = await desired(join(mysql(), postgres()));
    expect(acme).toEqual({
      name: 'acme',
      reconcilers: [ci, admin],
      planners: [],
      stateRef: undefined,
      limits: { maxRotations: 20, maxShare: 0.5 },
      channels: {},
    });
    expect(targets.get('prod/mysql')).toMatchObject({
      type: 'mysql',
      host: 'db.internal',
      port: 3306,
      verifyHost: undefined,
      database: undefined,
      concurrency: 8,
      timeout: 10_000,
      tls: { mode: 'verify', ca: undefined, caFile: undefined, serverName: undefined },
      credentials: { username: 'root', usernameHost: '%', password: { env: 'ROOT' } },
    });
    expect(targets.get('prod/pg')).toMatchObject({
      type: 'postgresql',
      port: 5432,
      database: 'postgres',
      credentials: { usernameHost: undefined },
    });
  });

  it.each(targetKinds)('of %s: as many secrets side by side as its schema says', (type, { properties }) => {
    const written = { metadata: { name: 'x' }, spec: { type, url: 'https://x/' } } as WrittenTarget;
    const target = toTarget(written, undefined, { file: 'x', line: 1, column: 1 });
    expect(target.concurrency).toBe(properties?.concurrency?.default);
  });

  it('of the project lie under those of the secret, key by key', async () => {
    const defaults = project(
      'defaults: { schedule: { every: 7d, hour: 3, timezone: Europe/Berlin }, keep: 9, grace: 1h, passwordPolicy: { length: 64, symbols: false }, deleteProtection: false }',
    );
    const { secrets } = await desired(
      join(
        mysql(),
        secret('a'),
        secret('b', 'schedule: { hour: 4 }\npasswordPolicy: { symbols: true }\nkeep: 3'),
        secret('c', 'schedule: manual'),
      ),
      { project: defaults },
    );
    expect(secrets.get('a')).toMatchObject({
      schedule: { auto: true, everyDays: 7, hour: 3 },
      keep: 9,
      grace: 3_600_000,
      deleteProtection: false,
      passwordPolicy: { length: 64, symbols: false },
    });
    expect(secrets.get('b')).toMatchObject({
      schedule: { everyDays: 7, hour: 4, timezone: 'Europe/Berlin' },
      keep: 3,
      passwordPolicy: { length: 64, symbols: true },
    });
    expect(secrets.get('c')).toMatchObject({ schedule: { auto: false, everyDays: 7 } });
  });

  it('a manual project is overruled by a schedule', async () => {
    const { secrets } = await desired(join(mysql(), secret('a'), secret('b', 'schedule: { every: 7d }')), {
      project: project('defaults: { schedule: manual }'),
    });
    expect(secrets.get('a')?.schedule.auto).toBe(false);
    expect(secrets.get('b')?.schedule.auto).toBe(true);
  });
});

describe('readers', () => {
  const role = (name: string, members: string, globs: string) =>
    manifest('Role', name, `members: [${members}]\nsecrets: [${globs}]`);
  const readersOf = async (globs: string) => {
    const names = ['prod/db', 'prod/db/app', 'prod/other', 'test/db'];
    const text = join(
      mysql(),
      ...names.map((name) =>
        manifest(
          'RotatedSecret',
          name,
          `target: prod/mysql\naccount: { username: ${name.replaceAll('/', '_')} }`,
        ),
      ),
    );
    const { secrets } = await desired(join(text, role('r', `{ name: a, recipient: ${alice} }`, globs)));
    return names.filter((name) => secrets.get(name)?.readers.length === 1);
  };

  it.each([
    ['prod/db', ['prod/db']],
    ['prod/*', ['prod/db', 'prod/other']],
    ['prod/*/*', ['prod/db/app']],
    ['"**"', ['prod/db', 'prod/db/app', 'prod/other', 'test/db']],
    ['"**/db"', ['prod/db', 'test/db']],
    ['prod/o*, test/**', ['prod/other', 'test/db']],
    ['"*"', []],
  ])('%s', async (globs, names) => expect(await readersOf(globs)).toEqual(names));

  it('come from every role, each once, sorted by recipient', async () => {
    const text = join(
      mysql(),
      secret(),
      role('x', `{ name: zoe, recipient: ${alice} }, { name: bob, recipient: ${bob} }`, 'app'),
      role('y', `{ name: alice, recipient: ${alice} }`, 'a*'),
    );
    expect((await desired(text)).secrets.get('app')?.readers).toEqual([
      { name: 'bob', recipient: bob },
      { name: 'alice', recipient: alice },
    ]);
  });
});

describe('specDigest', () => {
  const digest = async (more = '', text = '') =>
    (await desired(join(mysql(), secret('app', more), text))).secrets.get('app')?.specDigest;
  it('follows what decides a rotation, not the way it is written', async () => {
    const plain = await digest();
    expect(await digest('keep: 5\nschedule: { every: 30d, auto: true }')).toBe(plain);
    expect(
      await digest('', manifest('Role', 'r', `members: [{ name: a, recipient: ${alice} }]\nsecrets: ["**"]`)),
    ).toBe(plain);
    expect(
      (
        await desired(
          join(
            '# moved down\n',
            mysql(),
            secret().replace('name: app', 'name: app, description: x, tags: [y]'),
          ),
        )
      ).secrets.get('app')?.specDigest,
    ).toBe(plain);
    for (const change of [
      'keep: 6',
      'grace: 1h',
      'schedule: { hour: 0 }',
      'rotateToken: a',
      'initial: { password: { env: P } }',
    ]) {
      expect(await digest(change)).not.toBe(plain);
    }
  });
});

it('specDigest does not depend on the order of keys', async () => {
  const model = (await desired(join(mysql(), secret()))).secrets.get('app');
  if (model === undefined) throw new Error('app did not load');
  const turned = Object.fromEntries(Object.entries(model).toReversed()) as typeof model;
  expect(specDigest(turned)).toBe(specDigest(model));
});
