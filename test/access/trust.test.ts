import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type PostgresServer, startPostgres } from '../servers/postgresql.ts';
import {
  ageOpensFile,
  as,
  keyturnOpens,
  type Member,
  member,
  type Office,
  openOffice,
  role,
} from './office.ts';

/** Who lets a reader in, values that no reconciler can read, changed keys, and earlier values. */

let server: PostgresServer;
let office: Office;
let bob: Member;
let carol: Member;

beforeAll(async () => {
  server = await startPostgres();
  [bob, carol] = await Promise.all([member('bob'), member('carol', 'ed25519')]);
});
afterAll(() => server.stop());
beforeEach(() => () => office.desk.leave());

const later = (): void => {
  office.desk.ahead += 30 * 60_000;
};

async function accepts(user: string, password: string): Promise<boolean> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: server.port,
    user,
    password,
    database: 'postgres',
  });
  try {
    await client.connect();
    return true;
  } catch (error) {
    expect((error as { code?: string }).code).toBe('28P01');
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

const valueFor = async (who: Member, secret = 'a'): Promise<string> =>
  (await office.run('--identity', who.file, 'get', secret)).out;

describe('trust: signed', () => {
  const open = async (members: string): Promise<void> => {
    office = await openOffice(server, ['a'], { project: '  trust: signed\n' });
    office.declare(role('r', members, '"**"'));
  };

  it('nobody reads before a signer has approved, a first version included', async () => {
    await open(as(bob));
    const first = await office.run('apply');
    expect(first.err).toMatch(/= hold\s+a\s+not sealed to bob before keyturn approve a/);
    expect(await keyturnOpens(office, [bob], ['a'])).toEqual([]);
    expect((await office.run('access', 'a')).out).toMatch(/bob\s+age1\S+\s+after keyturn approve/);

    const approved = await office.run('approve');
    expect(approved.err).toContain('+ a   bob   age1');
    expect((await office.run('approve')).err).toContain('nobody waits');
    later();
    expect((await office.run('apply')).err).toContain('reader added: bob');
    expect(await keyturnOpens(office, [bob], ['a'])).toEqual(['bob a']);
  });

  it('an approval before the first version counts for it', async () => {
    await open(as(carol));
    await office.run('approve', 'a');
    expect((await office.run('apply')).err).toContain('~ rotate   a   new -> v1');
    expect(await keyturnOpens(office, [carol], ['a'])).toEqual(['carol a']);
  });

  it('an approval ends with the right: whoever comes back needs a new one', async () => {
    await open(as(bob));
    await office.run('approve');
    await office.run('apply');
    later();
    office.declare(role('r', '', '"**"'));
    expect((await office.run('apply')).err).toContain('reader removed: bob');
    later();
    office.declare(role('r', as(bob), '"**"'));
    await office.run('apply');
    expect(await keyturnOpens(office, [bob], ['a'])).toEqual([]);
  });

  it('a reconciler and a planner that somebody added get neither values nor state', async () => {
    await open(as(bob));
    await office.run('approve');
    await office.run('apply');
    later();
    const { desk } = office;
    desk.write(
      'keyturn.yaml',
      desk.read('keyturn.yaml').replace('reconcilers:', `reconcilers:\n    - ${carol.recipient}`),
    );
    desk.write(
      'keyturn.yaml',
      `${desk.read('keyturn.yaml')}  planners: [${carol.recipient.split(' ').slice(0, 2).join(' ')}]\n`,
    );
    desk.push();
    await office.run('rotate', 'a', '--force');
    const { execFileSync } = await import('node:child_process');
    const opens = (): string[] =>
      desk
        .git('ls-files', 'state', 'values')
        .split('\n')
        .filter((path) => path.endsWith('.age'))
        .filter((path) => ageOpensFile(carol.file, execFileSync('cat', [join(desk.clone, path)])));
    expect(opens()).toEqual([]);
    expect((await office.run('approve')).err).toContain('+ the state   ssh-ed25519');
    later();
    await office.run('apply');
    expect(opens()).toContain('values/a/2.age');
    expect(opens().some((path) => path.startsWith('state/'))).toBe(true);
  });

  it('is not switched off by whoever may push: a signer does it', async () => {
    await open('');
    await office.run('apply');
    later();
    const { desk } = office;
    desk.write('keyturn.yaml', desk.read('keyturn.yaml').replace('trust: signed', 'trust: branch'));
    office.declare(role('r', as(bob), '"**"'));
    expect((await office.run('rotate', 'a', '--force')).err).toContain('not sealed to bob');
    expect(await keyturnOpens(office, [bob], ['a'])).toEqual([]);
    expect((await office.run('approve')).err).toContain('readers are approved by the branch');
    later();
    await office.run('apply');
    expect(await keyturnOpens(office, [bob], ['a'])).toEqual(['bob a']);
  });

  it('needs a signing key', async () => {
    await open(as(bob));
    await office.run('apply');
    const bundle = office.desk.read('.keyturn-ci-identity');
    const trust = /KEYTURN-TRUST-1 (ci-1) \S+/.exec(bundle)?.[0] ?? '';
    const unsigned = join(office.desk.clone, '..', 'unsigned');
    writeFileSync(unsigned, `${bundle.replace(/^KEYTURN-SIGN-1.*$/m, '')}\n${trust}\n`, { mode: 0o600 });
    const refused = await office.desk.keyturn(['--identity', unsigned, 'approve']);
    expect(refused.code).toBe(1);
    expect(refused.err).toContain('has no signing key');
  });
});

describe('blind', () => {
  const blind = (): string => ', blind: true';

  it('no reconciler reads it, rotations and a crash go on all the same', async () => {
    office = await openOffice(server, ['a'], { spec: blind });
    office.declare(role('r', as(bob), '"**"'));
    await office.run('apply');
    expect(await accepts('u0', await valueFor(bob))).toBe(true);
    const own = await office.desk.keyturn(['get', 'a']);
    expect(own).toMatchObject({ code: 1, out: '' });
    expect(own.err).toContain('not for you');
    expect((await office.run('verify')).out).toMatch(/a\s+v1\s+skipped/);

    later();
    office.desk.failpoint = async (name) => {
      if (name === 'set.afterAck') throw new Error('died here');
    };
    expect((await office.desk.keyturn(['rotate', 'a'])).code).not.toBe(0);
    office.desk.failpoint = async () => undefined;
    later();
    office.desk.git('pull', '--quiet', '--rebase');
    expect((await office.run('apply')).err).toContain('resume');
    expect(await accepts('u0', await valueFor(bob))).toBe(true);
    expect((await office.run('history', 'a')).out).toMatch(/v2 abandoned, v3 pending/);
    expect((await office.run('--identity', bob.file, 'get', 'a', '--version', '2')).out).toHaveLength(32);
  });

  it('a reader that is added gets the next version: nobody can seal the old one', async () => {
    office = await openOffice(server, ['a'], { spec: blind });
    office.declare(role('r', as(bob), '"**"'));
    await office.run('apply');
    later();
    office.declare(role('r', `${as(bob)}, ${as(carol)}`, '"**"'));
    expect((await office.run('apply')).err).toMatch(/~ rotate\s+a\s+v1 -> v2\s+reader added: carol/);
    expect(await keyturnOpens(office, [bob, carol], ['a'])).toEqual(['bob a', 'carol a']);
  });

  it('making a secret blind rotates it: the reconcilers know the old value', async () => {
    office = await openOffice(server, ['a']);
    office.declare(role('r', as(bob), '"**"'));
    await office.run('apply');
    later();
    const { desk } = office;
    desk.write(
      'manifests/all.yaml',
      desk.read('manifests/all.yaml').replace('username: u0 }', 'username: u0 }, blind: true'),
    );
    desk.push();
    expect((await office.run('apply')).err).toContain('reader removed: reconciler');
    expect((await desk.keyturn(['get', 'a'])).err).toContain('not for you');
    expect(await accepts('u0', await valueFor(bob))).toBe(true);
  });

  it('is refused where somebody needs the old value', async () => {
    office = await openOffice(server, ['a'], { spec: () => ', blind: true, grace: 1d' });
    office.desk.write(
      'manifests/all.yaml',
      office.desk.read('manifests/all.yaml').replace('authenticateAs: target', 'authenticateAs: user'),
    );
    const { err, code } = await office.desk.keyturn(['validate']);
    expect(code).toBe(1);
    expect(err).toContain('an account that changes its own password cannot be blind');
    expect(err).toContain('blind and grace need two users that take turns');
    expect(err).toContain('nobody could read it for good');
  });
});

describe('a changed reconciler', () => {
  const swap = async (): Promise<{ fresh: string }> => {
    office = await openOffice(server, ['a']);
    office.declare(role('r', as(bob), '"**"'));
    await office.run('apply');
    const { desk } = office;
    const made = await desk.keyturn(['keygen', '--name', 'ci-2', '--out', '../ci-2']);
    const [fresh = ''] = /age1\S+/.exec(made.err) ?? [];
    const trust = /KEYTURN-TRUST-1 admin-1 \S+/.exec(desk.read('.keyturn-ci-identity'))?.[0];
    desk.write('../ci-2', `${desk.read('../ci-2')}${trust}\n`);
    return { fresh };
  };
  const recipients = (): string[] => office.desk.read('keyturn.yaml').match(/age1\w+/g) ?? [];

  it('another key for the same reconciler re-encrypts and rotates nothing', async () => {
    const { fresh } = await swap();
    const { desk } = office;
    const before = await valueFor(bob);
    desk.write('keyturn.yaml', desk.read('keyturn.yaml').replace(recipients()[0] ?? '', fresh));
    desk.push();
    later();
    const { err } = await office.run('apply');
    expect(err).toMatch(/@ rekey\s+a\s+reconciler key changed/);
    expect(err).not.toContain('rotate');
    expect((await office.run('--identity', join(desk.clone, '..', 'ci-2'), 'get', 'a')).out).toBe(before);
    expect((await desk.keyturn(['--identity', '.keyturn-ci-identity', 'get', 'a'])).err).toContain(
      'not for you',
    );
    expect((await desk.keyturn(['plan', '--detailed-exitcode'])).code).toBe(0);
  });

  it('one that leaves rotates, unless a person says that only its key went: keyturn rekey', async () => {
    await swap();
    const { desk } = office;
    desk.write('keyturn.yaml', desk.read('keyturn.yaml').replace(/\n.*# the job.*/, ''));
    desk.push();
    later();
    expect((await office.run('plan')).out).toContain('reader removed: reconciler');
    expect((await office.run('rekey')).err).toContain('@ rekey   a   -reconciler');
    expect((await desk.keyturn(['plan', '--detailed-exitcode'])).code).toBe(0);
    expect((await office.run('rekey')).err).toContain('everything is sealed');
  });

  it('rekey does not forget a member that was removed', async () => {
    await swap();
    office.declare(role('r', as(carol), '"**"'));
    await office.run('rekey');
    expect(await keyturnOpens(office, [bob, carol], ['a'])).toEqual(['carol a']);
    later();
    expect((await office.run('apply')).err).toContain('reader removed: bob');
  });
});

describe('rotate --to-version', () => {
  it('sets an earlier value as a new version where nothing speaks against it', async () => {
    office = await openOffice(server, ['a']);
    office.declare(role('r', as(bob), '"**"'));
    await office.run('apply');
    const first = await valueFor(bob);
    await office.run('rotate', 'a', '--force');
    expect(await accepts('u0', first)).toBe(false);
    const back = await office.run('rotate', 'a', '--to-version', '1', '--force');
    expect(back.err).toMatch(/rotate\s+a\s+v2 -> v3\s+asked for, the value of v1 again/);
    expect(await accepts('u0', first)).toBe(true);
    expect(await valueFor(bob)).toBe(first);

    const refuses = async (...args: string[]): Promise<string> => {
      const { code, err } = await office.desk.keyturn(['rotate', 'a', '--force', '--to-version', ...args]);
      expect(code).toBe(1);
      return err;
    };
    expect(await refuses('3')).toContain('v3 is the current version');
    expect(await refuses('9')).toContain('has no version 9');
    expect(await refuses('1', '--flag')).toContain('for one secret, and for now');
    office.declare(role('r', as(carol), '"**"'));
    expect(await refuses('2')).toContain('v2 is known to bob, who may not read it any more');
    expect(await accepts('u0', first)).toBe(true);
  });
});
