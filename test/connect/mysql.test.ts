/** `keyturn connect` to MariaDB and MySQL: the person's own client on a terminal, over verified TLS. */
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { freshValue } from '../conformance.ts';
import { startMariadb, startMysql } from '../servers/mysql.ts';
import { findMariadb, findMysql } from '../servers/mysql-installation.ts';
import type { DatabaseServer } from '../servers/server.ts';
import { exposures, type Stage, setStage, startBob, startOnTerminal } from './stage.ts';

const families = [
  ['MariaDB', findMariadb(), startMariadb],
  ['MySQL', findMysql(), startMysql],
] as const;
describe.each(families)('a session on %s', (_, installed, startServer) => {
  let server: DatabaseServer;
  let stage: Stage;
  beforeAll(async () => {
    if (installed !== undefined) server = await startServer();
  }, 60_000);
  afterAll(() => server?.stop());
  afterEach(() => stage.leave());

  async function set(): Promise<void> {
    await server.query(`DROP USER IF EXISTS 'app'@'%'`);
    await server.query(`CREATE USER 'app'@'%' IDENTIFIED BY '${freshValue()}'`);
    stage = await setStage(
      `apiVersion: keyturn/v1
kind: Target
metadata: { name: db }
spec:
  type: mysql
  host: 127.0.0.1
  port: ${server.port}
  tls: { ca: certs/ca.pem }
  credentials: { username: ${server.adminUser}, password: { env: ADMIN } }
---
apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: db/app }
spec: { target: db, authenticateAs: target, account: { username: app }, access: { rotateAfterDisconnect: true } }
`,
      { ADMIN: server.adminPassword },
      { 'certs/ca.pem': server.caPem ?? '' },
    );
  }
  const value = async (): Promise<string> => (await stage.desk.keyturn(['get', 'db/app'])).out;
  const folders = (): string[] => [
    stage.bob.env.HOME ?? '',
    stage.bob.clone,
    ...readdirSync(tmpdir())
      .filter((name) => /^keyturn-\w{6}$/.test(name))
      .map((name) => join(tmpdir(), name)),
  ];

  it.skipIf(installed === undefined)('is the mysql client, which holds no password anywhere', async () => {
    await set();
    const old = await value();
    // what the person's own settings say of another server must not get in the way
    const running = startOnTerminal(stage, ['connect', 'db/app'], {
      MYSQL_HOST: 'elsewhere',
      MYSQL_PWD: 'wrong',
    });
    await running.shows(/[>\]] $/m);
    running.child.stdin?.write('select current_user();\r');
    await running.shows(/app@%/);
    expect(exposures(old, running.child.pid ?? 0, folders())).toEqual([]);
    running.child.stdin?.write('exit\r');
    expect(await running.ended, running.out).toBe(0);
    const history = readdirSync(stage.bob.env.HOME ?? '').filter((name) => name.endsWith('_history'));
    expect(history).toHaveLength(1);
    expect(exposures(old, process.pid, folders())).toEqual([]);
    expect((await stage.desk.keyturn(['apply'])).code).toBe(0);
    expect(await accepts(old)).toBe(false);
    expect(await accepts(await value())).toBe(true);
  });

  it.skipIf(installed === undefined)('serves whatever takes a socket', async () => {
    await set();
    const dump = startBob(stage, [
      'connect',
      'db/app',
      '--',
      'sh',
      '-c',
      'echo "select 40 + 2" | mysql --no-defaults -N',
    ]);
    expect(await dump.ended, dump.err).toBe(0);
    expect(dump.out).toBe('42\n');
    expect(dump.err).toMatch(/the session is at \S+mysql\.sock for as long as sh runs/);
  });

  async function accepts(password: string): Promise<boolean> {
    try {
      const login = { host: '127.0.0.1', port: server.port, user: 'app', password };
      await (await mysql.createConnection(login)).end();
      return true;
    } catch (error) {
      expect((error as { errno?: number }).errno).toBe(1045);
      return false;
    }
  }
});
