/** The only file that knows `pg`, loaded on first use. No pool, no environment, no `.pgpass`. */
import type { Socket } from 'node:net';
import { checkServerIdentity } from 'node:tls';
import type { Client, ClientConfig } from 'pg';
import type { Credentials, Target } from '../driver.ts';
import { wholeMessages } from './frames.ts';

/** Why a connection or a statement failed, in codes alone. */
export interface Failure {
  /** `server`: `code` is the SQLSTATE of its answer. `client`: a system, TLS or own code; no answer came. */
  origin: 'server' | 'client';
  code: string;
  /** The server's function that answered, which tells apart what one SQLSTATE means. */
  routine: string;
  /** The server said that authentication was over before this happened. */
  authenticated: boolean;
  /** The server asked for the password, so that being let in means something. */
  asked: boolean;
}

/** Never leaves the driver: its callers turn it into a result. */
export class PgFailure extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.code);
    this.failure = failure;
  }
}

export type Row = Record<string, unknown>;

export interface Session {
  /** The server asked for the password before it let us in. */
  readonly asked: boolean;
  /** False once the connection is lost: nothing can be sent any more. */
  readonly alive: boolean;
  /** One statement; throws `PgFailure`. A statement that took longer than the timeout ends the session. */
  query(text: string, values?: unknown[]): Promise<Row[]>;
  quote(identifier: string): string;
  close(): Promise<void>;
}

/** How long the server gets to cancel a statement by itself before we hang up. Milliseconds. */
const cancelTime = 500;
/** A server may ask for so many PBKDF2 rounds; `pg` itself stops at a tenth of it. */
export const mostIterations = 1_000_000;

/** One login at `host` as `login`: one attempt, on a new connection. Throws `PgFailure`. */
export async function connect(target: Target, host: string, login: Credentials): Promise<Session> {
  const pg = await import('pg');
  const auth = { asked: false, authenticated: false, cleartext: false };
  const client = new pg.Client({
    ...clientConfig(target, host, login.username),
    // A function is asked only when the server wants a password, and `pg` falls back to nothing else.
    password: () => {
      if (auth.cleartext) throw Object.assign(new Error(), { code: 'CLEARTEXT' });
      auth.asked = true;
      return login.password.reveal();
    },
  });
  const state = { alive: true };
  client.on('error', () => {
    state.alive = false;
  });
  survive(client);
  client.connection.once('authenticationOk', () => {
    auth.authenticated = true;
  });
  if (target.tls.mode === 'disable')
    client.connection.prependListener('authenticationCleartextPassword', () => {
      auth.cleartext = true;
    });

  const failed = (error: unknown): PgFailure => {
    const failure: Failure = { ...describe(error), authenticated: auth.authenticated, asked: auth.asked };
    if (failure.origin === 'client') {
      state.alive = false;
      client.connection.stream.destroy();
    }
    return new PgFailure(failure);
  };
  try {
    await client.connect();
  } catch (error) {
    client.connection.stream.destroy();
    throw failed(error);
  }
  return {
    asked: auth.asked,
    get alive() {
      return state.alive;
    },
    async query(text, values) {
      try {
        return (await client.query<Row>(text, values)).rows;
      } catch (error) {
        throw failed(error);
      }
    },
    quote: (identifier) => pg.escapeIdentifier(identifier),
    close: () => {
      state.alive = false;
      return hangUp(client);
    },
  };
}

/**
 * `pg` reads the server's bytes in a listener, where what it throws at a broken one would end the process: it ends
 * the connection instead. Its types do not know the method.
 */
function survive(client: Client): void {
  const connection = client.connection as unknown as { attachListeners(stream: Socket): void };
  const attach = connection.attachListeners.bind(client.connection);
  connection.attachListeners = (stream) => {
    const before = new Set(stream.rawListeners('data'));
    const whole = wholeMessages();
    attach(stream);
    for (const listener of stream.rawListeners('data')) {
      if (before.has(listener)) continue;
      stream.removeListener('data', listener as () => void);
      stream.on('data', (bytes) => {
        if (stream.destroyed) return;
        try {
          const messages = whole(bytes);
          if (messages.length > 0) listener.call(stream, messages);
        } catch {
          stream.destroy(Object.assign(new Error('broken'), { code: 'PROTOCOL' }));
        }
      });
    }
  };
}

/** `pg` knows `scramMaxIterations`, its types do not. */
type Config = ClientConfig & { scramMaxIterations: number };

/** For `host` as `user`, by TLS as the manifest says; without the password. */
export function clientConfig(target: Target, host: string, user: string): Config {
  const { tls, timeout } = target;
  return {
    host,
    port: target.port,
    user,
    database: target.database ?? 'postgres',
    application_name: 'keyturn',
    connectionTimeoutMillis: timeout,
    query_timeout: timeout + cancelTime,
    scramMaxIterations: mostIterations,
    ssl:
      tls.mode === 'disable'
        ? false
        : {
            rejectUnauthorized: true,
            // `pg` writes the host over any `servername`, so the name that must be in the certificate is checked here.
            checkServerIdentity: (_host, certificate) =>
              checkServerIdentity(tls.serverName ?? host, certificate),
            ...(tls.ca === undefined ? {} : { ca: tls.ca }),
          },
  };
}

function describe(error: unknown): Pick<Failure, 'origin' | 'code' | 'routine'> {
  const { code, routine, severity, message } = error as Record<string, unknown>;
  if (typeof severity === 'string' && typeof code === 'string')
    return { origin: 'server', code, routine: typeof routine === 'string' ? routine : '' };
  const system = typeof code === 'string' && /^[A-Z][A-Z0-9_]*$/.test(code) ? code : undefined;
  return { origin: 'client', code: system ?? ownCode(String(message)), routine: '' };
}

/** `pg` marks its own errors by their text alone. */
function ownCode(message: string): string {
  if (/timeout/i.test(message)) return 'TIMEOUT';
  if (/does not support SSL/.test(message)) return 'NO_TLS';
  if (/^SASL/.test(message)) return 'SASL';
  return 'CLOSED';
}

/** Says goodbye, and does not wait for ever for an answer. Never throws. */
async function hangUp(client: Client): Promise<void> {
  const { stream } = client.connection;
  const timer = setTimeout(() => stream.destroy(), cancelTime);
  await client.end().catch(() => undefined);
  clearTimeout(timer);
  stream.destroy();
}
