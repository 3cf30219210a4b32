/** `keyturn connect` to an application: with a program, and with an address for a browser. */
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { certificates } from '../servers/https.ts';
import { type PostgresServer, startPostgres } from '../servers/postgresql.ts';
import { audience, type ExampleRotator, startExample } from '../servers/rotator.ts';
import { exposures, type Stage, setStage, startBob } from './stage.ts';

let server: PostgresServer;
let stage: Stage;
let app: http.Server;
/** What the application accepts: the value that is current. */
let allowed = '';
beforeAll(async () => {
  server = await startPostgres();
  app = http.createServer((request, response) => {
    const good = `Basic ${Buffer.from(`app:${allowed}`).toString('base64')}`;
    response.writeHead(request.headers.authorization === good ? 200 : 401).end(`${request.url} for you`);
  });
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  app.close();
  await server.stop();
});
afterEach(() => stage.leave());

async function set(): Promise<void> {
  await server.query('drop role if exists app');
  await server.query('create role app login');
  const { port } = app.address() as AddressInfo;
  stage = await setStage(
    `apiVersion: keyturn/v1
kind: Target
metadata: { name: pg }
spec:
  type: postgresql
  host: 127.0.0.1
  port: ${server.port}
  tls: { mode: disable }
  credentials: { username: ${server.adminUser}, password: { env: ADMIN } }
---
apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: web/app }
spec:
  target: pg
  authenticateAs: target
  account: { username: app }
  access: { web: { url: "http://127.0.0.1:${port}/admin" }, rotateAfterDisconnect: true }
`,
    { ADMIN: server.adminPassword },
  );
  allowed = (await stage.desk.keyturn(['get', 'web/app'])).out;
}

const get = (url: string): Promise<string> =>
  new Promise((resolve, reject) => {
    http
      .get(url, (answer) => {
        let body = '';
        answer.on('data', (chunk) => {
          body += chunk;
        });
        answer.on('end', () => resolve(`${answer.statusCode} ${body.trim()}`));
      })
      .on('error', reject);
  });

describe('a web session', () => {
  it('is an address until Ctrl-C, and is rotated afterwards', async () => {
    await set();
    const running = startBob(stage, ['connect', 'web/app']);
    await running.shows(/^http:\/\/keyturn:\w+@127\.0\.0\.1:\d+\/admin$/m);
    const url = running.out.trim();
    expect(await get(url)).toBe('200 /admin for you');
    expect(await get(`${url}/users`)).toBe('200 /admin/users for you');
    expect(await get(url.replace(/keyturn:\w+@/, ''))).toMatch(/^401 keyturn: use the address/);
    running.child.kill('SIGINT');
    expect(await running.ended, running.err).toBe(0);
    await expect(get(url)).rejects.toThrow('ECONNREFUSED');
    const old = allowed;
    expect((await stage.desk.keyturn(['apply'])).code).toBe(0);
    expect((await stage.desk.keyturn(['get', 'web/app'])).out).not.toBe(old);
  });

  it('gives a program the address alone', async () => {
    await set();
    const fetcher =
      'require("http").get(process.env.KEYTURN_SESSION_URL, (a) => { a.pipe(process.stdout); a.on("end", () => process.stdin.resume()) })';
    const running = startBob(stage, ['connect', 'web/app', '--', process.execPath, '-e', fetcher]);
    await running.shows(/\/admin for you/);
    const home = stage.bob.env.HOME ?? '';
    expect(exposures(allowed, running.child.pid ?? 0, [home, stage.bob.clone])).toEqual([]);
    running.child.stdin?.end();
    expect(await running.ended, running.err).toBe(0);
  });

  it('of an application behind a custom rotator ends with its password refused', async () => {
    let example: ExampleRotator | undefined;
    const { certPem, keyPem } = certificates();
    const guestbook = https.createServer({ cert: certPem, key: keyPem }, (request, response) => {
      const [, given = ''] = (request.headers.authorization ?? '').split(' ');
      const [, user = '', password = ''] =
        /^([^:]*):(.*)$/.exec(Buffer.from(given, 'base64').toString()) ?? [];
      const login = example?.store.login(user, password) ?? 'refused';
      response.writeHead(login === 'refused' ? 401 : 200).end(login);
    });
    await new Promise<void>((resolve) => guestbook.listen(0, 'localhost', resolve));
    try {
      stage = await setStage(
        async (desk) => {
          example = await startExample(JSON.parse((await desk.keyturn(['jwks'])).out));
          example.store.create('admin', 'by-hand-admin-1');
          desk.write('ca.pem', example.caPem);
          return `apiVersion: keyturn/v1
kind: Target
metadata: { name: guestbook }
spec:
  type: web
  url: ${example.url}
  audience: ${audience}
  tls: { ca: ca.pem }
  allowAddresses: [127.0.0.1, "::1"]
---
apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: guestbook/admin }
spec:
  target: guestbook
  account: { username: admin }
  operations: [rotate, verify, status]
  replays: true
  access:
    web: { url: "https://localhost:${(guestbook.address() as AddressInfo).port}/" }
    rotateAfterDisconnect: true
`;
        },
        {},
        {},
        0,
      );
      const old = (await stage.desk.keyturn(['get', 'guestbook/admin'])).out;
      expect(example?.store.login('admin', old)).toBe('present');
      const running = startBob(stage, ['connect', 'guestbook/admin']);
      await running.shows(/^http:\/\/keyturn:/m);
      expect(await get(running.out.trim())).toBe('200 present');
      expect(exposures(old, process.pid, [stage.bob.env.HOME ?? '', stage.bob.clone])).toEqual([]);
      running.child.kill('SIGTERM');
      expect(await running.ended).toBe(143);
      const applied = await stage.desk.keyturn(['apply', '--force']);
      expect(applied.code, applied.err).toBe(0);
      expect(example?.store.login('admin', old)).toBe('refused');
    } finally {
      guestbook.close();
      await example?.stop();
    }
  });
});
