import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { encrypt } from '../../src/age/age.ts';
import { type PostgresServer, startPostgres } from '../servers/postgresql.ts';
import { type Desk, takeDesk } from './desk.ts';

/** The commands as a person types them, in the order of a working day, on a real PostgreSQL and a real remote. */

let server: PostgresServer;
let desk: Desk;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());
beforeEach(async () => {
  for (const role of ['app', 'app2']) await server.query(`drop role if exists ${role}`);
  await server.query('create role app2 login');
  await server.query("create role app login password 'initial-app-value'");
  return () => desk.leave();
});

const manifests = (more = ''): string => `apiVersion: keyturn/v1
kind: Target
metadata: { name: pg }
spec:
  type: postgresql
  host: 127.0.0.1
  port: ${server.port}
  tls: { mode: disable }
  credentials: { username: ${server.adminUser}, password: { env: ADMIN } }
---
apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: pg/app }
spec: { target: pg, rotator: password, authenticateAs: target, account: { username: app }${more} }
`;

async function settled(more = ''): Promise<Desk> {
  const made = takeDesk({ ADMIN: server.adminPassword });
  expect(await made.keyturn(['init', '--name', 'acme'])).toMatchObject({ code: 0 });
  made.git('rm', '--quiet', '--cached', '-r', '--ignore-unmatch', 'manifests');
  for (const path of ['targets/db.yaml', 'roles/app.yaml', 'secrets/app-db.yaml'])
    made.write(`manifests/${path}`, '');
  made.write('manifests/all.yaml', manifests(more));
  made.push('Declare');
  return made;
}

async function accepts(value: string, user = 'app'): Promise<boolean> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: server.port,
    user,
    password: value,
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

