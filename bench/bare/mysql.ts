/**
 * The least that rotating passwords of MySQL accounts could be: the statements and logins of keyturn, as the server's
 * log shows them, at the same concurrency, and what must be pushed, in the same number of pushes. No manifests, no
 * encryption, no signatures, no state.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createConnection } from 'mysql2/promise';
import pLimit from 'p-limit';
import { given, pushing, waves } from './job.ts';

const { host, port, admin, accounts, concurrency, remote, folder } = given<{
  host: string;
  port: number;
  admin: { user: string; password: string };
  /** User name -> present password. */
  accounts: [user: string, password: string][];
}>();
const push = pushing(folder, remote);
const first = "SET SESSION sql_mode='', autocommit=1";

type Connection = Awaited<ReturnType<typeof createConnection>>;

async function login(user: string, password: string): Promise<Connection> {
  const connection = await createConnection({ host, port, user, password, maxPreparedStatements: 1 });
  await connection.query(first);
  return connection;
}

async function verify(user: string, password: string): Promise<void> {
  const connection = await login(user, password);
  await connection.query('SELECT CURRENT_USER() u');
  connection.destroy();
}

const idle: Connection[] = [];
const limit = pLimit(concurrency);

async function asAdmin(work: (connection: Connection) => Promise<void>): Promise<void> {
  const connection = idle.pop() ?? (await loginAsAdmin());
  await work(connection);
  idle.push(connection);
}

/** What keyturn asks once a connection, not once an account. */
async function loginAsAdmin(): Promise<Connection> {
  const connection = await login(admin.user, admin.password);
  await connection.query(
    'SELECT VERSION() v, CURRENT_USER() u, @@global.read_only r, @@global.max_password_errors m',
  );
  await connection.query(
    "SELECT PLUGIN_NAME n FROM information_schema.plugins WHERE PLUGIN_TYPE='PASSWORD VALIDATION' AND PLUGIN_STATUS='ACTIVE'",
  );
  await connection.query('SHOW GRANTS');
  return connection;
}

const look = (user: string): string =>
  `SELECT Priv p FROM mysql.global_priv WHERE User='${user}' AND Host='%'`;
const hash = (bytes: string | Buffer): Buffer => createHash('sha1').update(bytes).digest();

const fresh: [string, string][] = [];
for (const wave of waves(accounts)) {
  await Promise.all(
    wave.map(([user, password]) =>
      limit(() =>
        asAdmin(async (connection) => {
          if (fresh.length >= concurrency) await connection.query('DO 0');
          await connection.query(look(user));
          await verify(user, password);
        }),
      ),
    ),
  );
  await push(wave.map(([user]) => user));
  await Promise.all(
    wave.map(([user]) =>
      limit(() =>
        asAdmin(async (connection) => {
          const password = randomBytes(24).toString('base64url');
          await connection.query('DO 0');
          const stored = hash(hash(password)).toString('hex').toUpperCase();
          await connection.query(
            `ALTER USER '${user}'@'%' IDENTIFIED VIA mysql_native_password USING '*${stored}'`,
          );
          await verify(user, password);
          await connection.query(look(user));
          fresh.push([user, password]);
        }),
      ),
    ),
  );
}
await push([]);
process.stdout.write(JSON.stringify(fresh));
process.exit(0);
