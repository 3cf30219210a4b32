/**
 * A local client's connection, logged in at the server with a login that the client does not have: both greetings are
 * exchanged here, mysql2 proves the credential, then bytes pass through.
 */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Connection } from 'mysql2';
import { redact } from '../../redact.ts';
import type { Credentials, Target } from '../driver.ts';
import { join } from '../join.ts';
import { onePacket } from '../one-packet.ts';
import type { Keyring } from '../session.ts';
import { dial, tlsOptions } from './connect.ts';
import {
  errorPacket,
  type Greeting,
  type Hello,
  okPacket,
  packetLength,
  provenPacket,
  readGreeting,
  readHello,
} from './packets.ts';

const accessDenied = 1045;
const unknownError = 1105;

/** Serves one client until either side ends; never throws. The client is told in its own protocol what went wrong. */
export async function serveMysql(client: Duplex, target: Target, keyring: Keyring): Promise<void> {
  client.on('error', () => client.destroy());
  let sequence = 0;
  let socket: Socket | undefined;
  try {
    const first = await greet(target);
    if ('refusal' in first) {
      client.end(first.refusal);
      return;
    }
    socket = first.socket;
    client.write(first.greeting.offer);
    const answer = await onePacket(client, packetLength);
    sequence = answer.readUInt8(3) + 1;
    const hello = readHello(answer);
    if (hello === null) throw new Refusal(unknownError, 'the client is too old');
    const upstream = await logIn(first, hello, target, keyring);
    keyring.entered();
    if (hello.waits) client.write(provenPacket(sequence++));
    client.write(okPacket(sequence));
    join(client, upstream);
  } catch (error) {
    socket?.destroy();
    const { errno, message } = error instanceof Refusal ? error : unreachable(target, error);
    client.end(errorPacket(sequence, errno, `keyturn: ${redact(message)}`));
  }
}

/** The server's answer to a login, or ours to the client. */
class Refusal extends Error {
  readonly errno: number;

  constructor(errno: number, message: string) {
    super(message);
    this.errno = errno;
  }
}

function unreachable(target: Target, error: unknown): Refusal {
  const { code } = error as { code?: unknown };
  const name = typeof code === 'string' && /^[A-Z][A-Z0-9_]+$/.test(code) ? ` (${code})` : '';
  return new Refusal(unknownError, `${target.host}:${target.port} cannot be reached${name}`);
}

type Greeted = { socket: Socket; greeting: Greeting };

async function greet(target: Target): Promise<Greeted | { refusal: Buffer }> {
  const socket = dial(target, target.host);
  const timer = setTimeout(() => {
    socket.destroy(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' }));
  }, target.timeout);
  try {
    const packet = await onePacket(socket, packetLength);
    const greeting = readGreeting(packet);
    if (greeting !== null) return { socket, greeting };
    socket.destroy();
    return { refusal: packet };
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** With the login of now; refused, with the one that a rotation has made since, once. Throws Refusal. */
async function logIn(first: Greeted, hello: Hello, target: Target, keyring: Keyring): Promise<Duplex> {
  try {
    return await prove(first, hello, target, keyring.current());
  } catch (error) {
    if (!(error instanceof Refusal && error.errno === accessDenied)) throw error;
    const newer = await keyring.renew();
    if (newer === undefined) throw error;
    const again = await greet(target);
    if ('refusal' in again) throw error;
    return prove(again, hello, target, newer);
  }
}

async function prove(
  { socket, greeting }: Greeted,
  hello: Hello,
  target: Target,
  { username, password }: Credentials,
): Promise<Duplex> {
  const { createConnection } = await import('mysql2');
  socket.unshift(greeting.plain);
  const connection = createConnection({
    ...tlsOptions(target, target.host),
    stream: () => socket,
    user: username,
    password: password.reveal(),
    connectTimeout: target.timeout,
    flags: hello.flags,
    charsetNumber: hello.charset,
    ...(hello.database === undefined ? {} : { database: hello.database }),
    trace: false,
  } as Parameters<typeof createConnection>[0]);
  socket.resume();
  try {
    await new Promise<void>((resolve, reject) => {
      connection.once('connect', () => resolve());
      connection.on('error', reject);
    });
    return takeOver(connection);
  } catch (error) {
    connection.destroy();
    socket.destroy();
    const { errno, sqlMessage } = error as Record<string, unknown>;
    if (typeof errno !== 'number' || typeof sqlMessage !== 'string') throw error;
    throw new Refusal(errno, sqlMessage);
  }
}

/** The authenticated stream (TLS where the target has it), which mysql2 reads no more. */
function takeOver(connection: Connection): Duplex {
  const { stream } = connection as unknown as { stream: Duplex };
  stream.removeAllListeners('data');
  stream.pause();
  return stream;
}
