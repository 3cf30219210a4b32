import mysql2 from 'mysql2/promise';
import { Secret } from '../../src/secret.ts';
import type { RotationJob, Target } from '../../src/targets/driver.ts';
import { mysql } from '../../src/targets/mysql.ts';
import { type AccountOptions, freshValue, type RotatorFixture } from '../conformance.ts';
import type { DatabaseServer } from '../servers/server.ts';

export const targetOf = (server: DatabaseServer, over: Partial<Target> = {}): Target => ({
  name: 'prod/mysql',
  type: 'mysql',
  host: server.host,
  port: server.port,
  verifyHost: undefined,
  database: undefined,
  tls: { mode: 'disable', ca: undefined, caFile: undefined, serverName: undefined },
  credentials: undefined,
  concurrency: 8,
  timeout: 10_000,
  source: { file: 'manifests/targets/mysql.yaml', line: 1, column: 1 },
  ...over,
});

let made = 0;

/** A fresh account `kt_…@host` with a known value, and its job. */
export async function freshJob(
  server: DatabaseServer,
  options: AccountOptions & { host?: string },
): Promise<RotationJob> {
  const { actor, retain = false, alternating = false, host = '%' } = options;
  const names = Array.from({ length: alternating ? 2 : 1 }, () => `kt_${++made}`);
  const value = freshValue();
  for (const name of names) await server.query(`CREATE USER '${name}'@'${host}' IDENTIFIED BY '${value}'`);
  const [username = '', other] = names;
  if (actor === 'self' && retain)
    await server.query(`GRANT APPLICATION_PASSWORD_ADMIN ON *.* TO '${username}'@'${host}'`);
  return {
    target: targetOf(server),
    username,
    host,
    account: { usernames: other === undefined ? [username] : [username, other], host },
    actor,
    admin: { username: server.adminUser, password: new Secret(server.adminPassword) },
    current: new Secret(value),
    retain,
    mark: { uid: `01KT${username}`, version: 2 },
  };
}

/** Logs in without the driver. */
export async function accepts(server: DatabaseServer, user: string, password: string): Promise<boolean> {
  try {
    const { host, port, caPem } = server;
    const ssl = { ca: caPem ?? '' };
    const connection = await mysql2.createConnection({ host, port, user, password, ssl });
    connection.destroy();
    return true;
  } catch (error) {
    const { errno } = error as { errno?: number };
    if (errno === 1045 || errno === 3118 || errno === 4151) return false;
    throw error;
  }
}

export function mysqlFixture(
  start: () => Promise<DatabaseServer>,
  can: RotatorFixture['can'],
): RotatorFixture & { server(): DatabaseServer } {
  let server: DatabaseServer | undefined;
  const running = (): DatabaseServer => {
    if (server === undefined) throw new Error('not started');
    return server;
  };
  return {
    driver: mysql,
    can,
    statement: /ALTER USER|SET PASSWORD/,
    server: running,
    start: async () => {
      server = await start();
    },
    stop: async () => server?.stop(),
    account: (options) => freshJob(running(), options),
    accepts: (username, value) => accepts(running(), username, value),
    powerless: async () => {
      const { username, current } = await freshJob(running(), { actor: 'self' });
      return { username, password: current ?? new Secret('') };
    },
  };
}
