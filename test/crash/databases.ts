/** What the crash tests must know of a server that no driver may tell them. */
import { readFileSync } from 'node:fs';
import mysql2 from 'mysql2/promise';
import pg from 'pg';
import type { DatabaseServer } from '../servers/server.ts';
import { tally } from '../tally.ts';

/** One login by the plain client library, without our driver. */
export async function logsIn(server: DatabaseServer, username: string, value: string): Promise<boolean> {
  tally('logins', 1);
  return server.kind === 'postgresql' ? postgres(server, username, value) : mysql(server, username, value);
}

async function mysql(
  { host, port, caPem }: DatabaseServer,
  user: string,
  password: string,
): Promise<boolean> {
  try {
    const ssl = { ca: caPem ?? '' };
    const connection = await mysql2.createConnection({
      host,
      port,
      user,
      password,
      ssl,
      maxPreparedStatements: 1,
    });
    connection.destroy();
    return true;
  } catch (error) {
    const { errno } = error as { errno?: number };
    // wrong; right but locked (MySQL, MariaDB)
    if (errno === 1045 || errno === 3118 || errno === 4151) return false;
    throw error;
  }
}

async function postgres({ host, port }: DatabaseServer, user: string, password: string): Promise<boolean> {
  const client = new pg.Client({ host, port, user, password, database: 'postgres', ssl: false });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === '28P01') return false;
    throw error;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** How many passwords the server would accept for the account, read from where it stores them. */
export async function held(server: DatabaseServer, username: string): Promise<number> {
  switch (server.kind) {
    case 'postgresql': {
      const [row] = await server.query(`SELECT rolpassword FROM pg_authid WHERE rolname = '${username}'`);
      return row?.rolpassword ? 1 : 0;
    }
    case 'mysql': {
      const [row] = await server.query(
        `SELECT account_locked l, JSON_EXTRACT(User_attributes, '$.additional_password') a FROM mysql.user WHERE User='${username}'`,
      );
      return row === undefined || row.l === 'Y' ? 0 : row.a === null ? 1 : 2;
    }
    case 'mariadb': {
      const [row] = await server.query(`SELECT Priv p FROM mysql.global_priv WHERE User='${username}'`);
      const priv = (typeof row?.p === 'string' ? JSON.parse(row.p) : row?.p) as {
        account_locked?: boolean;
        auth_or?: unknown[];
      };
      return priv.account_locked === true ? 0 : (priv.auth_or?.length ?? 1);
    }
  }
}

/** Makes an account that logs in with `value`; without one it exists and lets nobody in. */
export async function createAccount(
  server: DatabaseServer,
  username: string,
  value: string | undefined,
  mayKeepOld = false,
): Promise<void> {
  if (server.kind === 'postgresql') {
    await server.query(`CREATE ROLE ${username} LOGIN${value === undefined ? '' : ` PASSWORD '${value}'`}`);
    return;
  }
  const identified = value === undefined ? ' ACCOUNT LOCK' : ` IDENTIFIED BY '${value}'`;
  await server.query(`CREATE USER '${username}'@'%'${identified}`);
  if (mayKeepOld) await server.query(`GRANT APPLICATION_PASSWORD_ADMIN ON *.* TO '${username}'@'%'`);
}

/** A place in the server's log: everything that happened before is above it. */
export async function logMark(server: DatabaseServer): Promise<number> {
  const mark = `mark ${crypto.randomUUID()}`;
  await server.query(`SELECT '${mark}'`);
  for (const deadline = performance.now() + 10_000; ; ) {
    const at = readFileSync(server.logFile, 'latin1').indexOf(mark);
    if (at >= 0) return at;
    if (performance.now() > deadline) throw new Error(`${server.kind} did not log ${mark}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Refused logins of each account between two places of the log. */
export function wrongAttempts(server: DatabaseServer, from: number, to: number): Map<string, number> {
  const lines = readFileSync(server.logFile, 'latin1').slice(from, to);
  const pattern =
    server.kind === 'postgresql'
      ? /password authentication failed for user "([^"]+)"/g
      : /Access denied for user '([^']+)'@/g;
  const counts = new Map<string, number>();
  for (const [, account = ''] of lines.matchAll(pattern)) counts.set(account, (counts.get(account) ?? 0) + 1);
  return counts;
}
