import mysql from 'mysql2/promise';
import pg from 'pg';
import { startMariadb } from '../../test/servers/mysql.ts';
import { findMariadb } from '../../test/servers/mysql-installation.ts';
import { startPostgres } from '../../test/servers/postgresql.ts';
import { startExample } from '../../test/servers/rotator.ts';

/** A real server with its accounts as an administrator left them, and a client that is not keyturn's. */
export interface DemoServer {
  name: string;
  port: number;
  /** Environment variable that a manifest's `initial` names -> the password that is live at the start. */
  initial: Record<string, string>;
  /** `refused`, or as whom the server let the client in. */
  login(username: string, password: string): Promise<string>;
  stop(): Promise<void>;
}

/** PostgreSQL from npm: a login that may change two roles, the two roles, and one that looks after itself. */
export async function demoPostgres(): Promise<DemoServer> {
  const server = await startPostgres();
  const initial = { PG_ADMIN_PASSWORD: 'admin-by-hand-1', REPORTS_PASSWORD: 'reports-by-hand-1' };
  for (const sql of [
    `CREATE ROLE shop_a LOGIN PASSWORD 'shop-by-hand-1'`,
    `CREATE ROLE shop_b LOGIN PASSWORD 'shop-by-hand-2'`,
    `CREATE ROLE reports LOGIN PASSWORD '${initial.REPORTS_PASSWORD}'`,
    `CREATE ROLE keyturn_admin LOGIN CREATEROLE PASSWORD '${initial.PG_ADMIN_PASSWORD}'`,
    'GRANT shop_a, shop_b TO keyturn_admin WITH ADMIN OPTION',
  ])
    await server.query(sql);
  const login = async (user: string, password: string): Promise<string> => {
    const { host, port } = server;
    const client = new pg.Client({ host, port, user, password, database: 'postgres', ssl: false });
    client.on('error', () => undefined);
    try {
      await client.connect();
      const { rows } = await client.query<{ me: string }>('SELECT current_user AS me');
      return rows[0]?.me ?? 'nobody';
    } catch (error) {
      if ((error as { code?: string }).code === '28P01') return 'refused';
      throw error;
    } finally {
      await client.end();
    }
  };
  return { name: 'PostgreSQL', port: server.port, initial, login, stop: server.stop };
}

/** Where the rotator serves, and what the manifest must say of it beside that. */
export interface DemoRotator extends DemoServer {
  url: string;
  audience: string;
  caPem: string;
}

/** examples/custom-rotator as a program of its own, in front of an application with one user; `jwks`: whom it trusts. */
export async function demoGuestbook(jwks: string): Promise<DemoRotator> {
  const { url, audience, port, caPem, store, stop } = await startExample(JSON.parse(jwks));
  store.create('mailer', 'mailer-by-hand-1');
  const login = async (user: string, password: string): Promise<string> =>
    store.login(user, password) === 'refused' ? 'refused' : user;
  return { name: 'guestbook', port, initial: {}, login, stop, url, audience, caPem };
}

/** MariaDB where it is installed: a login that may change accounts, and one account. */
export async function demoMariadb(): Promise<DemoServer | undefined> {
  if (findMariadb() === undefined) return undefined;
  const server = await startMariadb();
  const initial = { MARIADB_ADMIN_PASSWORD: 'admin-by-hand-1' };
  for (const sql of [
    `CREATE USER app@'%' IDENTIFIED BY 'app-by-hand-1'`,
    `CREATE USER keyturn_admin@'%' IDENTIFIED BY '${initial.MARIADB_ADMIN_PASSWORD}'`,
    `GRANT CREATE USER ON *.* TO keyturn_admin@'%'`,
    `GRANT SELECT ON mysql.global_priv TO keyturn_admin@'%'`,
  ])
    await server.query(sql);
  const login = async (user: string, password: string): Promise<string> => {
    try {
      const connection = await mysql.createConnection({
        host: server.host,
        port: server.port,
        user,
        password,
      });
      const [rows] = await connection.query<mysql.RowDataPacket[]>('SELECT CURRENT_USER() AS me');
      await connection.end();
      return String(rows[0]?.me);
    } catch (error) {
      if ((error as { errno?: number }).errno === 1045) return 'refused';
      throw error;
    }
  };
  return { name: 'MariaDB', port: server.port, initial, login, stop: server.stop };
}
