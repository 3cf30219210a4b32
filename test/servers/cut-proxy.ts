import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** What happens once the client has sent something that matches. */
export type Fault =
  /** The server gets it and answers; the answer is thrown away and both sides are reset. */
  | 'lose-reply'
  /** The server never gets it; both sides are reset. */
  | 'lose-request'
  /** The server gets it and answers; the client waits for ever. */
  | 'swallow-reply';

export interface CutProxy {
  readonly port: number;
  /** Connections accepted so far. */
  readonly connections: number;
  /** Everything that clients sent, in order, as latin1 text. */
  readonly sent: string;
  /** Arms one fault; it strikes once, at the first client packet that matches. */
  cut(when: RegExp, fault: Fault): void;
  /** True when the armed fault has struck. */
  readonly struck: boolean;
  /** Resets every connection as soon as the server has sent this many bytes on it. */
  cutAfter(serverBytes: number): void;
  stop(): Promise<void>;
}

/** A TCP proxy on 127.0.0.1 that fails on demand. It reads plain text only: no use under TLS. */
export async function startCutProxy(upstream: { host: string; port: number }): Promise<CutProxy> {
  const open = new Set<Socket>();
  const state = { connections: 0, sent: '', struck: false, limit: Number.POSITIVE_INFINITY };
  let armed: { when: RegExp; fault: Fault } | undefined;

  const server = createServer((client) => {
    state.connections += 1;
    const remote = connect(upstream);
    let fault: Fault | undefined;
    let received = 0;
    const reset = () => {
      client.resetAndDestroy();
      remote.destroy();
    };
    for (const [socket, other] of [
      [client, remote],
      [remote, client],
    ] as const) {
      open.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        open.delete(socket);
        other.destroy();
      });
    }
    client.on('data', (data) => {
      const text = data.toString('latin1');
      state.sent += text;
      if (armed?.when.test(text)) {
        fault = armed.fault;
        armed = undefined;
        state.struck = true;
        if (fault === 'lose-request') return reset();
      }
      remote.write(data);
    });
    remote.on('data', (data) => {
      received += data.length;
      if (fault === 'lose-reply' || received > state.limit) return reset();
      if (fault !== 'swallow-reply') client.write(data);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return state.connections;
    },
    get sent() {
      return state.sent;
    },
    get struck() {
      return state.struck;
    },
    cut(when, fault) {
      armed = { when, fault };
      state.struck = false;
    },
    cutAfter(serverBytes) {
      state.limit = serverBytes;
    },
    async stop() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A port on 127.0.0.1 where nobody listens. */
export async function closedPort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
