/** Servers that say something else than the truth: garbage, half answers, endless ones, nothing, or a damaged real one. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { Dice } from './seeds.ts';

export interface Liar {
  readonly port: number;
  stop(): Promise<void>;
}

/** More than any buffer ought to hold of one answer. */
const endless = 32 * 1024 * 1024;

/** Greets every client and answers each of its packets with what `say` gives; null hangs up, `endless` never ends. */
export function startLiar(
  say: (turn: number) => Buffer | 'endless' | null,
  tls?: { certPem: string; keyPem: string },
  /** After its first answer it never stops. */
  thenEndless = false,
): Promise<Liar> {
  return listen((client) => {
    let turn = 0;
    const answer = (): void => {
      if (client.destroyed) return;
      const said = say(turn);
      turn += 1;
      if (said === null) client.destroy();
      else if (said === 'endless') pour(client, say(turn));
      else {
        client.write(said);
        if (thenEndless && said.length > 0) pour(client, null);
      }
    };
    client.on('data', answer);
    answer();
  }, tls);
}

/** Repeats itself as fast as the client reads. */
function pour(client: Socket, piece: Buffer | 'endless' | null): void {
  const chunk = piece instanceof Buffer && piece.length > 0 ? piece : Buffer.from('x');
  const block = Buffer.concat(Array.from({ length: Math.ceil(65_536 / chunk.length) }, () => chunk));
  let sent = 0;
  const more = (): void => {
    while (!client.destroyed && sent < endless) {
      sent += block.length;
      if (!client.write(block)) return;
    }
  };
  client.on('drain', more);
  more();
}

export type Damage = 'flip' | 'cut' | 'insert' | 'drop' | 'repeat' | 'stall';

/** The real server, one of whose answers is damaged at byte `at` of its stream. */
export function startDamaged(
  upstream: { host: string; port: number },
  { damage, at, dice }: { damage: Damage; at: number; dice: Dice },
): Promise<Liar> {
  return listen((client) => {
    const server = connect(upstream);
    let passed = 0;
    let stalled = false;
    server.on('error', () => client.destroy());
    server.on('close', () => client.destroy());
    client.on('close', () => server.destroy());
    client.on('data', (data) => server.write(data));
    server.on('data', (data) => {
      if (stalled || client.destroyed) return;
      const here = at - passed;
      passed += data.length;
      if (here < 0 || here >= data.length) {
        client.write(data);
        return;
      }
      if (damage === 'stall') stalled = true;
      const [before, after] = [data.subarray(0, here), data.subarray(here)];
      client.write(Buffer.concat([before, ruined(after, damage, dice)]));
      if (damage === 'cut') client.destroy();
    });
  });
}

function ruined(after: Buffer, damage: Damage, dice: Dice): Buffer {
  const some = 1 + dice.below(16);
  switch (damage) {
    case 'flip': {
      const copy = Buffer.from(after);
      copy[0] = (copy[0] ?? 0) ^ (1 << dice.below(8));
      return copy;
    }
    case 'insert':
      return Buffer.concat([dice.bytes(some), after]);
    case 'drop':
      return after.subarray(some);
    case 'repeat':
      return Buffer.concat([after.subarray(0, some), after]);
    case 'cut':
    case 'stall':
      return Buffer.alloc(0);
  }
}

async function listen(
  serve: (client: Socket) => void,
  tls?: { certPem: string; keyPem: string },
): Promise<Liar> {
  const open = new Set<Socket>();
  const accept = (client: Socket): void => {
    client.on('error', () => client.destroy());
    client.setNoDelay(true);
    serve(client);
  };
  const server =
    tls === undefined
      ? createServer(accept)
      : createTlsServer({ cert: tls.certPem, key: tls.keyPem }, accept);
  server.on('tlsClientError', () => undefined);
  // below TLS: who is still at its greeting would be waited for
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => open.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      for (const client of open) client.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
