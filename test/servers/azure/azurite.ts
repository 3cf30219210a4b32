/** The data plane of a storage account: Azurite, which knows its keys from its environment, so new keys need a restart. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { StorageAccount } from './directory.ts';

export interface Azurite {
  readonly port: number;
  /** (Re)starts with the account's keys of now. */
  serve(account: StorageAccount): Promise<void>;
  /** Whether the blob service lets the account in with this key: a real signature over a real request. */
  accepts(account: string, key: string): Promise<boolean>;
  stop(): Promise<void>;
}

const program = fileURLToPath(
  new URL('../../../node_modules/azurite/dist/src/blob/main.js', import.meta.url),
);

export async function createAzurite(): Promise<Azurite> {
  const home = mkdtempSync(join(tmpdir(), 'keyturn-azurite-'));
  const port = await freePort();
  let server: ChildProcess | undefined;
  const end = async (): Promise<void> => {
    if (server && server.exitCode === null && server.signalCode === null) {
      server.kill('SIGKILL');
      await once(server, 'exit');
    }
  };
  return {
    port,
    async serve({ name, keys }) {
      await end();
      const [first, second] = keys;
      const running = spawn(
        process.execPath,
        [
          program,
          '--blobHost',
          '127.0.0.1',
          '--blobPort',
          String(port),
          '--inMemoryPersistence',
          '--skipApiVersionCheck',
          '--silent',
        ],
        {
          cwd: home,
          env: {
            PATH: process.env.PATH,
            HOME: home,
            AZURITE_ACCOUNTS: `${name}:${first?.value}:${second?.value}`,
          },
          stdio: 'ignore',
        },
      );
      server = running;
      for (const deadline = performance.now() + 30_000; ; ) {
        const answers = await fetch(`http://127.0.0.1:${port}/`).then(
          () => true,
          () => false,
        );
        if (answers) return;
        if (running.exitCode !== null || performance.now() > deadline)
          throw new Error('azurite did not start');
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    async accepts(account, key) {
      const { BlobServiceClient, StorageSharedKeyCredential } = await import('@azure/storage-blob');
      const client = new BlobServiceClient(
        `http://127.0.0.1:${port}/${account}`,
        new StorageSharedKeyCredential(account, key),
        { retryOptions: { maxTries: 1 } },
      );
      try {
        await client.getProperties();
        return true;
      } catch (error) {
        if ((error as { statusCode?: number }).statusCode === 403) return false;
        throw error;
      }
    },
    async stop() {
      await end();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
