/**
 * One POST to an endpoint that is trusted with one secret and with nothing else (protocol §5, A11): https with
 * verification, no redirect, no proxy of the environment, small answers, short waits. Nothing of body or headers gets
 * into an error.
 */
import { Agent, request } from 'node:https';
import type { LookupFunction } from 'node:net';
import type { Secret } from '../../secret.ts';
import { version } from '../../version.ts';
import { type Address, type Resolve, resolveSafely } from './addresses.ts';

export interface Endpoint {
  url: string;
  /** PEM; the system's authorities without it. */
  ca: string | undefined;
  serverName: string | undefined;
  /** What we show of ourselves (mTLS). */
  client: { certificate: Secret; key: Secret } | undefined;
  allowAddresses: readonly string[];
  /** Milliseconds from the first byte sent to the last received. */
  timeout: number;
}

export type HttpResult =
  | { r: 'answer'; status: number; json: Record<string, unknown> | null; retryAfter: number | null }
  /** Nothing was sent. */
  | { r: 'not-sent'; code: string; detail: string }
  /** It was sent; what came of it nobody knows. */
  | { r: 'lost'; code: string; detail: string };

const connectPatience = 5_000;
const largest = 64 * 1024;

export const post = (
  endpoint: Endpoint,
  body: Buffer,
  headers: Record<string, string>,
  resolve?: Resolve,
): Promise<HttpResult> => speak(endpoint, body, headers, resolve);

/** A handshake and nothing more: `answer` where one may be spoken to. */
export const greet = (endpoint: Endpoint, resolve?: Resolve): Promise<HttpResult> =>
  speak(endpoint, null, {}, resolve);

async function speak(
  endpoint: Endpoint,
  body: Buffer | null,
  headers: Record<string, string>,
  resolve?: Resolve,
): Promise<HttpResult> {
  const url = new URL(endpoint.url);
  const resolved = await resolveSafely(url.hostname, endpoint.allowAddresses, resolve);
  if (resolved.r === 'forbidden')
    return {
      r: 'not-sent',
      code: 'FORBIDDEN_ADDRESS',
      detail: `${url.hostname} is ${resolved.address}, which only allowAddresses of the target permits`,
    };
  if (resolved.r === 'unknown')
    return { r: 'not-sent', code: resolved.code, detail: 'its name cannot be resolved' };
  return exchange(url, endpoint, resolved.addresses, body, headers);
}

function exchange(
  url: URL,
  endpoint: Endpoint,
  addresses: Address[],
  body: Buffer | null,
  headers: Record<string, string>,
): Promise<HttpResult> {
  return new Promise((settle) => {
    let sent = false;
    const agent = new Agent({ keepAlive: false, maxSockets: 1 });
    const call = request(url, {
      method: 'POST',
      agent,
      lookup: pinned(addresses),
      // whatever NODE_TLS_REJECT_UNAUTHORIZED says
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2',
      maxHeaderSize: 16 * 1024,
      ...(endpoint.ca === undefined ? {} : { ca: endpoint.ca }),
      ...(endpoint.serverName === undefined ? {} : { servername: endpoint.serverName }),
      ...(endpoint.client === undefined
        ? {}
        : { cert: endpoint.client.certificate.reveal(), key: endpoint.client.key.reveal() }),
      headers: {
        ...headers,
        'Content-Type': 'application/json',
        'Content-Length': String(body?.length ?? 0),
        Accept: 'application/json',
        'Accept-Encoding': 'identity',
        'User-Agent': `keyturn/${version}`,
      },
    });
    const end = (result: HttpResult): void => {
      clearTimeout(connecting);
      clearTimeout(total);
      settle(result);
      call.destroy();
      agent.destroy();
    };
    const failed = (code: string, detail: string): void =>
      end(sent ? { r: 'lost', code, detail } : { r: 'not-sent', code, detail });
    const connecting = setTimeout(
      () => failed('ETIMEDOUT', `no connection within ${connectPatience / 1000} s`),
      Math.min(connectPatience, endpoint.timeout),
    );
    const total = setTimeout(() => failed('ETIMEDOUT', 'no answer in time'), endpoint.timeout);
    call.on('error', (error: NodeJS.ErrnoException) => failed(error.code ?? 'ECONN', wordsFor(error.code)));
    call.on('socket', (socket) =>
      socket.once('secureConnect', () => {
        clearTimeout(connecting);
        if (body === null) return end({ r: 'answer', status: 0, json: null, retryAfter: null });
        sent = true;
      }),
    );
    call.on('response', (response) => {
      const status = response.statusCode ?? 0;
      const chunks: Buffer[] = [];
      let size = 0;
      const encoding = response.headers['content-encoding'] ?? 'identity';
      if (encoding !== 'identity')
        return failed('BAD_ENCODING', 'its answer is encoded, which nobody asked for');
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > largest) return failed('TOO_BIG', `its answer is longer than ${largest} bytes`);
        chunks.push(chunk);
      });
      response.on('error', (error: NodeJS.ErrnoException) =>
        failed(error.code ?? 'ECONN', wordsFor(error.code)),
      );
      response.on('end', () => {
        if (!response.complete) return failed('ECONNRESET', 'its answer was cut off');
        end({
          r: 'answer',
          status,
          json: objectIn(Buffer.concat(chunks)),
          retryAfter: seconds(response.headers['retry-after']),
        });
      });
    });
    // what is not ended is not sent
    if (body !== null) call.end(body);
  });
}

/** Node asks again for every connection; it is told what was allowed. */
function pinned(addresses: Address[]): LookupFunction {
  return (_host, options, callback) => {
    const [first] = addresses;
    if (options.all === true || first === undefined) return callback(null, addresses);
    callback(null, first.address, first.family);
  };
}

/** A JSON object in strict UTF-8, or null. */
function objectIn(bytes: Buffer): Record<string, unknown> | null {
  try {
    const read: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return typeof read === 'object' && read !== null && !Array.isArray(read)
      ? (read as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

const seconds = (header: string | undefined): number | null =>
  header !== undefined && /^\d{1,4}$/.test(header) ? Number(header) : null;

function wordsFor(code: string | undefined): string {
  switch (code) {
    case 'ECONNREFUSED':
      return 'nobody listens there';
    case 'ECONNRESET':
    case 'EPIPE':
      return 'the connection was cut';
    case 'CERT_HAS_EXPIRED':
      return 'its certificate has expired';
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      return 'its certificate is not from an authority that is trusted here';
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return 'its certificate is for another name';
    default:
      return 'the connection failed';
  }
}
