/**
 * Entra's token endpoint, Microsoft Graph and ARM on one TLS port, with a test CA: stateful, strict about what they
 * are sent, and able to misbehave. Answers have the shapes of recorded traffic.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeCertificates } from '../tls.ts';
import { arm, armError, operationOf as armOperationOf } from './arm.ts';
import { type Directory, emptyDirectory, type StorageAccount } from './directory.ts';
import { configuration, type Grants, token } from './entra.ts';
import { type Answer, type Asked, Violation } from './exchange.ts';
import { graph, graphError, operationOf as graphOperationOf, type Lag } from './graph.ts';

export type Fault =
  /** It is done; nobody hears of it. */
  | 'lose-reply'
  /** It is done, and whoever asked waits for ever. */
  | 'swallow-reply'
  /** It never arrives. */
  | 'lose-request'
  /** 429 with Retry-After. */
  | 'throttle'
  | 'throttle-long'
  /** 409 and 503 Directory_ConcurrencyViolation. */
  | 'conflict'
  | 'busy'
  | 'fail'
  /** 404, as right after an application was made. */
  | 'absent';

export interface AzureDouble {
  readonly directory: Directory;
  readonly origin: string;
  readonly port: number;
  readonly caPem: string;
  /** For `NODE_EXTRA_CA_CERTS`. */
  readonly caFile: string;
  readonly lag: Lag;
  /** Every operation in the order it came, `addPassword by <appId>`. */
  readonly seen: string[];
  /** What no client of ours may send. A test ends with none. */
  readonly violations: string[];
  /** Called whenever a key of an account was renewed. */
  renewed: (account: StorageAccount) => Promise<void>;
  /** Says something else than what is true, of requests that were carried out; false: nothing. */
  lie: (operation: string, truth: Answer, response: ServerResponse) => boolean;
  /** Strikes the next requests with that operation, once each. `struck` may kill the client. */
  arm(operation: string, fault: Fault, struck?: () => void): void;
  stop(): Promise<void>;
}

export async function startAzure(): Promise<AzureDouble> {
  const { caPem, certPem, keyPem } = makeCertificates();
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-azure-'));
  const caFile = join(folder, 'ca.pem');
  writeFileSync(caFile, caPem);
  const directory = emptyDirectory();
  const grants: Grants = new Map();
  const faults: { operation: string; fault: Fault; struck: () => void }[] = [];
  const double = {
    directory,
    caPem,
    caFile,
    lag: { refusals: [], hidden: 0, stale: 0 } as Lag,
    seen: [] as string[],
    violations: [] as string[],
    renewed: async (_: StorageAccount): Promise<void> => undefined,
    lie: (_operation: string, _truth: Answer, _response: ServerResponse): boolean => false,
  };
  let origin = '';

  const answer = async (asked: Asked, operation: string): Promise<Answer> => {
    // by whatever way it is reached, as through a proxy
    const reached = `https://${asked.headers.host}`;
    if (operation === 'configuration') return configuration(reached, directory);
    if (operation === 'token') return token(asked, reached, directory, grants);
    const bearer = /^Bearer (.+)$/.exec(String(asked.headers.authorization ?? ''))?.[1] ?? '';
    const grant = grants.get(bearer);
    const isGraph = asked.path.startsWith('/v1.0/');
    const audience = isGraph ? 'https://graph.microsoft.com' : 'https://management.azure.com';
    if (!grant || grant.audience !== audience || grant.expires < Date.now())
      return isGraph
        ? graphError(401, 'InvalidAuthenticationToken', 'Access token is empty.')
        : armError(401, 'AuthenticationFailed', 'Authentication failed.');
    double.seen.push(`${operation} by ${grant.appId}`);
    if (isGraph) return graph(asked, operation, grant, directory, double.lag);
    return arm(asked, operation, grant, directory, double.renewed);
  };

  const handle = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const asked = await read(incoming, origin);
    const operation = operationOf(asked, directory.tenantId);
    if (operation === undefined) throw new Violation(`${asked.method} ${asked.path} is nothing we ask`);
    const at = faults.findIndex((fault) => fault.operation === operation);
    const [struck] = at < 0 ? [] : faults.splice(at, 1);
    if (struck?.fault === 'lose-request') {
      struck.struck();
      incoming.socket.destroy();
      return;
    }
    const refusal = struck && refusalOf(struck.fault);
    if (refusal) struck?.struck();
    const given = refusal ?? (await answer(asked, operation));
    if (struck?.fault === 'lose-reply') {
      struck.struck();
      incoming.socket.destroy();
      return;
    }
    if (struck?.fault === 'swallow-reply') return struck.struck();
    if (!double.lie(operation, given, response)) send(response, given);
  };
  const server = createServer({ cert: certPem, key: keyPem }, (incoming, response) => {
    handle(incoming, response).catch((error: unknown) => {
      // its client died while it spoke
      if (incoming.destroyed && !incoming.complete) return;
      double.violations.push(error instanceof Violation ? error.message : `the double failed: ${error}`);
      send(response, graphError(400, 'BadRequest', 'the double does not take this'));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  origin = `https://localhost:${port}`;
  return Object.assign(double, {
    origin,
    port,
    arm(operation: string, fault: Fault, struck: () => void = () => undefined) {
      faults.push({ operation, fault, struck });
    },
    async stop() {
      rmSync(folder, { recursive: true, force: true });
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  });
}

function operationOf(asked: Asked, tenantId: string): string | undefined {
  const { method, path } = asked;
  if (method === 'GET' && path === `/${tenantId}/v2.0/.well-known/openid-configuration`)
    return 'configuration';
  if (method === 'POST' && path === `/${tenantId}/oauth2/v2.0/token`) return 'token';
  return path.startsWith('/v1.0/') ? graphOperationOf(asked) : armOperationOf(asked);
}

const concurrency =
  'Error due to concurrent requests being made to the tenant. Please wait briefly and retry.';

function refusalOf(fault: Fault): Answer | undefined {
  switch (fault) {
    case 'throttle':
      return { ...graphError(429, 'TooManyRequests', 'Too many requests'), headers: { 'retry-after': '1' } };
    case 'throttle-long':
      return { ...graphError(429, 'TooManyRequests', 'Too many requests'), headers: { 'retry-after': '60' } };
    case 'conflict':
      return graphError(409, 'Directory_ConcurrencyViolation', concurrency);
    case 'busy':
      return graphError(503, 'Directory_ConcurrencyViolation', concurrency);
    case 'fail':
      return graphError(500, 'InternalServerError', 'Something went wrong');
    case 'absent':
      return graphError(
        404,
        'Request_ResourceNotFound',
        "Resource 'xxxx' does not exist or one of its queried reference-property objects are not present.",
      );
    default:
      return undefined;
  }
}

async function read(incoming: IncomingMessage, origin: string): Promise<Asked> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const url = new URL(incoming.url ?? '/', origin);
  return {
    method: incoming.method ?? '',
    path: url.pathname,
    query: url.searchParams,
    headers: incoming.headers,
    body: Buffer.concat(chunks),
  };
}

function send(response: ServerResponse, { status, body, headers = {} }: Answer): void {
  const id = randomUUID();
  const text = body === undefined ? '' : JSON.stringify(body);
  response.writeHead(status, {
    'request-id': id,
    'client-request-id': id,
    'cache-control': 'no-cache',
    'odata-version': '4.0',
    ...(text === '' ? {} : { 'content-type': 'application/json;odata.metadata=minimal;charset=utf-8' }),
    ...headers,
  });
  response.end(text);
}
