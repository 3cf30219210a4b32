/** The only door to mysql2: one connection at a time, never a pool, no type or text of it leaves this file. */
import { connect as connectSocket, isIP, type Socket } from 'node:net';
import type { Connection, ConnectionOptions } from 'mysql2';
import type { Credentials, Target } from '../driver.ts';
import { type Flavour, failureOf, MysqlFailure } from './classify.ts';

export type Row = Record<string, unknown>;

export interface Session {
  readonly flavour: Flavour;
  /** False once the server or a time-out ended it. */
  readonly open: boolean;
  /** Rejects with `MysqlFailure` and nothing else; after a time-out the connection is gone. */
  query(sql: string): Promise<Row[]>;
  /** The same for what stays as it is while a connection lasts: asked once for all accounts that it changes. */
  once(sql: string): Promise<Row[]>;
  close(): void;
}

/** Defines what a backslash means and that nothing waits for a commit (T7). */
const firstStatement = "SET SESSION sql_mode='', autocommit=1";

/**
 * Exactly one login by one method, within the target's timeout. Rejects with `MysqlFailure`.
 * TLS is verified (chain and name) unless the manifest says `disable` or the host is a socket path.
 */
export async function connect(
  target: Target,
  host: string,
  { username, password }: Credentials,
): Promise<Session> {
  const { createConnection } = await import('mysql2');
  const socket = dial(target, host);
  const state: { flavour: Flavour; open: boolean } = { flavour: 'mysql', open: true };
  socket.once('data', (greeting: Buffer) => {
    if (greeting.includes('MariaDB')) state.flavour = 'mariadb';
  });
  socket.once('close', () => {
    state.open = false;
  });
  const connection = createConnection({
    ...tlsOptions(target, host),
    stream: () => socket,
    user: username,
    password: password.reveal(),
    connectTimeout: target.timeout,
    flags: ['-LOCAL_FILES'],
    maxPreparedStatements: 1,
    trace: false,
  });
  refuseDisorder(connection, socket);
  // An error without a listener would end the process, and mysql2 may emit a second one after the first.
  connection.on('error', () => {
    state.open = false;
  });

  const known = new Map<string, Row[]>();
  const session: Session = {
    get flavour() {
      return state.flavour;
    },
    get open() {
      return state.open;
    },
    query: (sql) => withDeadline(run(connection, sql), target.timeout, socket, state),
    once: async (sql) => {
      const rows = known.get(sql) ?? (await session.query(sql));
      known.set(sql, rows);
      return rows;
    },
    close: () => {
      state.open = false;
      connection.destroy();
    },
  };
  try {
    await withDeadline(greeted(connection), target.timeout, socket, state);
    await session.query(firstStatement);
    return session;
  } catch (error) {
    socket.destroy();
    throw failureOf(error, state.flavour);
  }
}

/** What mysql2 does with each packet, which its types do not tell. */
interface Reader {
  handlePacket(packet?: { sequenceId: number }): void;
  sequenceId: number;
}

/**
 * A server whose packets come out of order is cut off: mysql2 would say so on stderr and take them for answers.
 * What it throws on the way would end the process.
 */
function refuseDisorder(connection: Connection, socket: Socket): void {
  const reader = connection as unknown as Reader;
  const handle = reader.handlePacket.bind(connection);
  const cut = (code: string): void => void socket.destroy(Object.assign(new Error(code), { code }));
  reader.handlePacket = (packet) => {
    if (socket.destroyed) return;
    if (packet !== undefined && packet.sequenceId !== reader.sequenceId) return cut('PROTOCOL_DISORDER');
    try {
      handle(packet);
    } catch {
      cut('PROTOCOL_BROKEN');
    }
  };
}

const isSocketPath = (host: string): boolean => host.startsWith('/');

/** A socket to the server, on its way. */
export function dial(target: Target, host: string): Socket {
  const socket = isSocketPath(host) ? connectSocket(host) : connectSocket(target.port, host);
  socket.setNoDelay(true);
  // mysql2 names the server to TLS only when the host is no address; Node then checks the certificate
  // against the socket's `_host`, and against `localhost` where that is missing.
  const name = target.tls.serverName ?? host;
  return isIP(name) === 0 ? socket : Object.assign(socket, { _host: name });
}

export function tlsOptions(target: Target, host: string): ConnectionOptions {
  if (target.tls.mode === 'disable') return {};
  if (isSocketPath(host)) return { socketPath: host };
  const { ca } = target.tls;
  return {
    host: target.tls.serverName ?? host,
    ssl: {
      rejectUnauthorized: true,
      verifyIdentity: true,
      minVersion: 'TLSv1.2',
      ...(ca === undefined ? {} : { ca }),
    },
  };
}

function greeted(connection: Connection): Promise<void> {
  return new Promise((resolve, reject) => {
    connection.once('connect', () => resolve());
    connection.once('error', reject);
  });
}

function run(connection: Connection, sql: string): Promise<Row[]> {
  return new Promise((resolve, reject) => {
    connection.query(sql, (error: unknown, rows: unknown) => {
      if (error) reject(error);
      else resolve(Array.isArray(rows) ? rows : []);
    });
  });
}

/** Whatever does not answer in time is cut, so that no late answer is ever taken for another's. */
async function withDeadline<T>(
  work: Promise<T>,
  milliseconds: number,
  socket: Socket,
  state: { flavour: Flavour; open: boolean },
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      state.open = false;
      socket.destroy();
      reject(new MysqlFailure(undefined, 'ETIMEDOUT', state.flavour));
    }, milliseconds);
  });
  try {
    return await Promise.race([work, late]);
  } catch (error) {
    throw failureOf(error, state.flavour);
  } finally {
    clearTimeout(timer);
  }
}
