import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { isNetwork } from '../../src/manifests/networks.ts';
import { Secret } from '../../src/secret.ts';
import type { About } from '../../src/targets/driver.ts';
import { isForbidden, type Resolve, resolveSafely } from '../../src/targets/web/addresses.ts';
import { ask, type Line } from '../../src/targets/web/call.ts';
import { type Endpoint, greet, post } from '../../src/targets/web/http.ts';
import { certificates, type HttpsServer, startHttps } from '../servers/https.ts';
import { makeCertificates } from '../servers/tls.ts';

/** The client against endpoints that lie, dawdle, flood and redirect. All are real servers on this machine. */

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const stop of stops.splice(0)) await stop();
});

async function serve(listener: RequestListener, options = {}): Promise<HttpsServer> {
  const server = await startHttps(listener, options);
  stops.push(server.stop);
  return server;
}

const endpointOf = (server: { url: string }, more: Partial<Endpoint> = {}): Endpoint => ({
  url: `${server.url}/rotate`,
  ca: certificates().caPem,
  serverName: undefined,
  client: undefined,
  allowAddresses: ['127.0.0.1'],
  timeout: 2_000,
  ...more,
});

const here: Resolve = async () => [{ address: '127.0.0.1', family: 4 }];
const body = Buffer.from('{"payload":"p"}');
const json = (response: ServerResponse, status: number, answer: unknown, headers = {}): void => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof answer === 'string' ? answer : JSON.stringify(answer));
};

