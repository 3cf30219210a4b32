import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { type Desk, takeDesk } from './desk.ts';

/** Accepts every connection and never says a word. */
let silent: Server;
const sockets = new Set<Socket>();
let desk: Desk;

beforeAll(async () => {
  silent = createServer((socket) => sockets.add(socket.on('error', () => undefined)));
  await once(silent.listen(0, '127.0.0.1'), 'listening');
});
afterAll(() => {
  silent.close();
});
beforeEach(async () => {
  desk = takeDesk();
  expect(await desk.keyturn(['init', '--name', 'acme'])).toMatchObject({ code: 0 });
  desk.write('manifests/wrong.yaml', 'apiVersion: keyturn/v1\nkind: Role\nmetadata: { name: r }\nspec: {}\n');
});
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  desk.leave();
});

it('says mistakes in manifests while the remote is silent', { timeout: 25_000 }, async () => {
  const { port } = silent.address() as AddressInfo;
  desk.git('remote', 'set-url', 'origin', `git://127.0.0.1:${port}/acme`);
  const plan = await desk.keyturn(['plan']);
  expect(plan).toMatchObject({ code: 1, out: '' });
  expect(plan.err).toContain('manifests/wrong.yaml:4:1: r: ');
});

it('says them before anything that is wrong with the identity', async () => {
  desk.env = { ...desk.env, KEYTURN_IDENTITY: 'nonsense' };
  const plan = await desk.keyturn(['plan']);
  expect(plan.err).toContain('manifests/wrong.yaml:4:1: r: ');
  expect(plan.err).not.toContain('KEYTURN_IDENTITY');
  desk.write('manifests/wrong.yaml', '');
  const then = await desk.keyturn(['plan']);
  expect(then.code).toBe(1);
  expect(then.err).toContain('KEYTURN_IDENTITY');
});
