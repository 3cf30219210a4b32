/** A person's session on a host: a shell on a terminal, or one command, with everything that passes between. */
import { constants } from 'node:os';
import { Transform } from 'node:stream';
import type { ClientChannel, PseudoTtyOptions } from 'ssh2';
import type { Credentials, Target } from '../driver.ts';
import type { Interrupts, Terminal } from '../session.ts';
import { dial, type Line } from './connect.ts';
import { SshFailure } from './failure.ts';

/** A host that does not answer three of these is lost. */
const keepalive = 15_000;

export interface Visit {
  target: Target;
  jump: Credentials | undefined;
  login: Credentials;
  /** What the login's shell runs; undefined: the shell itself. */
  command: string | undefined;
  /** A terminal on the other side for a command too. */
  tty: boolean;
  terminal: Terminal;
  interrupts: Interrupts;
  /** Called once the host has let us in. */
  entered: () => void;
}

/**
 * Runs it to its end; the exit code of the other side, or 128 and the number of a signal. No agent, no port and no
 * environment is forwarded. Throws SshFailure; code `LOST` where the connection ended before the other side did.
 */
export async function visit(of: Visit): Promise<number> {
  const { client, close } = await dial(of.target, of.jump, of.login, keepalive);
  try {
    const gone = new Promise<never>((_, reject) => {
      client.once('close', () => reject(new SshFailure('unreachable', 'LOST', 'the connection was lost')));
    });
    gone.catch(() => undefined);
    of.entered();
    const screen = wantsScreen(of) ? sizeOf(of.terminal) : undefined;
    const conversation = inChannel(client, of.command, screen, (channel) =>
      converse(channel, of, screen !== undefined),
    );
    return await Promise.race([gone, conversation]);
  } finally {
    close();
  }
}

const wantsScreen = ({ command, tty, terminal: { input, output } }: Visit): boolean =>
  (command === undefined || tty) && input.isTTY === true && output.isTTY === true;

function sizeOf({ output, kind }: Terminal): PseudoTtyOptions {
  return { rows: output.rows || 24, cols: output.columns || 80, term: kind, height: 0, width: 0 };
}

/** `talk` begins in the very call that opens the channel: a short command's exit may be in the same packet. */
function inChannel<T>(
  client: Line['client'],
  command: string | undefined,
  screen: PseudoTtyOptions | undefined,
  talk: (channel: ClientChannel) => Promise<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const opened = (error: Error | undefined, channel: ClientChannel): void => {
      if (error)
        reject(new SshFailure('inconclusive', 'NO_SHELL', 'the host opens no session for this login'));
      else resolve(talk(channel));
    };
    if (command === undefined) client.shell(screen ?? false, opened);
    else client.exec(command, screen === undefined ? {} : { pty: screen }, opened);
  });
}

async function converse(channel: ClientChannel, of: Visit, screen: boolean): Promise<number> {
  const { input, output, errors } = of.terminal;
  const ended = new Promise<number>((resolve, reject) => {
    let code: number | undefined;
    channel.on('exit', (exit: number | null, signal?: string) => {
      code = exit ?? 128 + signalNumber(signal);
    });
    channel.on('error', () => undefined);
    channel.on('close', () => {
      if (code === undefined) reject(new SshFailure('unreachable', 'LOST', 'the connection was lost'));
      else resolve(code);
    });
  });
  channel.pipe(output, { end: false });
  channel.stderr.pipe(errors, { end: false });
  const resize = (): void => {
    channel.setWindow(output.rows || 24, output.columns || 80, 0, 0);
  };
  const stopped = new Promise<number>((resolve) => {
    const hangUp = (code: number): void => {
      resolve(code);
      channel.close();
    };
    const forget = of.interrupts((signal) => {
      const isEnd = screen || (signal !== 'SIGINT' && signal !== 'SIGQUIT');
      if (!screen) channel.signal(signal.slice(3));
      if (isEnd) hangUp(128 + signalNumber(signal));
    });
    channel.once('close', forget);
    const typed = screen ? input.pipe(escapes(() => hangUp(255))) : input;
    typed.pipe(channel);
  });
  if (screen) {
    of.terminal.raw(true);
    output.on('resize', resize);
  }
  try {
    return await Promise.race([ended, stopped]);
  } finally {
    output.off('resize', resize);
    input.unpipe();
    if (screen) of.terminal.raw(false);
    input.pause();
  }
}

const signalNumber = (name: string | undefined): number => {
  const full = name?.startsWith('SIG') === true ? name : `SIG${name}`;
  return Object.entries(constants.signals).find(([key]) => key === full)?.[1] ?? 0;
};

/** `~.` at the beginning of a line hangs up, whatever the other side does; `~~` is one `~`. As OpenSSH has it. */
function escapes(hangUp: () => void): Transform {
  const [tilde, dot] = ['~'.charCodeAt(0), '.'.charCodeAt(0)];
  let state: 'start' | 'line' | 'tilde' = 'start';
  return new Transform({
    transform(chunk: Buffer, _, done) {
      const out: number[] = [];
      for (const byte of chunk) {
        if (state === 'start' && byte === tilde) {
          state = 'tilde';
          continue;
        }
        if (state === 'tilde' && byte === dot) {
          hangUp();
          return done();
        }
        if (state === 'tilde' && byte !== tilde) out.push(tilde);
        out.push(byte);
        state = byte === 13 || byte === 10 ? 'start' : 'line';
      }
      done(null, Buffer.from(out));
    },
  });
}
