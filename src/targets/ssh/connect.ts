import { createHash } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { Client, ConnectConfig } from 'ssh2';
import type { Secret } from '../../secret.ts';
import type { Credentials, RotationJob, Target } from '../driver.ts';
import { type Done, type Lead, run } from './command.ts';
import { type Answer, dialogue } from './dialogue.ts';
import { SshFailure } from './failure.ts';
import { takeTurn } from './spacing.ts';

export interface Session {
  readonly alive: boolean;
  /** False where the host let us in without asking for the value. */
  readonly asked: boolean;
  /** Writes `input` in one go and closes stdin. Throws SshFailure where no exit code came: it may have run. */
  exec(command: string, input?: string | Buffer, lead?: Lead): Promise<Done>;
  close(): void;
}

interface Endpoint {
  host: string;
  port: number;
  hostKeys: readonly string[];
  timeout: number;
  spacing: number;
  /** Milliseconds between questions whether the host is still there; 0 or absent: it is not asked. */
  keepalive?: number;
}

/** Hosts that have shown a key that is not pinned, with the pins they failed: not spoken to again by this process. */
const strangers = new Set<string>();
const unpinned = (): SshFailure =>
  new SshFailure('untrusted', 'HOST_KEY', 'the host shows another key than the pinned ones');

