import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type PostgresServer, startPostgres } from '../servers/postgresql.ts';
import { withoutAge } from '../state/people.ts';
import {
  ageOpens,
  ageOpensFile,
  as,
  keyturnOpens,
  type Member,
  member,
  type Office,
  openOffice,
  role,
  said,
} from './office.ts';

/** Three roles, ten secrets, keys of every kind: who opens what, tried with keyturn and with age. */

const secrets = [
  ...['app/one', 'app/two', 'app/deep/three', 'app/deep/four'],
  ...['data/one', 'data/two', 'data/three', 'ops/one', 'ops/two', 'ops/three'],
];

let server: PostgresServer;
let office: Office;
let alice: Member;
let bob: Member;
let carol: Member;
let deploy: Member;
let dora: Member;

beforeAll(async () => {
  server = await startPostgres();
  [alice, bob, carol, deploy, dora] = await Promise.all([
    member('alice'),
    member('bob'),
    member('carol', 'rsa'),
    member('deploy', 'ed25519'),
    member('dora', 'hybrid'),
  ]);
});
afterAll(() => server.stop());
beforeEach(() => () => office.desk.leave());

const roles = (ops: string): string =>
  role('app', `${as(alice)}, ${as(deploy)}`, '"app/**"') +
  role('data', `${as(bob)}, ${as(dora)}, ${as(alice)}`, '"data/*"') +
  role('ops', ops, '"ops/one", "ops/two", "*/deep/three"');

const later = (): void => {
  office.desk.ahead += 30 * 60_000;
};

/** Contents of every value file that commits after `since` have written. */
function writtenSince(since: string): Buffer[] {
  const { desk } = office;
  const blobs = desk
    .git('log', '--format=', '--raw', '--no-abbrev', '--diff-filter=AM', `${since}..HEAD`, '--', 'values')
    .split('\n')
    .filter((line) => line.endsWith('.age'))
    .map((line) => line.split(' ')[3] ?? '');
  return blobs.map((blob) => execFileSync('git', ['cat-file', 'blob', blob], { cwd: desk.clone }));
}

describe('three roles and ten secrets', () => {
  it.skipIf(withoutAge)('each identity opens exactly what access says', async () => {
    const everybody = [alice, bob, carol, deploy, dora];
    office = await openOffice(server, secrets);
    office.desk.write('manifests/keys/ops.txt', `# the ops team\n${carol.recipient}\n`);
    office.declare(roles('{ name: carol, recipientsFile: manifests/keys/ops.txt }'));
    await office.run('apply');
    const expected = [
      ...['app/one', 'app/two', 'app/deep/three', 'app/deep/four'].flatMap((s) => [
        `alice ${s}`,
        `deploy ${s}`,
      ]),
      ...['data/one', 'data/two', 'data/three'].flatMap((s) => [`alice ${s}`, `bob ${s}`, `dora ${s}`]),
      ...['ops/one', 'ops/two', 'app/deep/three'].map((s) => `carol ${s}`),
    ].sort();
    expect(await said(office, everybody)).toEqual(expected);
    expect(await keyturnOpens(office, everybody, secrets)).toEqual(expected);
    expect(ageOpens(office, everybody, secrets)).toEqual(expected.filter((line) => !line.startsWith('dora')));

    const own = JSON.parse((await office.run('--json', 'access', '--reader', 'carol')).out);
    expect(own.map((entry: { secret: string }) => entry.secret)).toEqual([
      'app/deep/three',
      'ops/one',
      'ops/two',
    ]);
    const { out, err } = await office.desk.keyturn(['--identity', bob.file, 'access', 'data/one']);
    expect(out).toMatch(/data\/one\s+bob\s+age1/);
    expect(err).toContain('what the manifests say');
  });

  it.skipIf(withoutAge)(
    'a removed reader opens nothing that is written after, and everybody else goes on',
    async () => {
      office = await openOffice(server, secrets.slice(6));
      office.declare(roles(`${as(carol)}, ${as(bob)}`));
      await office.run('apply');
      const before = office.desk.tip();
      later();
      office.declare(roles(as(bob)));
      const plan = await office.run('plan');
      expect(plan.out).toMatch(/~ rotate {3}ops\/one\s+v1 -> v2 {3}reader removed: carol/);
      expect(plan.out).not.toContain('ops/three');
      expect((await office.run('access', 'ops/one')).out).toMatch(
        /carol\s+fp:\S+\s+knows v1 until it is rotated/,
      );
      await office.run('apply');
      const files = writtenSince(before);
      expect(files).toHaveLength(2);
      for (const bytes of files) {
        expect(ageOpensFile(carol.file, bytes)).toBe(false);
        expect(ageOpensFile(bob.file, bytes)).toBe(true);
      }
      expect(await keyturnOpens(office, [carol], secrets.slice(6))).toEqual([]);
      expect((await office.desk.keyturn(['plan', '--detailed-exitcode'])).code).toBe(0);
    },
  );

  it('an expired member counts as removed, by the clock alone', async () => {
    office = await openOffice(server, ['ops/one']);
    const expires = new Date(Date.now() + 86_400_000).toISOString().replace(/\.\d+Z$/, 'Z');
    office.declare(roles(`${as(bob)}, ${as(carol, `, expires: "${expires}"`)}`));
    await office.run('apply');
    expect(await keyturnOpens(office, [carol], ['ops/one'])).toEqual(['carol ops/one']);
    expect((await office.run('access', 'ops/one')).out).toContain(expires.slice(0, 10));
    office.desk.ahead = 2 * 86_400_000;
    expect((await office.run('apply')).err).toContain('reader removed: carol');
    expect(await keyturnOpens(office, [bob, carol], ['ops/one'])).toEqual(['bob ops/one']);
    expect((await office.desk.keyturn(['plan', '--detailed-exitcode'])).code).toBe(0);
  });

  it('an added reader opens what is in use, and nothing older', async () => {
    office = await openOffice(server, ['ops/one']);
    office.declare(roles(as(bob)));
    await office.run('apply');
    later();
    await office.run('rotate', 'ops/one');
    later();
    office.declare(roles(`${as(bob)}, ${as(carol)}`));
    expect((await office.run('apply')).err).toContain('reader added: carol');
    expect(await keyturnOpens(office, [carol], ['ops/one'])).toEqual(['carol ops/one']);
    const old = await office.desk.keyturn(['--identity', carol.file, 'get', 'ops/one', '--version', '1']);
    expect(old).toMatchObject({ code: 1, out: '' });
    expect(old.err).toContain('not for you');
  });
});

