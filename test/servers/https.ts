import type { RequestListener } from 'node:http';
import { createServer, type Server, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type Certificates, makeCertificates } from './tls.ts';

export interface HttpsServer extends Certificates {
  port: number;
  /** `https://localhost:PORT`. */
  url: string;
  stop(): Promise<void>;
}

let made: Certificates | undefined;
/** One CA and certificate for a whole test file. */
export const certificates = (): Certificates => {
  made ??= makeCertificates();
  return made;
};

/** An https server on 127.0.0.1 whose certificate says localhost. */
export async function startHttps(
  listener: RequestListener,
  options: ServerOptions = {},
): Promise<HttpsServer> {
  const { certPem, keyPem, caPem } = certificates();
  const server: Server = createServer({ cert: certPem, key: keyPem, ...options }, listener);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  return {
    certPem,
    keyPem,
    caPem,
    port,
    url: `https://localhost:${port}`,
    stop: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}