/** `SHA256:…` as OpenSSH writes it. */
export const fingerprintOf = (key: Buffer): string =>
  `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;

/** `session`, unless its host has ended it. */
export const aliveOr = (session: Session | undefined): Session | undefined =>
  session?.alive === true ? session : undefined;

/** Logs in to the job's target, through its jump host where it has one. Throws SshFailure. */
export async function connect(job: RotationJob, login: Credentials): Promise<Session> {
  const { target, jump } = job;
  const at = { ...target, host: target.verifyHost ?? target.host };
  const { session, close } = await dial(at, jump, login);
  return {
    exec: session.exec,
    asked: session.asked,
    get alive() {
      return session.alive;
    },
    close,
  };
}

/** A connection that somebody is logged in on; `close` ends the one to the jump host too. */
export interface Line {
  client: Client;
  session: Session;
  close(): void;
}

/** The same at `target.host`, for whoever needs more than commands. Throws SshFailure. */
export async function dial(
  target: Target,
  jump: Credentials | undefined,
  login: Credentials,
  keepalive = 0,
): Promise<Line> {
  const { end, pace, through } = await reach(target, jump);
  try {
    const { client, session } = await open({ ...end, ...pace, keepalive }, login, await through?.stream());
    const close = (): void => {
      session.close();
      through?.close();
    };
    return { client, session, close };
  } catch (error) {
    through?.close();
    throw error;
  }
}

/** The way to a host: its pins and pace, and where a jump host lies between, a stream through that. Throws SshFailure. */
export async function reach(
  target: Target,
  jump: Credentials | undefined,
): Promise<{
  end: Pick<Endpoint, 'host' | 'port' | 'hostKeys'>;
  pace: Pick<Endpoint, 'timeout' | 'spacing'>;
  through: { stream(): Promise<Duplex>; close(): void } | undefined;
}> {
  const ssh = optionsOf(target);
  const end = { host: target.host, port: target.port, hostKeys: ssh.hostKeys };
  const pace = { timeout: target.timeout, spacing: ssh.spacing };
  if (ssh.jump === undefined) return { end, pace, through: undefined };
  if (jump === undefined) throw new SshFailure('unreachable', 'NO_JUMP', 'the jump host has no credentials');
  const { client, session } = await open({ ...ssh.jump, ...pace }, jump).catch((error: unknown) => {
    if (!(error instanceof SshFailure) || error.kind === 'untrusted') throw error;
    throw new SshFailure('unreachable', `JUMP_${error.code}`, `at the jump host: ${error.detail}`);
  });
  return { end, pace, through: { stream: () => forward(client, end), close: () => session.close() } };
}

export function optionsOf(target: Target): NonNullable<Target['ssh']> {
  if (target.ssh === undefined) throw new Error(`${target.name} is no ssh target`);
  return target.ssh;
}

/** The fingerprint of the key that a host shows; nothing is sent to it. For a person to compare and pin. */
export const readHostKey = async (at: { host: string; port: number; timeout: number }): Promise<string> =>
  fingerprintOf(await shownHostKey(at));

/** That key itself, in the form of the protocol. */
export async function shownHostKey(
  at: { host: string; port: number; timeout: number },
  sock?: Duplex,
): Promise<Buffer> {
  let seen: Buffer = Buffer.alloc(0);
  const nobody = { username: 'keyturn', password: undefined };
  const client = await open({ ...at, hostKeys: [], spacing: 0 }, nobody, sock, (key) => {
    seen = key;
  }).catch((error: unknown) => {
    if (error instanceof SshFailure && error.kind === 'untrusted') return undefined;
    throw error;
  });
  client?.session.close();
  return seen;
}

type Login = Omit<Credentials, 'password'> & { password: Secret | undefined };

async function open(
  at: Endpoint,
  login: Login,
  sock?: Duplex,
  seen: (key: Buffer) => void = () => undefined,
): Promise<{ client: Client; session: Session }> {
  const { default: ssh2 } = await import('ssh2');
  const answer = answerOf(login, ssh2.utils.parseKey);
  const pinning = JSON.stringify([at.host, at.port, at.hostKeys]);
  if (strangers.has(pinning)) throw unpinned();
  await takeTurn(at.host, at.port, at.spacing);
  const client = new ssh2.Client();
  const talk = dialogue(login.username, answer, () => client.destroy());
  let alive = false;
  let untrusted = false;
  const config: ConnectConfig = {
    ...(sock === undefined ? { host: at.host, port: at.port } : { sock: sock as never }),
    username: login.username,
    readyTimeout: at.timeout,
    ...(at.keepalive === undefined || at.keepalive === 0
      ? {}
      : { keepaliveInterval: at.keepalive, keepaliveCountMax: 3 }),
    hostVerifier: (key: Buffer) => {
      const fingerprint = fingerprintOf(key);
      seen(key);
      untrusted = !at.hostKeys.includes(fingerprint);
      if (untrusted && at.hostKeys.length > 0) strangers.add(pinning);
      return !untrusted;
    },
    authHandler: (left, partial, next) => next(talk.next(left as never, partial) as never),
  };
  return new Promise((resolve, reject) => {
    const fail = (otherwise: SshFailure, closed: boolean): void => {
      alive = false;
      client.destroy();
      const found = untrusted ? unpinned() : talk.failure(closed);
      reject(found ?? otherwise);
    };
    client.on('banner', (text) => talk.hear(text));
    client.on('error', (error: Error & { code?: unknown; level?: string }) =>
      fail(connectionFailure(error), false),
    );
    client.on('close', () =>
      fail(new SshFailure('unreachable', 'CLOSED', 'the connection was closed'), true),
    );
    client.on('ready', () => {
      alive = true;
      const session: Session = {
        get alive() {
          return alive;
        },
        asked: talk.asked,
        exec: (command, input, lead) =>
          run(client, { command, input: input ?? '', lead, timeout: at.timeout }),
        close: () => {
          alive = false;
          client.end();
          client.destroy();
        },
      };
      resolve({ client, session });
    });
    client.connect(config);
    // each step of a login is one small packet that waits for the answer: with Nagle 200 ms in place of 30
    client.setNoDelay(true);
  });
}

function answerOf(
  { password, privateKey, passphrase }: Login,
  parse: (key: string, passphrase?: string) => unknown,
): Answer {
  if (privateKey === undefined) return { password: password?.reveal() ?? '' };
  const parsed = parse(privateKey.reveal(), passphrase?.reveal());
  const key = (Array.isArray(parsed) ? parsed[0] : parsed) as
    | Extract<Answer, { key: unknown }>['key']
    | Error;
  if (key instanceof Error || !key.isPrivateKey())
    throw new SshFailure('denied', 'BAD_KEY', 'the value is no private key that can be read');
  return { key };
}

function connectionFailure({ code, level, message }: Error & { code?: unknown; level?: string }): SshFailure {
  const timeout = level === 'client-timeout' || /timed out/i.test(message);
  const name = timeout
    ? 'TIMEOUT'
    : typeof code === 'string'
      ? code
      : level === 'handshake'
        ? 'HANDSHAKE'
        : 'CLOSED';
  const words: Record<string, string> = {
    TIMEOUT: 'no answer in time',
    ECONNREFUSED: 'nobody listens there',
    ENOTFOUND: 'the host name is unknown',
    HANDSHAKE: 'no common way to encrypt was found',
  };
  return new SshFailure('unreachable', name, words[name] ?? 'the connection failed');
}

function forward(client: Client, to: { host: string; port: number }): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    client.forwardOut('127.0.0.1', 0, to.host, to.port, (error, stream) => {
      if (error)
        reject(new SshFailure('unreachable', 'JUMP_FORWARD', 'the jump host does not reach the target'));
      else resolve(stream);
    });
  });
}
