import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mysql, { type Connection } from 'mysql2/promise';
import { closedPort } from './cut-proxy.ts';
import { findMariadb, findMysql, type Installation } from './mysql-installation.ts';
import type { DatabaseServer } from './server.ts';
import { makeCertificates } from './tls.ts';

export interface MysqlOptions {
  /** Further server options, e.g. `--sql-mode=NO_BACKSLASH_ESCAPES`. */
  options?: string[];
  /** Subject names of the server's certificate; default `DNS:localhost` and `IP:127.0.0.1`. */
  names?: string[];
}

const adminUser = 'kt_root';
const startup = 60_000;

/** A MariaDB of its own, with TLS, general log on. Throws where none is installed: ask `findMariadb` first. */
export function startMariadb(options: MysqlOptions = {}): Promise<DatabaseServer> {
  return start(findMariadb(), 'mariadb', options);
}

/** An Oracle MySQL (8 or newer) of its own, with TLS, general log on. Throws where none is installed. */
export function startMysql(options: MysqlOptions = {}): Promise<DatabaseServer> {
  return start(findMysql(), 'mysql', options);
}

async function start(
  found: Installation | undefined,
  kind: 'mysql' | 'mariadb',
  { options = [], names }: MysqlOptions,
): Promise<DatabaseServer> {
  if (found === undefined) throw new Error(`${kind}: not installed; run test/servers/install.sh`);
  const folder = mkdtempSync(join(tmpdir(), `keyturn-${kind}-`));
  const at = (name: string) => join(folder, name);
  const certificates = makeCertificates(names);
  mkdirSync(at('tmp'));
  writeFileSync(at('ca.pem'), certificates.caPem);
  writeFileSync(at('server.pem'), certificates.certPem);
  writeFileSync(at('server.key'), certificates.keyPem, { mode: 0o600 });
  const as = unprivileged();
  if (as !== undefined)
    for (const path of [folder, ...readdirSync(folder).map(at)]) chownSync(path, as.uid, as.gid);

  const common = ['--no-defaults', ...found.options, `--datadir=${at('data')}`, `--tmpdir=${at('tmp')}`];
  const adminPassword = `Root-${crypto.randomUUID()}`;
  const grant = [
    `CREATE USER '${adminUser}'@'127.0.0.1' IDENTIFIED BY '${adminPassword}'`,
    `GRANT ALL PRIVILEGES ON *.* TO '${adminUser}'@'127.0.0.1' WITH GRANT OPTION`,
    `DROP USER IF EXISTS 'root'@'localhost'`,
  ];
  const [program = '', ...prefix] = found.command;
  const runsAs = as ?? {};
  const error = openSync(at('error.log'), 'a');
  try {
    if (kind === 'mysql') {
      writeFileSync(at('init.sql'), `${grant.join(';\n')};\n`, { mode: 0o644 });
      const args = [...prefix, ...common, '--initialize-insecure', `--init-file=${at('init.sql')}`];
      execFileSync(program, args, { ...runsAs, stdio: ['ignore', error, error] });
    } else {
      mkdirSync(at('data'), { mode: 0o700 });
      if (as !== undefined) chownSync(at('data'), as.uid, as.gid);
      const input = [
        'CREATE DATABASE mysql',
        'USE mysql',
        'SET @skip_auth_anonymous=1',
        'SET @auth_root_socket=NULL',
        '',
      ]
        .join(';\n')
        .concat(
          ...found.bootstrap.map((file) => readFileSync(file, 'utf8')),
          `\nFLUSH PRIVILEGES;\n${grant.join(';\n')};\n`,
        );
      const args = [...prefix, ...common, '--bootstrap', '--log-warnings=0', '--enforce-storage-engine='];
      execFileSync(program, args, { ...runsAs, input, stdio: ['pipe', error, error] });
    }
  } catch (cause) {
    const log = readFileSync(at('error.log'), 'utf8').slice(-2_000);
    rmSync(folder, { recursive: true, force: true });
    throw new Error(`${kind} could not make its system tables:\n${log}`, { cause });
  }

  const port = await closedPort();
  const logFile = at('general.log');
  const child = spawn(
    program,
    [
      ...prefix,
      ...common,
      '--bind-address=127.0.0.1',
      `--port=${port}`,
      `--socket=${at('s.sock')}`,
      `--pid-file=${at('pid')}`,
      '--skip-log-bin',
      '--skip-name-resolve',
      '--general-log=1',
      '--log-output=FILE',
      `--general-log-file=${logFile}`,
      '--innodb-flush-log-at-trx-commit=0',
      `--ssl-ca=${at('ca.pem')}`,
      `--ssl-cert=${at('server.pem')}`,
      `--ssl-key=${at('server.key')}`,
      ...options,
    ],
    { ...runsAs, stdio: ['ignore', error, error] },
  );
  closeSync(error);
  const stopNow = () => child.kill('SIGKILL');
  process.once('exit', stopNow);

  const login = {
    host: '127.0.0.1',
    port,
    user: adminUser,
    password: adminPassword,
    maxPreparedStatements: 1,
  };
  let connection: Connection | undefined;
  const stop = async () => {
    process.removeListener('exit', stopNow);
    connection?.destroy();
    connection = undefined;
    await ended(child);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    connection = await whenUp(child, () => mysql.createConnection(login));
  } catch (cause) {
    const log = readFileSync(at('error.log'), 'utf8').slice(-2_000);
    await stop();
    throw new Error(`${kind} did not start:\n${log}`, { cause });
  }
  return {
    kind,
    host: '127.0.0.1',
    port,
    adminUser,
    adminPassword,
    logFile,
    caPem: certificates.caPem,
    query: async (sql) => {
      if (connection === undefined) throw new Error(`${kind}: stopped`);
      const [rows] = await connection.query(sql);
      return Array.isArray(rows) ? rows.map((row) => ({ ...row })) : [];
    },
    stop,
  };
}

/** Database servers refuse to run as root; everything else runs as whoever runs the tests. */
function unprivileged(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

async function whenUp<T>(child: ChildProcess, attempt: () => Promise<T>): Promise<T> {
  for (const deadline = performance.now() + startup; ; ) {
    try {
      return await attempt();
    } catch (error) {
      if (child.exitCode !== null || performance.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}
