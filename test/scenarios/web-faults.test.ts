// biome-ignore-all lint/suspicious/noTemplateCurlyInString: placeholders of payloads
/** Rotators that lie, flap, forget and answer what nobody asked for; and a real service whose tokens are gone once lost. */
import { rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { UserStore } from '../../examples/custom-rotator/store.ts';
import type { Work } from '../../src/rotator/index.ts';
import { createWorld, type Machine, type World } from '../crash/world.ts';
import { type CustomServer, startCustom } from '../servers/custom.ts';
import { startOidc } from '../servers/oidc.ts';
import { audience } from '../servers/rotator.ts';
import { makeCertificates } from '../servers/tls.ts';

const stops: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

interface Stage {
  world: World;
  me: Machine;
  server: CustomServer;
  /** `keyturn …args`, and what of its words matters here. */
  run(
    args: string[],
    env?: NodeJS.ProcessEnv,
    killAt?: string,
  ): Promise<{ code: number | null; words: string }>;
  get(name: string, ...more: string[]): Promise<string>;
}

async function stage(
  secrets: Record<string, string>,
  options: {
    replays?: boolean;
    tls?: ServerOptions;
    work?: (store: UserStore) => Work;
    target?: string;
    users?: Record<string, string>;
  } = {},
): Promise<Stage> {
  const world = await createWorld({});
  stops.push(() => world.remove());
  const me = world.machine('a');
  const server = await startCustom(options);
  stops.push(() => server.stop());
  server.keys = JSON.parse((await world.ask(me, ['jwks'])).stdout);
  world.commit(me, {
    'ca.pem': server.caPem,
    'manifests/app.yaml': `apiVersion: keyturn/v1
kind: Target
metadata: { name: app }
spec:
  type: web
  url: ${server.url}/
  audience: ${audience}
  tls: { ca: ca.pem }
  allowAddresses: [127.0.0.1, "::1"]
  timeout: 3s
${options.target ?? ''}`,
    ...Object.fromEntries(
      Object.entries(secrets).map(([name, spec]) => [
        `manifests/${name}.yaml`,
        `apiVersion: keyturn/v1\nkind: RotatedSecret\nmetadata: { name: app/${name} }\nspec:\n  target: app\n  account: { username: ${options.users?.[name] ?? name} }\n${spec}`,
      ]),
    ),
  });
  return {
    world,
    me,
    server,
    run: async (args, env = {}, killAt) => {
      const ran = await world.run(me, args, { env, ...(killAt === undefined ? {} : { killAt }) });
      return { code: ran.code, words: ran.stderr };
    },
    get: async (name, ...more) => (await world.ask(me, ['get', name, ...more])).stdout.trim(),
  };
}

const verified = '  operations: [rotate, verify]\n';

describe('a rotator that', () => {
  test('says it did and did not: the value stays pending, the old one current, a person is told', async () => {
    const { server, run, get } = await stage({ u: verified });
    server.store.create('u', 'by-hand-1');
    expect((await run(['apply', '--yes'])).code).toBe(0);
    const good = await get('app/u');
    server.lie = ({ operation }) =>
      operation === 'rotate' ? { status: 200, body: { applied: true } } : null;
    const lied = await run(['rotate', 'app/u', '--force', '--yes']);
    expect(lied.code, lied.words).toBe(3);
    expect(lied.words).toContain('still wants the old one');
    expect(await get('app/u')).toBe(good);
    server.lie = null;
    const settled = await run(['recover', '--force']);
    expect(settled.code, settled.words).toBe(0);
    expect(server.store.login('u', await get('app/u'))).toBe('present');
  });

  test('answers 200 with something else is asked again by the next run', async () => {
    const { server, run, get } = await stage({ u: verified });
    server.store.create('u', 'by-hand-1');
    server.lie = ({ operation }) => (operation === 'rotate' ? { status: 200, body: { ok: 'yes' } } : null);
    const odd = await run(['apply', '--yes']);
    expect(odd.code, odd.words).toBe(75);
    server.lie = null;
    const settled = await run(['apply', '--yes', '--force']);
    expect(settled.code, settled.words).toBe(0);
    expect(server.store.login('u', await get('app/u'))).toBe('present');
  });

  test('flaps between errors and answers gets there', async () => {
    const { server, run, get } = await stage({ u: verified });
    server.store.create('u', 'by-hand-1');
    let asked = 0;
    server.lie = () => (asked++ % 2 === 0 ? { status: 503, body: {} } : null);
    for (let runs = 0; runs < 6; runs += 1) if ((await run(['apply', '--yes', '--force'])).code === 0) break;
    server.lie = null;
    expect(server.store.login('u', await get('app/u'))).toBe('present');
  });

  test('makes a value of its own although ours was proposed: both are kept', async () => {
    const { server, run, get } = await stage({ u: verified });
    server.store.create('u', 'by-hand-1');
    server.lie = ({ operation }) => {
      if (operation !== 'rotate') return null;
      server.store.setPassword('u', 'made-by-the-rotator-1', false);
      return { status: 200, body: { payload: 'made-by-the-rotator-1' } };
    };
    const other = await run(['apply', '--yes']);
    expect(other.code, other.words).toBe(3);
    expect(other.words).toContain('another value');
    expect(other.words).not.toContain('made-by-the-rotator-1');
    expect(await get('app/u', '--version', '2')).toBe('made-by-the-rotator-1');
  });

  test('breaks the policy: its value is kept and current, and a person is told', async () => {
    const { server, run, get } = await stage({
      u: `${verified}  generate: rotator\n  passwordPolicy: { length: 40 }\n`,
    });
    server.store.create('u', 'by-hand-1');
    server.lie = ({ operation }) => {
      if (operation !== 'rotate') return null;
      server.store.setPassword('u', 'short-1', false);
      return { status: 200, body: { password: 'short-1' } };
    };
    const weak = await run(['apply', '--yes']);
    expect(weak.code, weak.words).toBe(3);
    expect(weak.words).toContain('is shorter than the 40 of passwordPolicy');
    expect(await get('app/u')).toBe('short-1');
  });

  test('renames the account gives both fields in one version', async () => {
    const { server, run, get } = await stage({ u: `${verified}  generate: rotator\n` });
    let made = 0;
    server.lie = ({ operation, username = '', password = '' }) => {
      if (operation === 'verify')
        return { status: 200, body: { valid: server.store.login(username, password) === 'present' } };
      made += 1;
      server.store.create(`u-${made}`, `Made-value-${made}-abc`);
      return { status: 200, body: { username: `u-${made}`, password: `Made-value-${made}-abc` } };
    };
    for (const n of [1, 2]) {
      const ran = await run(n === 1 ? ['apply', '--yes'] : ['rotate', 'app/u', '--force', '--yes']);
      expect(ran.code, ran.words).toBe(0);
      expect(JSON.parse(await get('app/u', '--format', 'json'))).toMatchObject({
        username: `u-${n}`,
        password: `Made-value-${n}-abc`,
      });
    }
    expect((await run(['verify'])).code).toBe(0);
    expect(server.asked.at(-1)).toMatchObject({ operation: 'verify', username: 'u-2' });
  });

  test('is somewhere else than before gets nothing until somebody says so', async () => {
    const { world, me, server, run } = await stage({ u: verified });
    server.store.create('u', 'by-hand-1');
    expect((await run(['apply', '--yes'])).code).toBe(0);
    const before = server.asked.length;
    const moved = world
      .git(me.clone, 'show', 'HEAD:manifests/app.yaml')
      .replace(`${server.url}/`, `${server.url}/evil`);
    world.commit(me, { 'manifests/app.yaml': `${moved}\n` });
    const blocked = await run(['rotate', 'app/u', '--force', '--yes']);
    expect(blocked.words).toContain('run keyturn rebind app/u');
    expect(server.asked).toHaveLength(before);
  });
});

test('a certificate of ours opens the door of a rotator that wants one', async () => {
  const ours = makeCertificates(['DNS:keyturn']);
  const options = {
    tls: { requestCert: true, rejectUnauthorized: true, ca: ours.caPem },
    target: '',
  };
  const { world, me, server, run, get } = await stage({ u: verified }, options);
  server.store.create('u', 'by-hand-1');
  const shut = await run(['apply', '--yes']);
  expect(shut.code, shut.words).toBe(75);
  const text = world.git(me.clone, 'show', 'HEAD:manifests/app.yaml');
  const tls = '{ ca: ca.pem, certificate: { env: CLIENT_CERT }, key: { env: CLIENT_KEY } }';
  world.commit(me, { 'manifests/app.yaml': `${text.replace('{ ca: ca.pem }', tls)}\n` });
  const env = { CLIENT_CERT: ours.certPem, CLIENT_KEY: ours.keyPem };
  const open = await run(['apply', '--yes', '--force'], env);
  expect(open.code, open.words).toBe(0);
  expect(server.store.login('u', await get('app/u'))).toBe('present');
  const doctor = await run(['doctor'], env);
  expect(doctor.words).not.toContain(ours.keyPem);
});

test("a job may show the workflow's own token instead of ours", async () => {
  const asked: string[] = [];
  const github = createServer((request, response) => {
    asked.push(
      `${request.headers.authorization} ${new URL(request.url ?? '', 'http://x').searchParams.get('audience')}`,
    );
    response.end(JSON.stringify({ value: 'the-token-of-the-workflow' }));
  });
  await new Promise<void>((done) => github.listen(0, '127.0.0.1', done));
  stops.push(() => void github.close());
  const { server, run } = await stage(
    { u: verified },
    { target: '  authenticate: github\n  header: X-Token\n' },
  );
  server.store.create('u', 'by-hand-1');
  const without = await run(['apply', '--yes']);
  expect(without.words).toContain('id-token: write');
  const { port } = github.address() as AddressInfo;
  const env = {
    ACTIONS_ID_TOKEN_REQUEST_URL: `http://127.0.0.1:${port}/token?api-version=2`,
    ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'runner-token',
  };
  const refused = await run(['apply', '--yes', '--force'], env);
  // this rotator trusts our keys only, so it says no to the token that it is shown
  expect(refused.code, refused.words).toBe(3);
  expect(refused.words).toContain('unauthorized');
  expect(refused.words).not.toContain('the-token-of-the-workflow');
  expect(asked).toContain(`bearer runner-token ${audience}`);
});

describe('registration access tokens of a real provider', () => {
  const spec = (more: string): string =>
    `  generate: rotator\n  operations: [rotate, verify]\n  payload: { token: "\${current_password}" }\n  initial: { password: { env: TOKEN } }\n${more}`;

  test('rotate, and outlive a runner that is gone with the answer', async () => {
    const oidc = await startOidc();
    stops.push(() => oidc.stop());
    const client = await oidc.register();
    const options = { work: () => oidc.work, users: { client: client.id } };
    const { me, run, get } = await stage({ client: spec('  replays: true\n') }, options);
    const env = { TOKEN: client.token };
    const adopted = await run(['apply', '--yes'], env);
    expect(adopted.code, adopted.words).toBe(0);
    const rotated = await run(['rotate', 'app/client', '--force', '--yes'], env);
    expect(rotated.code, rotated.words).toBe(0);
    const second = await get('app/client');
    expect([await oidc.accepts(client.id, second), await oidc.accepts(client.id, client.token)]).toEqual([
      true,
      false,
    ]);
    await run(['rotate', 'app/client', '--force', '--yes'], env, 'create.afterReply');
    rmSync(`${me.env.HOME}/.cache`, { recursive: true, force: true });
    expect(await oidc.accepts(client.id, second)).toBe(false);
    const recovered = await run(['apply', '--yes', '--force'], env);
    expect(recovered.code, recovered.words).toBe(0);
    expect(await oidc.accepts(client.id, await get('app/client'))).toBe(true);
  });

  test('are lost with an answer that nobody repeats, which is what the manifest accepted', async () => {
    const oidc = await startOidc();
    stops.push(() => oidc.stop());
    const client = await oidc.register();
    const options = { work: () => oidc.work, replays: false, users: { client: client.id } };
    const { me, run, get } = await stage({ client: spec('  acceptLossWindow: true\n') }, options);
    const env = { TOKEN: client.token };
    expect((await run(['apply', '--yes'], env)).code).toBe(0);
    // nothing was sent yet: nothing is lost
    await run(['rotate', 'app/client', '--force', '--yes'], env, 'create.beforeSend');
    const early = await run(['apply', '--yes', '--force'], env);
    expect(early.code, early.words).toBe(0);
    expect(await oidc.accepts(client.id, await get('app/client'))).toBe(true);
    await run(['rotate', 'app/client', '--force', '--yes'], env, 'create.afterReply');
    rmSync(`${me.env.HOME}/.cache`, { recursive: true, force: true });
    const lost = await run(['apply', '--yes', '--force'], env);
    expect(lost.code, lost.words).toBe(3);
    expect(lost.words).toContain('keyturn adopt app/client');
  });

  test('are kept by a run that was too slow, when only it was told', async () => {
    const oidc = await startOidc();
    stops.push(() => oidc.stop());
    const client = await oidc.register();
    const options = { work: () => oidc.work, replays: false, users: { client: client.id } };
    const { world, me, run, get } = await stage({ client: spec('  acceptLossWindow: true\n') }, options);
    const env = { TOKEN: client.token };
    expect((await run(['apply', '--yes'], env)).code).toBe(0);
    const other = world.machine('b');
    let taken: Promise<{ code: number | null; stderr: string }> | undefined;
    const slow = await world.run(me, ['rotate', 'app/client', '--force', '--yes'], {
      env,
      hangAt: 'create.afterReply',
      started: (child) => {
        taken = child.said('hanging at create.afterReply').then(async () => {
          await world.run(other, ['unlock', 'app/client', '--yes'], { env });
          const second = await world.run(other, ['apply', '--yes', '--force'], { env });
          child.kill('SIGCONT');
          return second;
        });
      },
    });
    const second = await taken;
    expect([second?.code, second?.stderr.includes('keyturn adopt app/client')], second?.stderr).toEqual([
      3,
      true,
    ]);
    expect([slow.code, slow.stderr.includes('on a ref of its own')], slow.stderr).toEqual([75, true]);
    const found = await world.run(other, ['apply', '--yes', '--force'], { env });
    expect(found.code, found.stderr).toBe(0);
    world.git(me.clone, 'pull', '--quiet', '--ff-only');
    expect(await oidc.accepts(client.id, await get('app/client'))).toBe(true);
  });
});
