/** `keyturn connect` on PostgreSQL: a reader's session, its record, and what follows it. */
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type PostgresServer, startPostgres } from '../servers/postgresql.ts';
import { exposures, type Stage, sessionsInHistory, setStage, start, startBob } from './stage.ts';

let server: PostgresServer;
let stage: Stage;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());
afterEach(() => stage.leave());

async function set(access: string, more = ''): Promise<void> {
  await server.query('drop role if exists app');
  await server.query('create role app login');
  stage = await setStage(
    `apiVersion: keyturn/v1
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
spec: { target: pg, authenticateAs: target, account: { username: app }, access: ${access}${more} }
`,
    { ADMIN: server.adminPassword },
  );
}

const value = async (): Promise<string> => (await stage.desk.keyturn(['get', 'pg/app'])).out;
const psql = ['--', 'psql', '-Atc', 'select current_user'];
/** Says `in` once it is, and goes on until its stdin ends. */
const waiting = [
  '--',
  'sh',
  '-c',
  'psql -Atc "select current_user" && echo in && cat && psql -Atc "select 7"',
];

describe('a session', () => {
  it("is a reader's, who never holds the credential", async () => {
    await set('{ enable: true }');
    const secret = await value();
    const running = startBob(stage, ['connect', 'pg/app', ...waiting]);
    await running.shows(/^in$/m);
    const home = stage.bob.env.HOME ?? '';
    const sockets = readdirSync(tmpdir()).filter((name) => /^keyturn-\w{6}$/.test(name));
    const folders = [home, stage.bob.clone, ...sockets.map((name) => join(tmpdir(), name))];
    expect(exposures(secret, running.child.pid ?? 0, folders)).toEqual([]);
    running.child.stdin?.end();
    expect(await running.ended, running.err).toBe(0);
    expect(running.out.split('\n')).toEqual(['app', 'in', '7', '']);
    expect(await value()).toBe(secret);
  });

  it('is refused where the manifest allows none, or another host is asked for', async () => {
    await set('{ enable: false }');
    const none = startBob(stage, ['connect', 'pg/app', ...psql]);
    expect(await none.ended).toBe(1);
    expect(none.err).toContain('pg/app: lets nobody have a session');
    stage.bob.write(
      'manifests/all.yaml',
      stage.bob.read('manifests/all.yaml').replace('enable: false', 'enable: true'),
    );
    const other = startBob(stage, ['connect', 'pg/app', '--host', 'evil.example', ...psql]);
    expect(await other.ended).toBe(1);
    expect(other.err).toContain('--host evil.example: is none that a session with pg/app may go to');
    stage.bob.write(
      'manifests/all.yaml',
      stage.bob.read('manifests/all.yaml').replace('enable: true', 'hosts: [evil.example]'),
    );
    const moved = startBob(stage, ['connect', 'pg/app', '--host', 'evil.example', ...psql]);
    expect(await moved.ended).toBe(3);
    expect(moved.err).toContain('may not be sent there: sessions may now go to evil.example');
    stage.bob.push('Another host');
    stage.desk.git('pull', '--quiet');
    expect((await stage.desk.keyturn(['plan'])).out).toMatch(
      /x block .*evil\.example; run keyturn rebind pg\/app/,
    );
    expect((await stage.desk.keyturn(['rebind', 'pg/app'])).code).toBe(0);
    const allowed = startBob(stage, ['connect', 'pg/app', '--host', 'evil.example', ...psql]);
    expect(await allowed.ended).toBe(2);
    expect(allowed.err).toContain('evil.example:');
  });

  it('passes the exit code on, and is on record from beginning to end', async () => {
    await set('{ enable: true }');
    const running = startBob(stage, ['connect', 'pg/app', '--', 'sh', '-c', 'psql -Atc "select 1"; exit 7']);
    expect(await running.ended, running.err).toBe(7);
    expect((await stage.desk.keyturn(['apply'])).code).toBe(0);
    const [one, ...others] = await sessionsInHistory(stage.desk, 'pg/app');
    expect(one).toMatch(/^session of bob <bob@example.org> from \S+ on 127.0.0.1:\d+ .*: left /);
    expect(others).toEqual([]);
    stage.desk.git('pull', '--quiet');
    expect(stage.desk.git('ls-files', 'requests')).toBe('');
  });
});

describe('after a session', () => {
  it('the reconciler who had it rotates at once, and the old credential is refused', async () => {
    await set('{ rotateAfterDisconnect: true }');
    const old = await value();
    const running = start(stage.desk, ['connect', 'pg/app', ...psql]);
    expect(await running.ended, running.err).toBe(0);
    expect(running.out).toBe('app\n');
    expect(running.err).toContain('pg/app was rotated to v2');
    expect(await value()).not.toBe(old);
    expect(await accepts(old)).toBe(false);
    expect(await accepts(await value())).toBe(true);
  });

  it("a reader's wish is done by the next job", async () => {
    await set('{ rotateAfterDisconnect: true }');
    const old = await value();
    const running = startBob(stage, ['connect', 'pg/app', ...psql]);
    expect(await running.ended, running.err).toBe(0);
    expect(running.err).toContain('pg/app is rotated by the next job');
    expect(await accepts(old)).toBe(true);
    expect((await stage.desk.keyturn(['plan'])).out).toMatch(/~ rotate +pg\/app .*the session of bob ended/);
    expect((await stage.desk.keyturn(['apply'])).code).toBe(0);
    expect(await accepts(old)).toBe(false);
    expect((await stage.desk.keyturn(['plan'])).out).toContain('nothing to do');
  });

  it('15m waits for a quiet quarter of an hour', async () => {
    await set('{ rotateAfterDisconnect: 15m }');
    const old = await value();
    const running = startBob(stage, ['connect', 'pg/app', ...psql]);
    expect(await running.ended, running.err).toBe(0);
    const minute = 60_000;
    stage.desk.ahead = 14 * minute;
    expect((await stage.desk.keyturn(['apply'])).err).toContain('nothing to do');
    expect(await accepts(old)).toBe(true);
    stage.desk.ahead = 16 * minute;
    expect((await stage.desk.keyturn(['apply'])).code).toBe(0);
    expect(await accepts(old)).toBe(false);
  });

  it('in which nobody got in, nothing is rotated', async () => {
    await set('{ rotateAfterDisconnect: true }');
    const running = startBob(stage, ['connect', 'pg/app', '--', 'true']);
    expect(await running.ended, running.err).toBe(0);
    expect((await stage.desk.keyturn(['apply'])).err).toContain('nothing to do');
    expect(await sessionsInHistory(stage.desk, 'pg/app')).toEqual([
      expect.stringMatching(/: nobody got in$/),
    ]);
  });
});

async function accepts(password: string): Promise<boolean> {
  const { default: pg } = await import('pg');
  const client = new pg.Client({
    host: '127.0.0.1',
    port: server.port,
    user: 'app',
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