describe('init', () => {
  it('writes what validate accepts, and leaves alone what is there', async () => {
    desk = takeDesk({ DB_ADMIN_PASSWORD: 'x' });
    expect((await desk.keyturn(['init', '--name', 'acme'])).err).toContain('Next:');
    expect(await desk.keyturn(['validate'])).toMatchObject({
      code: 0,
      out: '',
      err: 'keyturn: valid: 1 target, 1 role, 1 secret\n',
    });
    expect(desk.read('keyturn.yaml')).toMatch(/^# yaml-language-server: \$schema=/);
    desk.write('keyturn.yaml', '# mine\n');
    expect((await desk.keyturn(['init'])).err).toContain('kept  keyturn.yaml: is there already');
    expect(desk.read('keyturn.yaml')).toBe('# mine\n');
  });

  it('keeps the job identity out of git', async () => {
    desk = await settled();
    expect(desk.has('.keyturn-ci-identity')).toBe(true);
    expect(desk.git('ls-files')).not.toContain('identity');
    expect(await desk.keyturn(['--identity', '.keyturn-ci-identity', 'plan'])).toMatchObject({ code: 0 });
  });
});

describe('plan and apply', () => {
  it('says 2 while something is to do, applies it, then has nothing to do and makes no commit', async () => {
    desk = await settled();
    const plan = await desk.keyturn(['plan', '--detailed-exitcode']);
    expect(plan.code).toBe(2);
    expect(plan.out).toContain('~ rotate   pg/app   new -> v1   first version');
    expect(plan.out).toContain('warning: TLS is disabled');

    expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
    const { out: value } = await desk.keyturn(['get', 'pg/app']);
    expect(await accepts(value)).toBe(true);
    expect(await accepts('initial-app-value')).toBe(false);

    const tip = desk.tip();
    expect(await desk.keyturn(['plan', '--detailed-exitcode'])).toMatchObject({ code: 0 });
    const again = await desk.keyturn(['apply']);
    expect(again).toMatchObject({ code: 0 });
    expect(again.err).toContain('nothing to do: 1 secret unchanged');
    expect(desk.tip()).toBe(tip);
    expect(desk.git('status', '--porcelain')).toBe('');
    expect(desk.git('rev-parse', 'HEAD')).toBe(tip);
  });

  it('applies a reviewed plan, and refuses it once anything else would be done', async () => {
    desk = await settled();
    expect((await desk.keyturn(['plan', '--out', '../plan.json'])).err).toContain('wrote the plan');
    expect(await desk.keyturn(['apply', '--plan', '../plan.json'])).toMatchObject({ code: 0 });
    const tip = desk.tip();
    const late = await desk.keyturn(['apply', '--plan', '../plan.json']);
    expect(late.code).toBe(1);
    expect(late.err).toContain('../plan.json: is not what would be done now');
    expect(desk.tip()).toBe(tip);
  });

  it('refuses a plan above the limits without --force', async () => {
    desk = await settled();
    desk.write('keyturn.yaml', desk.read('keyturn.yaml').replace('maxRotations: 20', 'maxRotations: 1'));
    desk.write('manifests/two.yaml', manifests().slice(manifests().indexOf('---')).replaceAll('app', 'app2'));
    desk.push();
    const { code, err } = await desk.keyturn(['apply']);
    expect(code).toBe(3);
    expect(err).toContain('2 rotations are more than limits.maxRotations (1)');
    expect(await accepts('initial-app-value')).toBe(true);
    expect(await desk.keyturn(['apply', '--force'])).toMatchObject({ code: 0 });
  });

  it('applies only what is committed, and nothing older than the branch', async () => {
    desk = await settled();
    desk.write('manifests/all.yaml', manifests(', keep: 6'));
    const dirty = await desk.keyturn(['apply']);
    expect(dirty.code).toBe(1);
    expect(dirty.err).toContain('manifests/all.yaml: has changes that are not committed');
    desk.git('checkout', '--', '.');

    const other = desk.colleague('other');
    other.write('manifests/all.yaml', manifests(', keep: 7'));
    other.push();
    const old = await desk.keyturn(['apply']);
    expect(old.code).toBe(75);
    expect(old.err).toContain('manifests: are older than those of');
    expect(await accepts('initial-app-value')).toBe(true);
  });

  it('prints one plan as text, markdown and JSON', async () => {
    desk = await settled();
    const json = JSON.parse((await desk.keyturn(['plan', '--format', 'json'])).out);
    expect(json).toMatchObject({
      format: 1,
      serial: 0,
      groups: [{ target: 'pg', actions: [{ verb: 'rotate' }] }],
    });
    const markdown = (await desk.keyturn(['plan', '--format', 'markdown'])).out;
    expect(markdown).toContain('<!-- keyturn plan -->');
    expect((await desk.keyturn(['plan'])).out).toContain(json.checksum.slice(0, 15));
  });
});

describe('plan --against', () => {
  it('says what a branch changes, to somebody without a key', async () => {
    desk = await settled();
    const reviewer = desk.colleague('reviewer');
    desk.write(
      'manifests/all.yaml',
      manifests(', rotateToken: leak-42, grace: 0s').replace('host: 127.0.0.1', 'host: db2'),
    );
    desk.write(
      'manifests/more.yaml',
      manifests()
        .slice(manifests().indexOf('---') + 4)
        .replaceAll('app', 'app2'),
    );
    desk.push('Move');
    reviewer.git('fetch', '--quiet');
    reviewer.git('checkout', '--quiet', '--detach', 'origin/main');
    const { code, out } = await reviewer.keyturn(['plan', '--against', 'HEAD~1', '--detailed-exitcode']);
    expect(code).toBe(2);
    expect(out).toMatch(
      /x block +pg\/app +host changed from 127\.0\.0\.1 to db2: needs keyturn rebind pg\/app\n/,
    );
    expect(out).toMatch(/~ rotate +pg\/app +rotateToken is now "leak-42"\n/);
    expect(out).toContain('~ rotate   pg/app2   new -> v1   added');
    const same = await reviewer.keyturn(['plan', '--against', 'HEAD', '--detailed-exitcode']);
    expect(same).toMatchObject({ code: 0 });
    expect(same.out).toContain('nothing to do: 2 secrets unchanged');
    const gone = await reviewer.keyturn(['plan', '--against', 'nowhere']);
    expect(gone.code).toBe(1);
    expect(gone.err).toContain('nowhere: no such commit in this clone');
    reviewer.git('rm', '--quiet', 'manifests/more.yaml');
    expect((await reviewer.keyturn(['plan', '--against', 'HEAD'])).out).toContain('? forget   pg/app2');
  });
});

describe('rotate', () => {
  it('rests after a claim unless forced, and keeps the reason', async () => {
    desk = await settled();
    await desk.keyturn(['apply']);
    const { out: first } = await desk.keyturn(['get', 'pg/app']);
    const soon = await desk.keyturn(['rotate', 'pg/app']);
    expect(soon.err).toContain('--force does not wait');
    expect(await accepts(first)).toBe(true);

    const forced = await desk.keyturn(['rotate', 'pg/app', '--force', '--reason', 'leak INC-42']);
    expect(forced.code).toBe(0);
    expect(forced.err).toContain('asked for: leak INC-42');
    expect(await accepts(first)).toBe(false);
    expect((await desk.keyturn(['get', 'pg/app', '--version', '1'])).out).toBe(first);
    expect(await desk.keyturn(['rotate', 'pg/nobody'])).toMatchObject({ code: 1 });
  });

  it('leaves a wish that the next apply takes up and removes', async () => {
    desk = await settled();
    await desk.keyturn(['apply']);
    desk.ahead = 30 * 60_000;
    expect((await desk.keyturn(['rotate', '--flag', 'pg/app', '--reason', 'leaver'])).code).toBe(0);
    expect(desk.git('ls-files', 'requests')).toMatch(/^requests\/[0-9A-Z]{26}\.json$/);
    const { code, err } = await desk.keyturn(['apply']);
    expect(code).toBe(0);
    expect(err).toContain('~ rotate   pg/app   v1 -> v2   asked for: leaver');
    expect(desk.git('ls-files', 'requests')).toBe('');
    expect(await desk.keyturn(['plan', '--detailed-exitcode'])).toMatchObject({ code: 0 });
  });
});

describe('reading', () => {
  it('get prints the value alone, a field, JSON, or lines for a shell', async () => {
    desk = await settled();
    await desk.keyturn(['apply']);
    const { out: value } = await desk.keyturn(['get', 'pg/app']);
    expect(value).toHaveLength(32);
    expect((await desk.keyturn(['get', 'pg/app', '--field', 'username'])).out).toBe('app');
    expect(JSON.parse((await desk.keyturn(['get', 'pg/app', '--format', 'json'])).out)).toEqual({
      name: 'pg/app',
      version: 1,
      username: 'app',
      password: value,
    });
    const lines = (await desk.keyturn(['get', 'pg/app', '--format', 'env'])).out;
    expect(lines).toContain(`PG_APP_PASSWORD='${value}'`);
    expect(await desk.keyturn(['get', 'pg/app', '--version', '9'])).toMatchObject({ code: 1, out: '' });
    expect((await desk.keyturn(['get', 'pg/app', '--field', 'host'])).err).toContain(
      'it has password, username',
    );
  });

  it('a reader needs no state and no manifest of others, and is told who vouches', async () => {
    desk = await settled();
    const reader = desk.colleague('reader');
    const made = await reader.keyturn(['keygen', '--reader', '--out', '../reader-identity']);
    const [recipient] = /age1\S+/.exec(made.err) ?? [];
    desk.write(
      'manifests/role.yaml',
      `apiVersion: keyturn/v1\nkind: Role\nmetadata: { name: r }\nspec: { members: [{ name: bob, recipient: ${recipient} }], secrets: ["pg/**"] }\n`,
    );
    desk.push();
    await desk.keyturn(['apply']);
    const read = await reader.keyturn(['--identity', '../reader-identity', 'get', 'pg/app']);
    expect(read.code).toBe(0);
    expect(read.out).toBe((await desk.keyturn(['get', 'pg/app'])).out);
    expect(read.err).toContain('nobody vouches for values/pg/app/1.age');
    const list = await reader.keyturn(['--identity', '../reader-identity', 'list']);
    expect(list.out).toMatch(/pg\/app\s+pg\s+v1\s+-/);
    expect(list.err).toContain('the rest is for reconcilers and planners');
    for (const command of ['show', 'history']) {
      const seen = await reader.keyturn(['--identity', '../reader-identity', command, 'pg/app']);
      expect(seen).toMatchObject({ code: 0 });
      expect(seen.out).toMatch(/v1\s+yes\s+yes\s+\d{4}-\d\d-\d\d \d\d:\d\dZ\s+app\s+-\n/);
      expect(seen.out + seen.err).not.toContain(read.out);
    }
    expect(await reader.keyturn(['--identity', '../reader-identity', 'show', 'pg/none'])).toMatchObject({
      code: 1,
    });
  });

  it('adding a reader re-encrypts, removing one rotates and locks them out of the new value', async () => {
    desk = await settled();
    await desk.keyturn(['apply']);
    const { out: first } = await desk.keyturn(['get', 'pg/app']);
    const reader = desk.colleague('reader');
    const [recipient] =
      /age1\S+/.exec((await reader.keyturn(['keygen', '--reader', '--out', '../id'])).err) ?? [];
    desk.write(
      'manifests/role.yaml',
      `apiVersion: keyturn/v1\nkind: Role\nmetadata: { name: r }\nspec: { members: [{ name: bob, recipient: ${recipient} }], secrets: ["pg/**"] }\n`,
    );
    desk.push();
    expect((await desk.keyturn(['apply'])).err).toContain('@ rekey    pg/app   reader added: bob');
    expect((await reader.keyturn(['--identity', '../id', 'get', 'pg/app'])).out).toBe(first);

    desk.git('rm', '--quiet', 'manifests/role.yaml');
    desk.push();
    desk.ahead = 30 * 60_000;
    expect((await desk.keyturn(['apply'])).err).toMatch(/rotate {3}pg\/app {3}v1 -> v2 {3}reader removed/);
    expect(await accepts(first)).toBe(false);
    const refused = await reader.keyturn(['--identity', '../id', 'get', 'pg/app']);
    expect(refused).toMatchObject({ code: 1, out: '' });
  });

  it('reads from the clone, and says so, when the remote is gone', async () => {
    desk = await settled();
    await desk.keyturn(['apply']);
    const { out: value } = await desk.keyturn(['get', 'pg/app']);
    desk.git('remote', 'set-url', 'origin', 'http://127.0.0.1:1/nowhere.git');
    const offline = await desk.keyturn(['get', 'pg/app']);
    expect(offline).toMatchObject({ code: 0, out: value });
    expect(offline.err).toContain('may be out of date');
    expect(await desk.keyturn(['plan'])).toMatchObject({ code: 75 });
  });

  it('list, show and history tell everything but the value', async () => {
    desk = await settled();
    await desk.keyturn(['apply']);
    await desk.keyturn(['rotate', 'pg/app', '--force']);
    const { out: value } = await desk.keyturn(['get', 'pg/app']);
    const list = await desk.keyturn(['list']);
    const show = await desk.keyturn(['show', 'pg/app']);
    const history = await desk.keyturn(['history', 'pg/app']);
    expect(list.out).toMatch(/pg\/app\s+pg\s+v2\s+ok/);
    expect(show.out).toMatch(/current\s+v2/);
    expect(history.out).toContain('v1 retired, v2 current');
    expect(history.out).toContain('v2 pending (flagged: asked for');
    for (const { out, err } of [list, show, history]) expect(out + err).not.toContain(value);
    expect(JSON.parse((await desk.keyturn(['--json', 'show', 'pg/app'])).out)).toMatchObject({
      current: 2,
      pending: null,
    });
    expect(await desk.keyturn(['show', 'pg/none'])).toMatchObject({ code: 1 });
  });
});

describe('ways out', () => {
  it('verify finds drift, reconcile and adopt end it', async () => {
    desk = await settled();
    await desk.keyturn(['apply']);
    expect(await desk.keyturn(['verify'])).toMatchObject({ code: 0 });
    await server.query("alter role app password 'by-hand-1'");
    const drift = await desk.keyturn(['verify']);
    expect(drift.code).toBe(3);
    expect(drift.out).toMatch(/pg\/app\s+v1\s+drift/);

    desk.ahead += 30 * 60_000;
    expect(await desk.keyturn(['reconcile', 'pg/app'])).toMatchObject({ code: 0 });
    expect(await desk.keyturn(['verify'])).toMatchObject({ code: 0 });
    expect(await accepts((await desk.keyturn(['get', 'pg/app'])).out)).toBe(true);

    await server.query("alter role app password 'by-hand-2'");
    expect((await desk.keyturn(['adopt', 'pg/app'], 'wrong\n')).code).toBe(3);
    expect(await desk.keyturn(['adopt', 'pg/app'], 'by-hand-2\n')).toMatchObject({ code: 0 });
    expect((await desk.keyturn(['get', 'pg/app'])).out).toBe('by-hand-2');
    expect(await desk.keyturn(['verify', '--history'])).toMatchObject({ code: 0 });
  });

  it('a changed endpoint waits for rebind, and the credential is not sent there before', async () => {
    desk = await settled();
    await desk.keyturn(['apply']);
    desk.write('manifests/all.yaml', manifests().replace('host: 127.0.0.1', 'host: localhost'));
    desk.push();
    const blocked = await desk.keyturn(['apply']);
    expect(blocked.code).toBe(3);
    expect(blocked.err).toContain(
      'host changed from 127.0.0.1 to localhost; run keyturn rebind pg/app if that is right',
    );
    const rebound = await desk.keyturn(['rebind', 'pg/app']);
    expect(rebound.code).toBe(0);
    expect(rebound.err).toContain('host: 127.0.0.1 -> localhost');
    expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
    expect((await desk.keyturn(['rebind', 'pg/app'])).err).toContain('is bound to what its manifest says');
  });

  it('a moved manifest keeps its record and its versions', async () => {
    desk = await settled();
    await desk.keyturn(['apply']);
    const { out: value } = await desk.keyturn(['get', 'pg/app']);
    desk.write(
      'manifests/all.yaml',
      manifests(', movedFrom: pg/app').replace('name: pg/app', 'name: pg/new-app'),
    );
    desk.push();
    expect((await desk.keyturn(['apply'])).err).toContain('moved from pg/app');
    expect((await desk.keyturn(['get', 'pg/new-app'])).out).toBe(value);
    expect(desk.has('values/pg/app/1.age')).toBe(false);
    expect(await desk.keyturn(['plan', '--detailed-exitcode'])).toMatchObject({ code: 0 });
  });

  it('recover and unlock have nothing to say when nothing is pending', async () => {
    desk = await settled();
    await desk.keyturn(['apply']);
    const tip = desk.tip();
    expect(await desk.keyturn(['recover'])).toMatchObject({ code: 0 });
    expect(desk.tip()).toBe(tip);
    expect(await desk.keyturn(['unlock', 'pg/app'])).toMatchObject({ code: 0 });
  });
});

describe('a state that this keyturn must not touch', () => {
  it('is left as it is when a newer one wrote it', async () => {
    desk = await settled();
    await desk.keyturn(['apply']);
    const { out: value } = await desk.keyturn(['get', 'pg/app']);
    const recipients = desk.read('keyturn.yaml').match(/age1\w{58}/g) ?? [];
    const future = await encrypt(Buffer.from('{"fmt":99}'), recipients);
    desk.git('pull', '--quiet');
    const [newest = ''] = desk.git('ls-files', 'state').split('\n').reverse();
    desk.write(newest, future);
    desk.push();
    const tip = desk.tip();
    desk.ahead = 30 * 60_000;
    for (const args of [['plan'], ['apply'], ['rotate', 'pg/app', '--force']]) {
      const said = await desk.keyturn(args);
      expect(said.code).toBe(1);
      expect(said.err).toMatch(
        /^keyturn: error: state\/\d{8}\.age: was written by a newer keyturn\nkeyturn: hint: upgrade keyturn; nothing was changed$/m,
      );
    }
    expect(desk.tip()).toBe(tip);
    expect(await accepts(value)).toBe(true);
  });
});

describe('keys', () => {
  it('seal makes a reference that a target logs in with', async () => {
    desk = await settled();
    const sealed = await desk.keyturn(['seal'], `${server.adminPassword}\n`);
    expect(sealed.out).toContain('-----BEGIN AGE ENCRYPTED FILE-----');
    expect(sealed.out).not.toContain(server.adminPassword);
    const indented = sealed.out.trimEnd().replaceAll('\n', '\n      ');
    const credentials = `credentials:\n    username: ${server.adminUser}\n    password:\n      ${indented}`;
    desk.write('manifests/all.yaml', manifests().replace(/credentials: .*/, credentials));
    desk.push();
    desk.env = { ...desk.env, ADMIN: undefined };
    expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
  });

  it('a planner plans and cannot apply', async () => {
    desk = await settled();
    await desk.keyturn(['apply']);
    const planner = desk.colleague('planner');
    const made = await planner.keyturn(['keygen', '--name', 'planner-1', '--out', '../planner-identity']);
    const [recipient] = /age1\S+/.exec(made.err) ?? [];
    desk.write('keyturn.yaml', `${desk.read('keyturn.yaml')}  planners: [${recipient}]\n`);
    desk.push();
    expect((await desk.keyturn(['rotate', 'pg/app', '--force'])).code).toBe(0);
    planner.git('pull', '--quiet');
    const own = planner.read('../planner-identity');
    const trust = /KEYTURN-TRUST-1 admin-1 \S+/.exec(desk.read('.keyturn-ci-identity'))?.[0];
    planner.write('../planner-identity', `${own.replace(/^KEYTURN-SIGN-1.*$/m, '')}${trust}\n`);
    expect((await planner.keyturn(['--identity', '../planner-identity', 'plan'])).out).toContain(
      'nothing to do',
    );
    const value = await planner.keyturn(['--identity', '../planner-identity', 'get', 'pg/app']);
    expect(value).toMatchObject({ code: 1, out: '' });
    const forced = await planner.keyturn([
      '--identity',
      '../planner-identity',
      'rotate',
      'pg/app',
      '--force',
    ]);
    expect(forced.code).not.toBe(0);
  });
});

describe('the command line', () => {
  it('prints help and version, and one sentence for what it does not know', async () => {
    desk = takeDesk();
    expect((await desk.keyturn(['--help'])).out).toContain('Exit codes: 0 done');
    expect((await desk.keyturn(['--version'])).out).toMatch(/^\d+\.\d+\.\d+\n$/);
    const unknown = await desk.keyturn(['aply']);
    expect(unknown.code).toBe(1);
    expect(unknown.err).toContain('Did you mean apply?');
    expect(await desk.keyturn(['validate'])).toMatchObject({ code: 1 });
  });
});