it('keep and thirty days prune what nobody needs any more', async () => {
  office = await openOffice(server, ['ops/one'], { spec: () => ', keep: 3' });
  office.declare(roles(as(bob)));
  await office.run('apply');
  const rotateAfter = async (days: number): Promise<void> => {
    office.desk.ahead += days * 86_400_000;
    await office.run('rotate', 'ops/one');
  };
  const kept = (): string[] => office.desk.git('ls-files', 'values').split('\n');
  const files = (...names: string[]): string[] => [
    ...names.map((name) => `values/ops/one/${name}`),
    'values/ops/one@current',
  ];
  for (const days of [8, 8, 8]) await rotateAfter(days);
  expect(kept()).toEqual(files('1.age', '2.age', '3.age', '4.age'));
  await rotateAfter(16);
  // v1 was retired 32 days ago, v2 24
  expect(kept()).toEqual(files('2.age', '3.age', '4.age', '5.age'));
  expect((await office.desk.keyturn(['get', 'ops/one', '--version', '1'])).err).toContain('has no version 1');
});

describe('a crash between rekey and rotate', () => {
  it('the removed reader is not forgotten when another one is added first', async () => {
    office = await openOffice(server, ['ops/one']);
    office.declare(roles(`${as(bob)}, ${as(carol)}`));
    await office.run('apply');
    // its last claim is too young for a rotation: only the re-encryption happens
    office.declare(roles(`${as(bob)}, ${as(alice)}`));
    const first = await office.run('apply');
    expect(first.err).toContain('reader added: alice');
    expect(first.err).toMatch(/= hold\s+ops\/one\s+reader removed: carol/);
    expect((await office.run('access', 'ops/one')).out).toMatch(/carol\s+fp:\S+\s+knows v1 until/);
    later();
    expect((await office.run('apply')).err).toContain('reader removed: carol');
    expect(await keyturnOpens(office, [alice, bob, carol], ['ops/one'])).toEqual([
      'alice ops/one',
      'bob ops/one',
    ]);
    expect((await office.run('access', 'ops/one')).out).not.toContain('carol');
  });

  it.each(['rekey.afterPush', 'claim.beforeCommit', 'claim.afterPush', 'promote.beforeCommit'])(
    'dying at %s, the next run ends it',
    async (place) => {
      office = await openOffice(server, ['ops/one', 'data/one']);
      office.declare(roles(`${as(bob)}, ${as(carol)}`));
      await office.run('apply');
      later();
      // data/one gets a reader, ops/one loses one
      office.declare(roles(as(bob)) + role('more', as(carol), '"data/one"'));
      office.desk.failpoint = async (name) => {
        if (name === place) throw new Error('died here');
      };
      expect((await office.desk.keyturn(['apply'])).code).not.toBe(0);
      office.desk.failpoint = async () => undefined;
      office.desk.git('pull', '--quiet', '--rebase');
      later();
      await office.run('apply');
      expect(await keyturnOpens(office, [bob, carol], ['ops/one', 'data/one'])).toEqual([
        'bob data/one',
        'bob ops/one',
        'carol data/one',
      ]);
      expect((await office.desk.keyturn(['plan', '--detailed-exitcode'])).code).toBe(0);
      expect((await office.desk.keyturn(['verify'])).code).toBe(0);
    },
  );
});
