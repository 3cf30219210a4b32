import mysql from 'mysql2/promise';
import pg from 'pg';
import { startMariadb } from '../test/servers/mysql.ts';
import { findMariadb } from '../test/servers/mysql-installation.ts';
import { startPostgres } from '../test/servers/postgresql.ts';
import type { DatabaseServer } from '../test/servers/server.ts';
import { compare, type Row, timed } from './measure.ts';
import { adminPassword, makeProject, type Project, secrets, target } from './project.ts';

const accounts = 64;
const usernames = Array.from({ length: accounts }, (_, n) => `bench_${n}`);

/** A job that finds nothing to do, then the rotation of every account, at each server that is there. */
export async function rotation(scratch: string): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [name, type, start, floor] of [
    ['PostgreSQL', 'postgresql', startPostgres, rawPostgres],
    ...(findMariadb() ? ([['MariaDB', 'mysql', startMariadb, rawMariadb]] as const) : []),
  ] as const) {
    const server = await start();
    try {
      for (const sql of type === 'mysql' ? mariadbAccounts : postgresAccounts) await server.query(sql);
      const manifests = { 'manifests/target.yaml': target(type, server.port), ...secrets(accounts) };
      const project = await makeProject(scratch, manifests);
      await project.keyturn('apply');
      if (rows.length === 0) rows.push(...(await idle(project)));
      rows.push(
        await compare(
          { what: `rotate ${accounts} accounts, ${name}`, against: 'ALTER and log in, one by one' },
          3,
          () => timed(() => floor(server)),
          () => project.keyturn('rotate', ...names, '--force'),
        ),
      );
    } finally {
      await server.stop();
    }
  }
  return rows;
}

const names = usernames.map((_, n) => `bench/group-${n % 10}/account-${n}`);

async function idle(project: Project): Promise<Row[]> {
  const fetch = () => project.git('fetch', '--quiet', 'origin', 'main');
  const nothing = (command: 'plan' | 'apply') =>
    compare({ what: `${command}, nothing to do`, against: 'git fetch' }, 7, fetch, () =>
      project.keyturn(command),
    );
  return [await nothing('plan'), await nothing('apply')];
}

const postgresAccounts = [
  ...usernames.map((name) => `CREATE ROLE ${name} LOGIN PASSWORD 'first'`),
  `CREATE ROLE bench_admin LOGIN CREATEROLE PASSWORD '${adminPassword}'`,
  `GRANT ${usernames.join(', ')} TO bench_admin WITH ADMIN OPTION`,
];

const mariadbAccounts = [
  ...usernames.map((name) => `CREATE USER ${name}@'%' IDENTIFIED BY 'first'`),
  `CREATE USER bench_admin@'%' IDENTIFIED BY '${adminPassword}'`,
  `GRANT ALL PRIVILEGES ON *.* TO bench_admin@'%' WITH GRANT OPTION`,
];

async function rawPostgres({ host, port }: DatabaseServer): Promise<void> {
  const login = (user: string, password: string) => ({
    host,
    port,
    user,
    password,
    database: 'postgres',
    ssl: false,
  });
  const admin = new pg.Client(login('bench_admin', adminPassword));
  await admin.connect();
  for (const name of usernames) {
    const password = crypto.randomUUID();
    await admin.query(`ALTER ROLE ${name} PASSWORD '${password}'`);
    const client = new pg.Client(login(name, password));
    await client.connect();
    await client.end();
  }
  await admin.end();
}

async function rawMariadb({ host, port }: DatabaseServer): Promise<void> {
  const login = (user: string, password: string) => ({
    host,
    port,
    user,
    password,
    maxPreparedStatements: 1,
  });
  const admin = await mysql.createConnection(login('bench_admin', adminPassword));
  for (const name of usernames) {
    const password = crypto.randomUUID();
    await admin.query(`ALTER USER ${name}@'%' IDENTIFIED BY '${password}'`);
    const client = await mysql.createConnection(login(name, password));
    await client.end();
  }
  await admin.end();
}
