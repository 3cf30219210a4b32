/** Where a person's own client comes in: a socket in a folder that is theirs alone, for as long as the session lasts. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Doorway {
  /** The folder: mode 0700, and nothing in it but the socket. */
  folder: string;
  path: string;
  /** Clients that have come in so far. */
  readonly clients: number;
  /** Hangs up on every client and takes the folder away. May be called twice; never throws. */
  close(): Promise<void>;
}

/** Opens it under the name that the client looks for. Nobody but this user (and root) gets through the folder. */
export async function openDoorway(name: string, serve: (client: Socket) => Promise<void>): Promise<Doorway> {
  // a socket's whole path has little more than a hundred bytes
  const root = Buffer.byteLength(tmpdir()) > 60 ? '/tmp' : tmpdir();
  const folder = await mkdtemp(join(root, 'keyturn-'));
  const path = join(folder, name);
  const inside = new Set<Socket>();
  let clients = 0;
  const server = createServer((client) => {
    clients += 1;
    inside.add(client);
    client.once('close', () => inside.delete(client));
    void serve(client);
  });
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  return {
    folder,
    path,
    get clients() {
      return clients;
    },
    close: async () => {
      for (const client of inside) client.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}
