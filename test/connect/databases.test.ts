/** Sessions on databases: the user's own client, logged in by a login that it never sees. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Doorway, openDoorway } from '../../src/connect/doorway.ts';
import type { Target, Tls } from '../../src/manifests/model.ts';
import { Secret } from '../../src/secret.ts';
import type { Credentials } from '../../src/targets/driver.ts';
import { serveMysql } from '../../src/targets/mysql/session.ts';
import { servePostgresql } from '../../src/targets/postgresql/session.ts';
import type { Keyring } from '../../src/targets/session.ts';
import { freshValue } from '../conformance.ts';
import { startMariadb, startMysql } from '../servers/mysql.ts';
import { findMariadb, findMysql } from '../servers/mysql-installation.ts';
import { type PostgresServer, startPostgres } from '../servers/postgresql.ts';
import type { DatabaseServer } from '../servers/server.ts';

const execute = promisify(execFile);
const run = (command: string, args: string[], options: { env?: NodeJS.ProcessEnv } = {}) =>
  execute(command, args, { ...options, maxBuffer: 1 << 26 });

const targetOf = (type: 'mysql' | 'postgresql', server: DatabaseServer, tls: Tls['mode']): Target => ({
  name: 'prod/db',
  type,
  host: server.host,
  port: server.port,
  verifyHost: undefined,
  database: 'postgres',
  tls: { mode: tls, ca: server.caPem, caFile: undefined, serverName: undefined },
  credentials: undefined,
  concurrency: 8,
  timeout: 5_000,
  source: { file: 'test.yaml', line: 1, column: 1 },
});

const keyring = (login: Credentials, newer?: Credentials): Keyring => {
  let current = login;
  return {
    current: () => current,
    entered: () => undefined,
    renew: async () => {
      if (newer === undefined || current === newer) return undefined;
      current = newer;
      return newer;
    },
  };
};
const login = (username: string, password: string): Credentials => ({
  username,
  password: new Secret(password),
});

const withDoor = async <T>(
  name: string,
  serve: Parameters<typeof openDoorway>[1],
  work: (door: Doorway) => Promise<T>,
): Promise<T> => {
  const door = await openDoorway(name, serve);
  try {
    return await work(door);
  } finally {
    await door.close();
    expect(existsSync(door.folder)).toBe(false);
  }
};

const families = [
  ['MariaDB', findMariadb(), startMariadb],
  ['MySQL', findMysql(), startMysql],
] as const;
describe.each(families)('a session on %s', (_, installed, startServer) => {
  let server: DatabaseServer;
  const password = freshValue();
  beforeAll(async () => {
    if (installed === undefined) return;
    server = await startServer();
    await server.query(`CREATE USER 'app'@'%' IDENTIFIED BY '${password}'`);
    await server.query(`GRANT ALL ON *.* TO 'app'@'%'`);
  }, 60_000);
  afterAll(() => server?.stop());
  const client = (door: Doorway, ...args: string[]) =>
    run('mysql', [
      '--no-defaults',
      `--socket=${door.path}`,
      '--user=whoever',
      '--batch',
      '--skip-column-names',
      ...args,
    ]);

  it.skipIf(installed === undefined).each(['verify', 'disable'] as const)(
    'serves the mysql client, TLS %s',
    async (tls) => {
      const target = targetOf('mysql', server, tls);
      await withDoor(
        'mysql.sock',
        (c) => serveMysql(c, target, keyring(login('app', password))),
        async (door) => {
          const { stdout } = await client(
            door,
            '--database=mysql',
            '--execute=select current_user(), database(); show session status like "Ssl_version"; select connection_id() = (select max(id) from information_schema.processlist where user="app")',
          );
          expect(stdout.split('\n')[0]).toBe('app@%\tmysql');
          expect(/TLSv1\.[23]/.test(stdout)).toBe(tls === 'verify');
          expect(stdout.split('\n')[2]).toBe('1');
          const big = await client(door, '--execute=select repeat("x", 3000000); select 2');
          expect(big.stdout.length).toBe(3_000_003);
        },
      );
    },
  );

  it.skipIf(installed === undefined)('tells the client what is wrong', async () => {
    const target = targetOf('mysql', server, 'verify');
    const said = (t: Target, k: Keyring, ...args: string[]): Promise<string> =>
      withDoor(
        'mysql.sock',
        (c) => serveMysql(c, t, k),
        (door) =>
          client(door, '--execute=select 1', ...args).then(
            () => 'in',
            (error: { stderr: string }) => error.stderr,
          ),
      );
    const wrong = keyring(login('app', freshValue()));
    expect(await said(target, wrong)).toMatch(/1045.*keyturn: Access denied/);
    expect(await said(target, keyring(login('app', password)), '--database=nowhere')).toMatch(
      /1049.*nowhere/,
    );
    expect(await said({ ...target, port: 1 }, wrong)).toMatch(
      /127.0.0.1:1 cannot be reached \(ECONNREFUSED\)/,
    );
    const { ca: _, ...tls } = target.tls;
    expect(await said({ ...target, tls: { ...tls, ca: undefined } }, wrong)).toMatch(/cannot be reached/);
    expect(await said(target, keyring(login('app', freshValue()), login('app', password)))).toBe('in');
  });
});

describe('a session on PostgreSQL', () => {
  let server: PostgresServer;
  const password = freshValue();
  beforeAll(async () => {
    server = await startPostgres({ tls: true });
    await server.query(`create role app login password '${password}'`);
  }, 60_000);
  afterAll(() => server.stop());
  const psql = (door: Doorway, sql: string, env: NodeJS.ProcessEnv = {}) =>
    run('psql', ['--no-psqlrc', '--no-password', '-At', '-c', sql], {
      env: { PATH: process.env.PATH, PGHOST: door.folder, PGUSER: 'whoever', PGDATABASE: 'postgres', ...env },
    });

  it.each(['verify', 'disable'] as const)('serves psql, TLS %s', async (tls) => {
    const target = targetOf('postgresql', server, tls);
    const serve = (c: Parameters<typeof servePostgresql>[0]) =>
      servePostgresql(c, target, keyring(login('app', password)));
    await withDoor('.s.PGSQL.5432', serve, async (door) => {
      const asked = await psql(
        door,
        `select current_user, current_setting('application_name'), current_setting('work_mem'), current_setting('client_encoding'), ssl from pg_stat_ssl where pid = pg_backend_pid()`,
        { PGOPTIONS: '-c work_mem=5MB', PGCLIENTENCODING: 'LATIN1', PGAPPNAME: 'mine' },
      );
      expect(asked.stdout.trim()).toBe(`app|mine|5MB|LATIN1|${tls === 'verify' ? 't' : 'f'}`);
      expect((await psql(door, `select repeat('x', 3000000)`)).stdout.length).toBe(3_000_001);
    });
  });

  it('passes a cancellation on', async () => {
    const target = targetOf('postgresql', server, 'verify');
    const serve = (c: Parameters<typeof servePostgresql>[0]) =>
      servePostgresql(c, target, keyring(login('app', password)));
    await withDoor('.s.PGSQL.5432', serve, async (door) => {
      const child: ChildProcess = spawn('psql', ['--no-psqlrc', '-At', '-c', 'select pg_sleep(60)'], {
        env: { PATH: process.env.PATH, PGHOST: door.folder, PGDATABASE: 'postgres' },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let words = '';
      child.stderr?.on('data', (chunk) => {
        words += chunk;
      });
      const over = new Promise((resolve) => child.once('exit', resolve));
      await expect
        .poll(() => server.query(`select 1 from pg_stat_activity where query = 'select pg_sleep(60)'`), {
          timeout: 10_000,
        })
        .toHaveLength(1);
      child.kill('SIGINT');
      await over;
      expect(words).toContain('canceling statement due to user request');
    });
  });

  it('tells the client what is wrong', async () => {
    const target = targetOf('postgresql', server, 'verify');
    const said = (t: Target, k: Keyring, env: NodeJS.ProcessEnv = {}): Promise<string> =>
      withDoor(
        '.s.PGSQL.5432',
        (c) => servePostgresql(c, t, k),
        (door) =>
          psql(door, 'select 1', env).then(
            () => 'in',
            (error: { stderr: string }) => error.stderr,
          ),
      );
    const wrong = keyring(login('app', freshValue()));
    expect(await said(target, wrong)).toContain('keyturn: password authentication failed');
    expect(await said(target, keyring(login('app', password)), { PGDATABASE: 'nowhere' })).toContain(
      '"nowhere"',
    );
    expect(await said({ ...target, port: 1 }, wrong)).toContain(
      '127.0.0.1:1 cannot be reached (ECONNREFUSED)',
    );
    expect(await said({ ...target, tls: { ...target.tls, ca: undefined } }, wrong)).toContain(
      'cannot be reached',
    );
    expect(await said(target, keyring(login('app', freshValue()), login('app', password)))).toBe('in');
  });
});
