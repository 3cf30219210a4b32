/**
 * A loopback address that stands for one web application, with the credential added on its way: to the bound URL and
 * what lies below it, never to another origin, path or redirect. Whoever uses it proves a one-time password of the
 * session first, because every user of a machine can reach a loopback port.
 */
import { timingSafeEqual } from 'node:crypto';
import http, { type IncomingMessage, type RequestOptions, type ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { WebAccess } from '../manifests/access.ts';
import type { Tls } from '../manifests/model.ts';
import { join } from '../targets/join.ts';
import type { Keyring } from '../targets/session.ts';

export interface WebDoor {
  /** `http://127.0.0.1:PORT/path`, without the password. */
  url: string;
  /** The same, for a browser or curl: with the one-time password in it. */
  open: string;
  close(): Promise<void>;
}

/** Opens it. `password` is the one-time one, of letters and digits. */
export async function openWeb(of: {
  access: WebAccess;
  tls: Tls;
  timeout: number;
  keyring: Keyring;
  password: string;
}): Promise<WebDoor> {
  const base = new URL(of.access.url);
  const expected = Buffer.from(`Basic ${Buffer.from(`keyturn:${of.password}`).toString('base64')}`);
  const sockets = new Set<Socket>();
  const known = ({ headers }: IncomingMessage): boolean => {
    const given = Buffer.from(headers.authorization ?? '');
    return given.length === expected.length && timingSafeEqual(given, expected);
  };
  const here = (): string => `127.0.0.1:${(server.address() as AddressInfo).port}`;
  /** Another name for this address is another site's page in the user's browser. */
  const isHere = ({ headers }: IncomingMessage): boolean => headers.host === here();

  const server = http.createServer((request, response) => {
    if (!isHere(request)) return refuse(response, 421, 'keyturn: this address has another name');
    if (!known(request)) {
      response.setHeader('www-authenticate', 'Basic realm="keyturn session", charset="UTF-8"');
      return refuse(response, 401, 'keyturn: use the address that keyturn connect has printed');
    }
    pass(request, response);
  });

  const outgoing = (request: IncomingMessage): { options: RequestOptions; bound: boolean } => {
    const url = upstreamOf(base, request.url ?? '/');
    const bound = isBound(base, url);
    return {
      bound,
      options: {
        ...tlsOf(of.tls, base),
        host: base.hostname.replace(/^\[|\]$/g, ''),
        port: base.port,
        method: request.method ?? 'GET',
        path: `${url.pathname}${url.search}`,
        headers: headersOf(request, base, here(), bound ? credential(of.access, of.keyring) : undefined),
        agent: false,
      },
    };
  };
  const send = base.protocol === 'https:' ? https.request : http.request;

  const pass = (request: IncomingMessage, response: ServerResponse): void => {
    const { options, bound } = outgoing(request);
    const upstream = send({ ...options, timeout: of.timeout });
    upstream.on('timeout', () => {
      if (!response.headersSent) upstream.destroy(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' }));
    });
    upstream.on('error', (error: NodeJS.ErrnoException) => {
      if (response.headersSent) response.destroy();
      else refuse(response, 502, `keyturn: ${base.host} cannot be reached (${error.code ?? 'no code'})`);
    });
    upstream.on('response', (answer) => {
      if (bound && answer.statusCode !== 401 && answer.statusCode !== 403) of.keyring.entered();
      response.writeHead(answer.statusCode ?? 502, answerHeaders(answer, base, here()));
      answer.on('error', () => response.destroy());
      answer.pipe(response);
    });
    response.on('close', () => upstream.destroy());
    request.pipe(upstream);
  };

  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (!isHere(request) || !known(request)) return void socket.destroy();
    socket.on('error', () => socket.destroy());
    const { options } = outgoing(request);
    const { connection = '', upgrade = '' } = request.headers;
    const upstream = send({ ...options, headers: { ...options.headers, connection, upgrade } });
    upstream.on('error', () => socket.destroy());
    upstream.on('response', () => socket.destroy());
    upstream.on('upgrade', (answer, tunnel, rest) => {
      const lines = Object.entries(answer.headers).map(([name, value]) => `${name}: ${String(value)}\r\n`);
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`);
      tunnel.unshift(rest);
      join(socket, tunnel);
    });
    if (head.length > 0) socket.unshift(head);
    upstream.end();
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://${here()}${base.pathname}`,
    open: `http://keyturn:${of.password}@${here()}${base.pathname}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function refuse(response: ServerResponse, status: number, words: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' });
  response.end(`${words}\n`);
}

/** A path is a path: `//evil.example/` and an absolute form are no other host. */
const upstreamOf = (base: URL, target: string): URL => {
  const path = target.startsWith('/') ? target : '/';
  return new URL(base.origin + path.replace(/^\/{2,}/, '/'));
};

/** Below the bound URL, as every server reads it: where one might take `..` or `/` out of an escape, it is not. */
function isBound(base: URL, url: URL): boolean {
  if (url.origin !== base.origin || /%2f|%5c|%00|%25/i.test(url.pathname) || url.pathname.includes('//'))
    return false;
  const folder = base.pathname.endsWith('/') ? base.pathname : `${base.pathname}/`;
  return url.pathname === base.pathname || url.pathname.startsWith(folder);
}

function credential(access: WebAccess, keyring: Keyring): Record<string, string> {
  const { username, password } = keyring.current();
  const value = password.reveal();
  return access.auth === 'basic'
    ? { authorization: `Basic ${Buffer.from(`${username}:${value}`).toString('base64')}` }
    : { [access.header.toLowerCase()]: `${access.prefix}${value}` };
}

/** Of one connection alone, or made anew by Node. */
const hops = [
  'connection',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'upgrade',
  'expect',
];

function headersOf(
  { headers }: IncomingMessage,
  base: URL,
  here: string,
  added: Record<string, string> | undefined,
): Record<string, string | string[]> {
  const kept = Object.entries(headers).flatMap(([name, value]) =>
    value === undefined || hops.includes(name) || name === 'authorization' ? [] : [[name, value] as const],
  );
  const theirs = (text: string): string => text.replace(`http://${here}`, base.origin);
  const named = Object.fromEntries(kept);
  for (const name of ['origin', 'referer'] as const) {
    const value = headers[name];
    if (typeof value === 'string') named[name] = theirs(value);
  }
  return { ...named, host: base.host, ...added };
}

/** Redirects within the application stay here; a redirect elsewhere is the client's own, without the credential. */
function answerHeaders(answer: IncomingMessage, base: URL, here: string): Record<string, string | string[]> {
  const kept = Object.entries(answer.headers).flatMap(([name, value]) =>
    value === undefined || hops.includes(name) ? [] : [[name, value] as const],
  );
  const headers: Record<string, string | string[]> = Object.fromEntries(kept);
  const { location } = answer.headers;
  if (location !== undefined && URL.canParse(location, base.href)) {
    const to = new URL(location, base.href);
    if (to.origin === base.origin && /^https?:/i.test(location))
      headers.location = `http://${here}${to.pathname}${to.search}${to.hash}`;
  }
  const cookies = answer.headers['set-cookie'];
  if (cookies !== undefined)
    headers['set-cookie'] = cookies.map((cookie) => cookie.replace(/;\s*(domain=[^;]*|secure)(?=;|$)/gi, ''));
  return headers;
}

const tlsOf = (tls: Tls, base: URL): https.RequestOptions =>
  base.protocol === 'https:'
    ? {
        rejectUnauthorized: true,
        ...(tls.ca === undefined ? {} : { ca: tls.ca }),
        ...(tls.serverName === undefined ? {} : { servername: tls.serverName }),
      }
    : {};