describe('one POST', () => {
  test('sends the bytes and the headers, and reads an object', async () => {
    const seen: { body: string; request: IncomingMessage }[] = [];
    const server = await serve(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      seen.push({ body: Buffer.concat(chunks).toString(), request });
      json(response, 200, { applied: true });
    });
    const result = await post(endpointOf(server), body, { KeyturnCreds: 't', 'Idempotency-Key': 'k' }, here);
    expect(result).toEqual({ r: 'answer', status: 200, json: { applied: true }, retryAfter: null });
    expect(seen[0]?.body).toBe('{"payload":"p"}');
    expect(seen[0]?.request.method).toBe('POST');
    expect(seen[0]?.request.rawHeaders).toContain('KeyturnCreds');
    expect(seen[0]?.request.headers).toMatchObject({
      'idempotency-key': 'k',
      'content-type': 'application/json',
      'accept-encoding': 'identity',
      host: `localhost:${server.port}`,
    });
  });

  test('shows a client certificate where one is wanted, and is not let in without', async () => {
    const ours = makeCertificates(['DNS:keyturn']);
    const server = await serve((_, response) => json(response, 200, {}), {
      requestCert: true,
      rejectUnauthorized: true,
      ca: ours.caPem,
    });
    const client = { certificate: new Secret(ours.certPem), key: new Secret(ours.keyPem) };
    expect(await post(endpointOf(server, { client }), body, {}, here)).toMatchObject({
      r: 'answer',
      status: 200,
    });
    expect((await post(endpointOf(server), body, {}, here)).r).toBe('lost');
  });

  test.each<[string, string | undefined, string]>([
    ['of an authority that nobody named', undefined, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    ['of another authority', makeCertificates().caPem, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
  ])('sends nothing to a certificate %s, whatever the environment says', async (_, ca, code) => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    const answered = vi.fn();
    const server = await serve(answered);
    expect(await post(endpointOf(server, { ca }), body, {}, here)).toMatchObject({ r: 'not-sent', code });
    expect(answered).not.toHaveBeenCalled();
  });

  test('sends nothing to a certificate for another name', async () => {
    const server = await serve((_, response) => json(response, 200, {}));
    const result = await post(endpointOf({ url: `https://other.example:${server.port}` }), body, {}, here);
    expect(result).toMatchObject({ r: 'not-sent', code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  });

  test('follows no redirect', async () => {
    const asked: string[] = [];
    const server = await serve((request, response) => {
      asked.push(request.url ?? '');
      json(response, 307, {}, { location: '/elsewhere' });
    });
    expect(await post(endpointOf(server), body, {}, here)).toMatchObject({ r: 'answer', status: 307 });
    expect(asked).toEqual(['/rotate']);
  });

  test.each<[string, RequestListener, string]>([
    ['never answers', () => undefined, 'ETIMEDOUT'],
    [
      'drips a byte at a time',
      (_, response) => {
        response.writeHead(200);
        const drip = setInterval(() => response.write(' '), 20);
        response.on('close', () => clearInterval(drip));
      },
      'ETIMEDOUT',
    ],
    [
      'floods',
      (_, response) => {
        response.on('error', () => undefined);
        json(response, 200, JSON.stringify({ payload: 'x'.repeat(70_000) }));
      },
      'TOO_BIG',
    ],
    [
      'sends a compressed bomb',
      (_, response) => json(response, 200, 'x', { 'content-encoding': 'gzip' }),
      'BAD_ENCODING',
    ],
    ['hangs up', (request) => request.socket.destroy(), 'ECONNRESET'],
    [
      'hangs up halfway through its answer',
      (_, response) => {
        response.writeHead(200, { 'content-length': '100' });
        response.write('{"payload":"half', () => response.socket?.destroy());
      },
      'ECONNRESET',
    ],
    [
      'sends headers without end',
      (_, response) => {
        response.on('error', () => undefined);
        response.writeHead(200, { 'x-flood': 'x'.repeat(17_000) });
        response.end();
      },
      'HPE_HEADER_OVERFLOW',
    ],
  ])('is lost on an endpoint that %s', async (_, listener, code) => {
    const server = await serve(listener);
    const result = await post(endpointOf(server, { timeout: 400 }), body, {}, here);
    expect(result).toMatchObject({ r: 'lost', code });
  });

  test('gives up on a server that accepts and never speaks TLS, and knows that nothing was sent', async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => void sockets.push(socket));
    await new Promise<void>((done) => silent.listen(0, '127.0.0.1', done));
    stops.push(async () => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    const { port } = silent.address() as AddressInfo;
    const endpoint = endpointOf({ url: `https://localhost:${port}` }, { timeout: 300 });
    expect(await post(endpoint, body, {}, here)).toMatchObject({ r: 'not-sent', code: 'ETIMEDOUT' });
  });

  test.each([
    ['no JSON', '<html>ok</html>'],
    ['a list', '[]'],
    ['null', 'null'],
    ['a text', '"ok"'],
  ])('reads %s as no object', async (_, answer) => {
    const server = await serve((__, response) => json(response, 200, answer));
    expect(await post(endpointOf(server), body, {}, here)).toMatchObject({ status: 200, json: null });
  });

  test('uses no proxy of the environment', async () => {
    vi.stubEnv('NODE_USE_ENV_PROXY', '1');
    vi.stubEnv('HTTPS_PROXY', 'http://127.0.0.1:1');
    const server = await serve((_, response) => json(response, 200, {}));
    expect(await post(endpointOf(server), body, {}, here)).toMatchObject({ r: 'answer' });
  });
});

describe('a greeting', () => {
  test('says whether one may speak, and says nothing itself', async () => {
    const answered = vi.fn();
    const server = await serve(answered);
    expect(await greet(endpointOf(server), here)).toMatchObject({ r: 'answer' });
    expect(await greet(endpointOf(server, { ca: undefined }), here)).toMatchObject({ r: 'not-sent' });
    await server.stop();
    stops.pop();
    expect(await greet(endpointOf(server), here)).toMatchObject({ r: 'not-sent', code: 'ECONNREFUSED' });
    expect(answered).not.toHaveBeenCalled();
  });
});

describe('where a rotator may be', () => {
  test.each([
    '127.0.0.1',
    '127.9.9.9',
    '0.0.0.0',
    '169.254.169.254',
    '169.254.1.1',
    '224.0.0.1',
    '255.255.255.255',
    '168.63.129.16',
    '100.100.100.200',
    '::',
    '::1',
    'fe80::1',
    'ff02::1',
    'fd00:ec2::254',
    'fd20:ce::254',
    '::ffff:127.0.0.1',
    '::ffff:a9fe:a9fe',
    '64:ff9b::a9fe:a9fe',
    '2002:7f00:1::',
    '::127.0.0.1',
    'fe80::1%eth0',
  ])('not at %s', (address) => {
    expect(isForbidden(address)).toBe(true);
  });

  test.each([
    '10.0.0.5',
    '172.16.1.1',
    '192.168.1.1',
    '100.64.0.1',
    '93.184.216.34',
    'fd12::1',
    '2606:4700::1',
    '64:ff9b::5db8:d822',
  ])('at %s', (address) => {
    expect(isForbidden(address)).toBe(false);
  });

  test.each([
    'https://127.0.0.1:PORT',
    'https://0x7f.1:PORT',
    'https://2130706433:PORT',
    'https://[::ffff:127.0.0.1]:PORT',
    'https://[::1]:PORT',
    'https://localhost:PORT',
  ])('refuses %s however it is spelled', async (spelling) => {
    const answered = vi.fn();
    const server = await serve(answered);
    const url = spelling.replace('PORT', String(server.port));
    const result = await post(endpointOf({ url }, { allowAddresses: [] }), body, {});
    expect(result).toMatchObject({ r: 'not-sent', code: 'FORBIDDEN_ADDRESS' });
    expect(answered).not.toHaveBeenCalled();
  });

  test('refuses a name of which one address is forbidden', async () => {
    const mixed: Resolve = async () => [
      { address: '93.184.216.34', family: 4 },
      { address: '169.254.169.254', family: 4 },
    ];
    expect(await resolveSafely('rebind.example', [], mixed)).toEqual({
      r: 'forbidden',
      address: '169.254.169.254',
    });
  });

  test('asks the resolver once: a name that answers differently the second time gains nothing', async () => {
    const answers = ['127.0.0.1', '169.254.169.254'];
    const resolve = vi.fn<Resolve>(async () => [{ address: answers.shift() ?? '', family: 4 }]);
    const server = await serve((_, response) => json(response, 200, {}));
    expect(await post(endpointOf(server), body, {}, resolve)).toMatchObject({ r: 'answer' });
    expect(resolve).toHaveBeenCalledTimes(1);
    expect(await post(endpointOf(server), body, {}, resolve)).toMatchObject({ code: 'FORBIDDEN_ADDRESS' });
  });

  test('allows what the manifest lists, and nothing beside it', async () => {
    expect((await resolveSafely('127.0.0.1', ['127.0.0.1'])).r).toBe('allowed');
    expect((await resolveSafely('127.0.0.1', ['127.0.0.0/8'])).r).toBe('allowed');
    expect((await resolveSafely('127.0.0.2', ['127.0.0.1'])).r).toBe('forbidden');
    expect((await resolveSafely('[::1]', ['127.0.0.1'])).r).toBe('forbidden');
  });

  test.each([
    ['10.0.0.0/8', true],
    ['10.1.2.3', true],
    ['fd00::/8', true],
    ['10.0.0.0/33', false],
    ['host', false],
    ['10.0.0.0/8/8', false],
  ])('%s is a network: %s', (text, is) => {
    expect(isNetwork(text)).toBe(is);
  });

  test('knows nothing was sent where the name does not resolve', async () => {
    const resolve: Resolve = () => Promise.reject(Object.assign(new Error('no'), { code: 'ENOTFOUND' }));
    expect(await post(endpointOf({ url: 'https://nowhere.example' }), body, {}, resolve)).toEqual({
      r: 'not-sent',
      code: 'ENOTFOUND',
      detail: 'its name cannot be resolved',
    });
  });
});

describe('one question', () => {
  const callerOf = (server: HttpsServer, about: About[] = [], timeout = 3_000): Line => ({
    endpoint: endpointOf(server, { timeout }),
    header: 'AkeylessCreds',
    audience: 'https://aud.example',
    accessId: 'p-1',
    itemName: '/prod/reporting',
    authenticate: async (one) => {
      about.push(one);
      return new Secret(`token-for-${one.requestId}`);
    },
    resolve: here,
  });
  const question = {
    operation: 'rotate',
    key: '01K',
    attempt: 1,
    payload: 'p',
    fields: { proposed_password: 'v' },
  } as const;

  /** Answers as the script says, the last for ever; remembers what it was asked. */
  async function scripted(script: ((response: ServerResponse, request: IncomingMessage) => void)[]) {
    const asked: { key: unknown; token: unknown; body: Record<string, unknown> }[] = [];
    const server = await serve(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      asked.push({
        key: request.headers['idempotency-key'],
        token: request.headers.akeylesscreds,
        body: JSON.parse(Buffer.concat(chunks).toString()),
      });
      script[Math.min(asked.length, script.length) - 1]?.(response, request);
    });
    return { server, asked };
  }
  const cut = (_: ServerResponse, request: IncomingMessage): void => void request.socket.destroy();
  const say =
    (status: number, answer: unknown, headers = {}) =>
    (response: ServerResponse) =>
      json(response, status, answer, headers);

  test('is asked again under the same key, each try with a token of its own', async () => {
    const about: About[] = [];
    const { server, asked } = await scripted([cut, say(502, {}), say(200, { applied: true })]);
    expect(await ask(callerOf(server, about), question)).toMatchObject({ r: 'answer', status: 200 });
    expect(asked.map(({ key }) => key)).toEqual(['01K', '01K', '01K']);
    expect(asked.map(({ body: { attempt, request_id } }) => [attempt, request_id])).toEqual([
      [1, '01K.1'],
      [2, '01K.2'],
      [3, '01K.3'],
    ]);
    expect(asked.map(({ body: { proposed_password } }) => proposed_password)).toEqual(['v', 'v', 'v']);
    expect(asked.map(({ token }) => token)).toEqual([
      'token-for-01K.1',
      'token-for-01K.2',
      'token-for-01K.3',
    ]);
    expect(new Set(about.map(({ bodySha256 }) => bodySha256)).size).toBe(3);
  });

  test('is given up after three tries', async () => {
    const { server, asked } = await scripted([cut]);
    expect(await ask(callerOf(server), question)).toMatchObject({ r: 'lost', code: 'ECONNRESET' });
    expect(asked).toHaveLength(3);
  });

  test.each([
    [400, { applied: false }],
    [200, { applied: true }],
    [307, {}],
  ])('is not asked again after %i', async (status, answer) => {
    const { server, asked } = await scripted([say(status, answer)]);
    expect(await ask(callerOf(server), question)).toMatchObject({ r: 'answer', status });
    expect(asked).toHaveLength(1);
  });

  test('waits for a rotator that is still at it, but not for ever', async () => {
    const running = say(409, { code: 'in-progress' }, { 'retry-after': '0' });
    const done = await scripted([running, running, running, running, say(200, { applied: true })]);
    expect(await ask(callerOf(done.server), question)).toMatchObject({ status: 200 });
    expect(done.asked).toHaveLength(5);
    const never = await scripted([running]);
    expect(await ask(callerOf(never.server, [], 300), question)).toMatchObject({ status: 409 });
  });

  test('that arrived once counts as sent, although nobody listens at the end', async () => {
    const { server } = await scripted([
      (_, request) => {
        request.socket.destroy();
        void server.stop();
      },
    ]);
    stops.pop();
    expect(await ask(callerOf(server), question)).toMatchObject({ r: 'lost', code: 'ECONNREFUSED' });
  });
});
