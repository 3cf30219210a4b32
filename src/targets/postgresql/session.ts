/**
 * A local client's connection, logged in at the server with a login that the client does not have: its start-up message
 * is read here, `pg` proves the credential with the client's own settings, then bytes pass through.
 */
import type { Duplex } from 'node:stream';
import type { Client } from 'pg';
import { redact } from '../../redact.ts';
import type { Credentials, Target } from '../driver.ts';
import { join } from '../join.ts';
import { onePacket } from '../one-packet.ts';
import type { Keyring } from '../session.ts';
import { clientConfig } from './connect.ts';
import { fatal, noEncryption, readStartup, type Startup, startupLength, welcome } from './packets.ts';

/** Connection failure, in the server's language. */
const connectionFailure = '08006';
const loginRefused = ['28P01', '28000'];

type Start = Extract<Startup, { kind: 'start' }>;

/** Serves one client until either side ends; never throws. The client is told in its own protocol what went wrong. */
export async function servePostgresql(client: Duplex, target: Target, keyring: Keyring): Promise<void> {
  client.on('error', () => client.destroy());
  try {
    for (;;) {
      const message = await onePacket(client, startupLength);
      const startup = readStartup(message);
      if (startup.kind === 'encrypt') client.write(noEncryption);
      else if (startup.kind === 'cancel') {
        client.end();
        return await cancel(message, target);
      } else if (startup.kind === 'start') return await start(client, startup, target, keyring);
      else throw new Refusal('0A000', 'the client speaks another protocol');
    }
  } catch (error) {
    const { sqlState, message } = error instanceof Refusal ? error : unreachable(target, error);
    client.end(fatal(sqlState, `keyturn: ${redact(message)}`));
  }
}

/** The server's answer to a login, or ours to the client. */
class Refusal extends Error {
  readonly sqlState: string;

  constructor(sqlState: string, message: string) {
    super(message);
    this.sqlState = sqlState;
  }
}

function unreachable(target: Target, error: unknown): Refusal {
  const { code } = error as { code?: unknown };
  const name = typeof code === 'string' && /^[A-Z][A-Z0-9_]+$/.test(code) ? ` (${code})` : '';
  return new Refusal(connectionFailure, `${target.host}:${target.port} cannot be reached${name}`);
}

async function start(client: Duplex, startup: Start, target: Target, keyring: Keyring): Promise<void> {
  const { stream, ...told } = await logIn(startup, target, keyring);
  keyring.entered();
  client.write(welcome({ ...told, minor: startup.minor }));
  join(client, stream);
}

interface LoggedIn {
  stream: Duplex;
  parameters: ReadonlyMap<string, string>;
  processId: number;
  secretKey: number;
}

/** With the login of now; refused, with the one that a rotation has made since, once. Throws Refusal. */
async function logIn(startup: Start, target: Target, keyring: Keyring): Promise<LoggedIn> {
  try {
    return await prove(startup, target, keyring.current());
  } catch (error) {
    if (!(error instanceof Refusal && loginRefused.includes(error.sqlState))) throw error;
    const newer = await keyring.renew();
    if (newer === undefined) throw error;
    return prove(startup, target, newer);
  }
}

async function prove(
  { parameters: wished }: Start,
  target: Target,
  { username, password }: Credentials,
): Promise<LoggedIn> {
  const pg = await import('pg');
  const { client_encoding, ...settings } = wished;
  const database = settings.database ?? target.database ?? 'postgres';
  const client = new pg.Client({
    ...clientConfig(target, target.host, username),
    database,
    password: () => {
      if (cleartext) throw Object.assign(new Error(), { code: 'CLEARTEXT' });
      return password.reveal();
    },
  }) as Client & Told;
  let cleartext = false;
  if (target.tls.mode === 'disable')
    client.connection.prependListener('authenticationCleartextPassword', () => {
      cleartext = true;
    });
  client.getStartupConf = () => ({ ...settings, user: username, database });
  const parameters = new Map<string, string>();
  client.connection.on('parameterStatus', ({ parameterName, parameterValue }) => {
    parameters.set(parameterName, parameterValue);
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    if (client_encoding !== undefined && client_encoding.toUpperCase() !== 'UTF8')
      await client.query("select set_config('client_encoding', $1, false)", [client_encoding]);
  } catch (error) {
    client.connection.stream.destroy();
    const { severity, code, message } = error as Record<string, unknown>;
    if (typeof severity !== 'string' || typeof code !== 'string') throw error;
    throw new Refusal(code, String(message));
  }
  const { stream } = client.connection;
  stream.removeAllListeners('data');
  stream.pause();
  return { stream, parameters, processId: client.processID, secretKey: client.secretKey };
}

/** What `pg` knows and its types do not. */
interface Told {
  processID: number;
  secretKey: number;
  getStartupConf: () => Record<string, string>;
}

/** Asks the server to stop what another connection does: the message names it, and needs no login. */
async function cancel(message: Buffer, target: Target): Promise<void> {
  const pg = await import('pg');
  const client = new pg.Client(clientConfig(target, target.host, ''));
  const connection = client.connection as typeof client.connection & { startup: () => void };
  connection.startup = () => connection.stream.end(message);
  client.on('error', () => undefined);
  // the server answers by hanging up
  await client.connect().catch(() => undefined);
}
