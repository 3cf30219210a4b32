/** The session itself, one way for each protocol. Gives the exit code of what the person ran. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { accessSync, constants } from 'node:fs';
import { constants as os } from 'node:os';
import { delimiter, join } from 'node:path';
import { KeyturnError } from '../errors.ts';
import type { Host } from '../host.ts';
import { serveMysql } from '../targets/mysql/session.ts';
import { servePostgresql } from '../targets/postgresql/session.ts';
import type { Interrupts } from '../targets/session.ts';
import { certify } from '../targets/ssh/certificate.ts';
import { SshFailure } from '../targets/ssh/failure.ts';
import { visit } from '../targets/ssh/terminal.ts';
import type { Arranged } from './arrange.ts';
import { visitCertified } from './certified.ts';
import { runChild } from './child.ts';
import { openDoorway } from './doorway.ts';
import { openWeb } from './web.ts';

export interface Serving {
  host: Host;
  arranged: Arranged;
  /** What the person wants to run; empty: what the protocol's people usually run. */
  words: readonly string[];
  tty: boolean;
  /** Names a certificate in the host's log. */
  keyId: string;
  interrupts: Interrupts;
  /** For people. */
  say: (words: string) => void;
  /** For programs: an address that opens the session. */
  give: (data: string) => void;
}

/** Throws KeyturnError where nobody got in. */
export function serve(serving: Serving): Promise<number> {
  switch (serving.arranged.access.protocol) {
    case 'ssh':
      return serveSsh(serving);
    case 'mysql':
      return serveDatabase(serving, 'mysql.sock', serveMysql, mysqlClient);
    case 'postgresql':
      return serveDatabase(serving, '.s.PGSQL.5432', servePostgresql, postgresqlClient);
    case 'web':
      return serveWeb(serving);
  }
}

async function serveSsh({ host, arranged, words, tty, keyId, interrupts }: Serving): Promise<number> {
  const { target, jump, username, keyring, access, authority } = arranged;
  const command = words.length === 0 ? undefined : words.join(' ');
  const entered = (): void => keyring.entered();
  try {
    if (access.certificate !== undefined && authority !== undefined) {
      const { principals, ttl } = access.certificate;
      const certificate = await certify(authority, { principals, keyId, ttl, now: host.clock.now() });
      return await visitCertified({ host, target, jump, username, certificate, command, tty, entered });
    }
    const terminal = {
      input: host.stdin,
      output: host.stdout,
      errors: host.stderr,
      kind: host.env.TERM ?? 'xterm',
      raw: (on: boolean) => setRaw(host, on),
    };
    const once = (login = keyring.current()): Promise<number> =>
      visit({ target, jump, login, command, tty, terminal, interrupts, entered });
    return await once().catch(async (error: unknown) => {
      const denied = error instanceof SshFailure && error.kind === 'denied';
      const newer = denied ? await keyring.renew() : undefined;
      if (newer === undefined) throw error;
      return once(newer);
    });
  } catch (error) {
    if (!(error instanceof SshFailure)) throw error;
    const { kind, code, detail } = error;
    throw new KeyturnError(`${target.host}:${target.port}`, detail, {
      code,
      exit: kind === 'untrusted' ? 3 : kind === 'unreachable' ? 75 : 1,
      ...(kind === 'untrusted'
        ? { hint: 'keyturn doctor shows what to pin; compare it with the host itself' }
        : {}),
    });
  }
}

/** Node's raw mode still puts a return before each line feed, which full-screen programs of the other side do not expect. */
function setRaw({ stdin }: Host, on: boolean): void {
  stdin.setRawMode(on);
  if (on) spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] });
}

interface Client {
  command: string;
  args: string[];
  /** Names set to undefined are taken out of the environment. */
  env: Record<string, string | undefined>;
}

async function serveDatabase(
  { host, arranged, words, say }: Serving,
  socket: string,
  serveOne: typeof serveMysql,
  clientOf: (arranged: Arranged, folder: string, path: string, env: NodeJS.ProcessEnv) => Client,
): Promise<number> {
  const { target, keyring } = arranged;
  const door = await openDoorway(socket, (client) => serveOne(client, target, keyring));
  try {
    const [program, ...args] = words;
    const usual = clientOf(arranged, door.folder, door.path, host.env);
    const env = Object.fromEntries(
      Object.entries({ ...host.env, ...usual.env }).filter(([, value]) => value !== undefined),
    );
    if (program !== undefined) say(`the session is at ${door.path} for as long as ${program} runs`);
    return await runChild(
      { ...host, env },
      program ?? usual.command,
      program === undefined ? usual.args : args,
      new Map(),
    );
  } finally {
    await door.close();
  }
}

function mysqlClient({ username }: Arranged, _: string, path: string, env: NodeJS.ProcessEnv): Client {
  const command = ['mysql', 'mariadb'].find((name) => onPath(name, env)) ?? 'mysql';
  return {
    command,
    args: ['--protocol=socket', `--socket=${path}`, `--user=${username}`, '--skip-password'],
    env: { MYSQL_UNIX_PORT: path, MYSQL_HOST: undefined, MYSQL_TCP_PORT: undefined, MYSQL_PWD: undefined },
  };
}

function postgresqlClient(
  { username, target }: Arranged,
  folder: string,
  _: string,
  env: NodeJS.ProcessEnv,
): Client {
  const gone = [
    'PGHOSTADDR',
    'PGPASSWORD',
    'PGPASSFILE',
    'PGSERVICE',
    'PGSSLMODE',
    'PGREQUIREAUTH',
    'PGCHANNELBINDING',
  ];
  return {
    command: 'psql',
    args: [],
    env: {
      ...Object.fromEntries(gone.map((name) => [name, undefined])),
      PGHOST: folder,
      PGPORT: '5432',
      PGUSER: username,
      PGDATABASE: env.PGDATABASE ?? target.database ?? 'postgres',
    },
  };
}

function onPath(program: string, { PATH = '' }: NodeJS.ProcessEnv): boolean {
  return PATH.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

async function serveWeb({ host, arranged, words, interrupts, say, give }: Serving): Promise<number> {
  const { access, target, keyring } = arranged;
  if (access.web === undefined) throw new Error('a web session without an address');
  const door = await openWeb({
    access: access.web,
    tls: target.tls,
    timeout: target.timeout,
    keyring,
    password: randomBytes(18).toString('hex'),
  });
  try {
    const [program, ...args] = words;
    if (program !== undefined)
      return await runChild(host, program, args, new Map([['KEYTURN_SESSION_URL', door.open]]));
    give(door.open);
    say(`opens ${access.web.url} for you alone until Ctrl-C; who has this address has the session`);
    const signal = await new Promise<NodeJS.Signals>((resolve) => {
      const forget = interrupts((told) => {
        forget();
        resolve(told);
      });
    });
    return signal === 'SIGINT' ? 0 : 128 + os.signals[signal];
  } finally {
    await door.close();
  }
}
