import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, isIP } from 'node:net';
import { resolve } from 'node:path';
import { KeyturnError } from '../errors.ts';
import type { KeyturnTrust } from '../rotator/token.ts';
import { validation, validationPath } from '../rotator/validation.ts';
import type { Command } from './context.ts';

interface Options {
  jwks: string;
  audience: string[];
  accessId?: string | undefined;
  listen: string;
  cert?: string | undefined;
  key?: string | undefined;
}

/** `keyturn rotator serve-validation`: until it is stopped. Needs no identity: public keys judge. */
export const serveValidation: Command<[Options]> = async ({ host, console }, options) => {
  const { jwks, audience, accessId, listen, cert, key } = options;
  const read = (file: string): Promise<string> =>
    readFile(resolve(host.cwd, file), 'utf8').catch((error: NodeJS.ErrnoException) => {
      throw new KeyturnError(file, `cannot be read (${error.code ?? 'EIO'})`);
    });
  const keys = keysIn(await read(jwks), jwks);
  const [, address = '', port = ''] = /^\[?([^\]]*?)\]?:(\d{1,5})$/.exec(listen) ?? [];
  if (port === '' || Number(port) > 65_535)
    throw new KeyturnError(listen, 'is no place to listen at', { hint: 'write e.g. 127.0.0.1:8414' });
  if ((cert === undefined) !== (key === undefined))
    throw new KeyturnError('rotator serve-validation', 'needs --cert and --key together');
  if (cert === undefined && !isLoopback(address))
    throw new KeyturnError(listen, 'would take tokens in clear text from the network', {
      hint: 'listen at 127.0.0.1, or give --cert and --key',
    });
  const judge = validation(
    {
      trust: { keys },
      audience,
      now: () => host.clock.now(),
      ...(accessId === undefined ? {} : { accessId }),
    },
    (line) => console.words(`keyturn: ${line}`),
  );
  const server =
    cert === undefined || key === undefined
      ? createServer(judge)
      : createSecureServer({ cert: await read(cert), key: await read(key) }, judge);
  const at = await listening(server, address, Number(port));
  console.words(`keyturn: ${cert === undefined ? 'http' : 'https'}://${at}${validationPath}`);
  await new Promise<void>((stopped) => host.onStop(() => server.close(() => stopped())));
  return 0;
};

function listening(server: Server, host: string, port: number): Promise<string> {
  return new Promise((resolved, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(new KeyturnError(`${host}:${port}`, `cannot be listened at (${error.code ?? 'EIO'})`)),
    );
    server.listen({ host, port }, () => {
      const { address, family, port: chosen } = server.address() as AddressInfo;
      resolved(family === 'IPv6' ? `[${address}]:${chosen}` : `${address}:${chosen}`);
    });
  });
}

const isLoopback = (address: string): boolean =>
  address === 'localhost' || address === '::1' || (isIP(address) === 4 && address.startsWith('127.'));

function keysIn(text: string, file: string): KeyturnTrust['keys'] {
  try {
    const read = JSON.parse(text) as KeyturnTrust['keys'] | null;
    if (Array.isArray(read?.keys) && read.keys.length > 0) return read;
  } catch {
    // said below
  }
  throw new KeyturnError(file, 'is no JSON Web Key Set', { hint: 'keyturn jwks > FILE makes one' });
}
