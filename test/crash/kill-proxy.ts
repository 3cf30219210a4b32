import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';

/** A TCP proxy that murders its client at one statement: the places between two instructions of the engine. */
export interface KillProxy {
  readonly port: number;
  /**
   * Arms one murder, at the first client packet that matches. `before`: the server never gets it.
   * `after`: the server gets it and answers, the client never learns.
   */
  arm(when: RegExp, moment: 'before' | 'after', murder: () => void): void;
  stop(): Promise<void>;
}

/** Reads plain text only: no use under TLS. */
export async function startKillProxy(upstream: { host: string; port: number }): Promise<KillProxy> {
  let armed: { when: RegExp; moment: 'before' | 'after'; murder: () => void } | undefined;
  const open = new Set<{ destroy(): void }>();
  const server = createServer((client) => {
    const remote = connect(upstream);
    let murder: (() => void) | undefined;
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
      if (armed?.when.test(data.toString('latin1')) !== true) {
        remote.write(data);
        return;
      }
      const { moment, murder: kill } = armed;
      armed = undefined;
      if (moment === 'after') {
        murder = kill;
        remote.write(data);
      } else {
        kill();
        remote.destroy();
      }
    });
    remote.on('data', (data) => {
      if (murder === undefined) client.write(data);
      else murder();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    arm(when, moment, murder) {
      armed = { when, moment, murder };
    },
    async stop() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
