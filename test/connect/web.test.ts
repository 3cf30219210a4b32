/** Web sessions against a real application: who gets the credential, and who does not. */
import http from 'node:http';
import https from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openWeb, type WebDoor } from '../../src/connect/web.ts';
import { Secret } from '../../src/secret.ts';
import type { Keyring } from '../../src/targets/session.ts';
import { makeCertificates } from '../servers/tls.ts';

const password = 'Correct-Horse-7';
const once = 'f00dfeed';

/** An application that keeps what it was asked, lets in who has the credential, and redirects where it is told. */
interface App {
  seen: { path: string; headers: http.IncomingHttpHeaders; body: string }[];
  url: string;
  close(): Promise<void>;
}

async function startApp(
  allowed: (headers: http.IncomingHttpHeaders) => boolean,
  tls?: https.ServerOptions,
): Promise<App> {
  const seen: App['seen'] = [];
  const handle: http.RequestListener = (request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      seen.push({ path: request.url ?? '', headers: request.headers, body });
      const to = new URL(request.url ?? '/', 'http://app').searchParams.get('to');
      if (to !== null) response.writeHead(302, { location: to }).end();
      else if (!allowed(request.headers)) response.writeHead(401).end('no');
      else
        response
          .writeHead(200, { 'set-cookie': ['id=1; Domain=app.internal; Secure; HttpOnly'], 'x-from': 'app' })
          .end(`yes ${request.method} ${body}`);
    });
  };
  const server = tls === undefined ? http.createServer(handle) : https.createServer(tls, handle);
  server.on('upgrade', (request, socket) => {
    seen.push({ path: request.url ?? '', headers: request.headers, body: '' });
    socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n');
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    seen,
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const basic = `Basic ${Buffer.from(`admin:${password}`).toString('base64')}`;
const mine = { authorization: `Basic ${Buffer.from(`keyturn:${once}`).toString('base64')}` };

describe('a web session', () => {
  let app: App;
  let stranger: App;
  let door: WebDoor;
  let entered: number;
  const keyring: Keyring = {
    current: () => ({ username: 'admin', password: new Secret(password) }),
    renew: async () => undefined,
    entered: () => {
      entered += 1;
    },
  };
  const tls = { mode: 'verify', ca: undefined, caFile: undefined, serverName: undefined } as const;
  const open = (url: string, more: Partial<Parameters<typeof openWeb>[0]> = {}): Promise<WebDoor> =>
    openWeb({
      access: { url, auth: 'basic', header: 'Authorization', prefix: '' },
      ...{ tls, timeout: 5_000, keyring, password: once, ...more },
    });
  beforeAll(async () => {
    app = await startApp(({ authorization }) => authorization === basic);
    stranger = await startApp(() => true);
  });
  afterAll(() => Promise.all([app.close(), stranger.close()]));
  beforeEach(async () => {
    app.seen.length = 0;
    entered = 0;
    door = await open(`${app.url}/admin`);
  });
  afterEach(() => door.close());
  const ask = (path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(new URL(path, door.url), { redirect: 'manual', ...init, headers: { ...mine, ...init.headers } });
  const last = (): App['seen'][number] => app.seen.at(-1) ?? expect.fail('nothing arrived');

  it('adds the credential below the bound address, and to nothing else', async () => {
    const answer = await ask('/admin/users?q=1', { method: 'POST', body: 'new' });
    expect(await answer.text()).toBe('yes POST new');
    expect(answer.headers.get('set-cookie')).toBe('id=1; HttpOnly');
    expect(last()).toMatchObject({ path: '/admin/users?q=1', body: 'new' });
    expect(last().headers.host).toBe(new URL(app.url).host);
    expect(entered).toBe(1);
    for (const path of ['/admin', '/admin/', '/admin/a/../b', '/admin//../b'])
      expect((await ask(path)).status).toBe(200);
    for (const path of [
      '/',
      '/other',
      '/administrator',
      '/admin/../other',
      '/admin/%2e%2e/other',
      '/admin/..%2fother',
      '/admin/%252e%252e/other',
    ])
      expect([path, (await ask(path)).status, last().headers.authorization]).toEqual([path, 401, undefined]);
    expect(entered).toBe(5);
  });

  it('takes no other host from the path of a request', async () => {
    const { port } = new URL(door.url);
    const raw = (target: string): Promise<string> =>
      new Promise((resolve) => {
        const socket = connect(Number(port), '127.0.0.1');
        let said = '';
        socket.on('data', (chunk) => {
          said += chunk;
        });
        socket.on('close', () => resolve(said));
        socket.write(
          `GET ${target} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nauthorization: ${mine.authorization}\r\nconnection: close\r\n\r\n`,
        );
      });
    for (const target of [`${stranger.url}/admin`, `//${new URL(stranger.url).host}/admin`])
      expect(await raw(target)).toMatch(/^HTTP\/1\.1 401/);
    expect(stranger.seen).toEqual([]);
    expect(app.seen.map(({ headers }) => headers.authorization)).toEqual([undefined, undefined]);
  });

  it('sends a redirect within the application back here, and another one without the credential', async () => {
    const inside = await ask(`/admin/go?to=${encodeURIComponent(`${app.url}/admin/there`)}`);
    expect(inside.headers.get('location')).toBe(new URL('/admin/there', door.url).href);
    const relative = await ask('/admin/go?to=/elsewhere');
    expect(relative.headers.get('location')).toBe('/elsewhere');
    const outside = await ask(`/admin/go?to=${encodeURIComponent(`${stranger.url}/admin`)}`);
    expect(outside.headers.get('location')).toBe(`${stranger.url}/admin`);
    expect(stranger.seen).toEqual([]);
  });

  it('is for who has its address: no password, a wrong one or another name of it come to nothing', async () => {
    for (const headers of [
      {},
      { authorization: `Basic ${Buffer.from('keyturn:f00dfeee').toString('base64')}` },
    ])
      expect((await fetch(door.url, { headers })).status).toBe(401);
    const rebound = await new Promise<number | undefined>((resolve) => {
      http.get(door.url, { headers: { ...mine, host: 'evil.example' } }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      });
    });
    expect(rebound).toBe(421);
    expect(app.seen).toEqual([]);
    expect(door.open).toBe(door.url.replace('http://', `http://keyturn:${once}@`));
  });

  it('names a header where the application wants one, over what the client says', async () => {
    const keyed = await open(app.url, {
      access: { url: `${app.url}/`, auth: 'header', header: 'X-Api-Key', prefix: 'key ' },
    });
    await fetch(new URL('/any', keyed.url), { headers: { ...mine, 'x-api-key': 'mine' } });
    expect(last().headers).toMatchObject({ 'x-api-key': `key ${password}` });
    expect(last().headers.authorization).toBeUndefined();
    await keyed.close();
  });

  it('passes a socket through, with the credential at its beginning', async () => {
    const { port } = new URL(door.url);
    const socket = connect(Number(port), '127.0.0.1');
    let said = '';
    socket.on('data', (chunk) => {
      said += chunk;
    });
    socket.write(
      `GET /admin/ws HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nauthorization: ${mine.authorization}\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n`,
    );
    await expect.poll(() => said).toContain('101 Switching Protocols');
    socket.write('hello');
    await expect.poll(() => said).toMatch(/hello$/);
    expect(last().headers.authorization).toBe(basic);
    socket.destroy();
  });

  it('verifies the application, and says what is wrong', async () => {
    const certificates = makeCertificates();
    const safe = await startApp(({ authorization }) => authorization === basic, {
      cert: certificates.certPem,
      key: certificates.keyPem,
    });
    const trusted = await open(`${safe.url}/`, { tls: { ...tls, ca: certificates.caPem } });
    expect((await fetch(trusted.url, { headers: mine })).status).toBe(200);
    const distrusted = await open(`${safe.url}/`);
    const answer = await fetch(distrusted.url, { headers: mine });
    expect([answer.status, await answer.text()]).toEqual([
      502,
      expect.stringContaining('cannot be reached ('),
    ]);
    expect(safe.seen).toHaveLength(1);
    await Promise.all([trusted.close(), distrusted.close(), safe.close()]);
  });
});
