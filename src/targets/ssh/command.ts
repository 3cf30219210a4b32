import type { Client } from 'ssh2';
import { SshFailure } from './failure.ts';

/** A command's end. Output is bytes: a file may be in it. */
export interface Done {
  code: number;
  stdout: Buffer;
  stderr: string;
}

/** What goes first (a password for sudo); the input follows when stdout shows `cue`, and never where that does not come. */
export interface Lead {
  text: string;
  cue: string;
}

const mostOutput = 1 << 20;

/** One command: its input in one go, its whole output. Throws SshFailure where no exit code came: it may have run. */
export function run(
  client: Client,
  of: { command: string; input: string | Buffer; lead: Lead | undefined; timeout: number },
): Promise<Done> {
  const { command, input, lead, timeout } = of;
  return new Promise((resolve, reject) => {
    const give = (code: string, detail: string): void => {
      clearTimeout(timer);
      reject(new SshFailure('unreachable', code, detail));
    };
    const timer = setTimeout(() => {
      give('TIMEOUT', 'no answer in time');
      client.destroy();
    }, timeout);
    const closed = (): void => give('CLOSED', 'the connection was closed');
    client.once('close', closed);
    client.exec(command, (error, stream) => {
      if (error) return give('NO_EXEC', 'the host runs no commands for this login');
      const out: Buffer[] = [];
      const err: Buffer[] = [];
      let bytes = 0;
      let code: number | null = null;
      const collect =
        (into: Buffer[]) =>
        (chunk: Buffer): void => {
          bytes += chunk.length;
          if (bytes > mostOutput) client.destroy();
          else into.push(chunk);
        };
      stream.on('data', collect(out));
      stream.stderr.on('data', collect(err));
      let waiting = lead;
      const follow = (): void => {
        if (waiting === undefined || !Buffer.concat(out).includes(waiting.cue)) return;
        waiting = undefined;
        stream.end(input);
      };
      stream.on('data', follow);
      // a second question is never answered: it would be a second wrong attempt
      stream.stderr.on('data', () => {
        if (waiting !== undefined && /try again|incorrect/i.test(Buffer.concat(err).toString())) stream.end();
      });
      stream.on('error', () => undefined);
      stream.on('exit', (exit: number | null) => {
        code = typeof exit === 'number' ? exit : null;
      });
      stream.on('close', () => {
        client.removeListener('close', closed);
        if (code === null) return give('NO_EXIT', 'the command ended without an answer');
        clearTimeout(timer);
        resolve({ code, stdout: Buffer.concat(out), stderr: Buffer.concat(err).toString('utf8') });
      });
      if (lead === undefined) stream.end(input);
      else stream.write(lead.text);
    });
  });
}
