// biome-ignore-all lint/suspicious/noTemplateCurlyInString: placeholders of payloads
import { describe, expect, test } from 'vitest';
import type { CustomRotation, Target, WebTarget } from '../../src/manifests/model.ts';
import { Secret } from '../../src/secret.ts';
import type { RotationJob } from '../../src/targets/driver.ts';
import { asReconciler } from '../../src/targets/web/authenticate.ts';
import { web } from '../../src/targets/web.ts';
import { describeRotator, freshValue } from '../conformance.ts';
import { makeReconciler } from '../rotator/tokens.ts';
import { type CustomServer, startCustom } from '../servers/custom.ts';
import { audience } from '../servers/rotator.ts';

const ours = makeReconciler();
let made = 0;

function jobAt(
  server: CustomServer,
  {
    actor = 'target',
    retain = false,
    ...custom
  }: Partial<CustomRotation> & Partial<Pick<RotationJob, 'actor' | 'retain'>> = {},
): RotationJob {
  const username = `kt${++made}`;
  const current = freshValue();
  server.store.create(username, current);
  server.keys = ours.keys;
  return {
    target: {
      name: 'test/app',
      type: 'web',
      host: '127.0.0.1',
      port: server.port,
      verifyHost: undefined,
      database: undefined,
      tls: { mode: 'verify', ca: server.caPem, caFile: undefined, serverName: undefined },
      credentials: undefined,
      web: {
        path: '/rotate',
        header: 'KeyturnCreds',
        audience,
        accessId: undefined,
        authenticate: 'keyturn',
        allowAddresses: ['127.0.0.1'],
        client: undefined,
      },
      concurrency: 8,
      timeout: 8_000,
      source: { file: 'test.yaml', line: 1, column: 1 },
    },
    username,
    host: undefined,
    account: { usernames: [username], host: undefined },
    actor,
    admin: undefined,
    current: new Secret(current),
    retain,
    mark: { uid: '01J0', version: 1 },
    custom: {
      payload: actor === 'self' ? '{"current": "${current_password}"}' : '',
      generate: 'ours',
      operations: ['verify', 'revoke'],
      replays: false,
      acceptLossWindow: false,
      hasPolicy: false,
      itemName: `prod/${username}`,
      policy: { length: 32, lowercase: true, uppercase: true, numbers: true, symbols: true, exclude: '' },
      ...custom,
    },
    caller: {
      authenticate: asReconciler(
        () => ours.signer,
        'demo',
        () => new Date(),
      ),
      client: undefined,
    },
  };
}

function elsewhere(target: Target, more: Partial<WebTarget>): Target {
  if (target.web === undefined) throw new Error('no web target');
  return { ...target, web: { ...target.web, ...more } };
}

let shared: CustomServer;
describeRotator('web', {
  driver: web,
  can: {
    retain: { self: true, target: true },
    witness: { self: false, target: false },
    alternate: false,
    admin: false,
  },
  statement: /never in clear text/,
  fault: async (fault) => {
    shared.struck = false;
    shared.fault = fault;
    return () => shared.struck;
  },
  start: async () => {
    shared = await startCustom({ replays: false });
  },
  stop: () => shared.stop(),
  account: async ({ actor, retain = false }) => {
    shared.fault = null;
    const job = jobAt(shared, { actor, retain });
    const { current } = job;
    return current === undefined ? job : { ...job, ends: current };
  },
  accepts: async (username, value) => shared.store.login(username, value) !== 'refused',
  powerless: async () => ({ username: '', password: new Secret('') }),
});

describe('web', () => {
  const withServer = async (use: (server: CustomServer) => Promise<void>, options = {}): Promise<void> => {
    const server = await startCustom(options);
    await use(server).finally(() => server.stop());
  };

  test('knows by the status of its operation what became of it, where nothing is verified', () =>
    withServer(async (server) => {
      const job = jobAt(server, { operations: ['status'] });
      const rotator = web.rotator(job);
      expect(rotator.proof).toBe('witness');
      const value = new Secret(freshValue());
      const baseline = { key: 'K1' };
      expect(await rotator.witness(value, baseline)).toBe('not-applied');
      expect((await rotator.set(value, baseline)).r).toBe('applied');
      expect(await web.rotator(job).witness(value, baseline)).toBe('applied');
    }));

  test('knows a refusal for certain only where nothing was sent before', () =>
    withServer(async (server) => {
      const job = jobAt(server, { operations: [] });
      const value = new Secret(freshValue());
      const said = async (rotator: ReturnType<typeof web.rotator>) => {
        expect((await rotator.set(value, { key: 'K' })).r).toBe('refused');
        return rotator.witness(value, { key: 'K' });
      };
      server.lie = () => ({ status: 422, body: { applied: false, code: 'policy' } });
      expect(await said(web.rotator(job))).toBe('not-applied');
      expect(await said(web.rotator({ ...job, attempt: 2 }))).toBe('unknown');
      const unsure = web.rotator(job);
      server.lie = () => ({ status: 500, body: {} });
      expect((await unsure.set(value, { key: 'K' })).r).toBe('ambiguous');
      server.lie = () => ({ status: 422, body: { applied: false, code: 'history' } });
      expect(await said(unsure)).toBe('unknown');
    }));

  test('says so when the rotator answers another value than ours', () =>
    withServer(async (server) => {
      server.lie = () => ({ status: 200, body: { payload: 'made-by-the-rotator-1' } });
      const result = await web.rotator(jobAt(server)).set(new Secret(freshValue()), { key: 'K1' });
      expect(result).toMatchObject({ r: 'other', given: { username: undefined } });
      expect(result.r === 'other' && result.given.value.reveal()).toBe('made-by-the-rotator-1');
    }));

  test('takes what an older rotator gives, username and all', () =>
    withServer(async (server) => {
      server.lie = () => ({ status: 200, body: { password: 'Made-value-1', username: 'app-2', id: 'k-7' } });
      const result = await web.rotator(jobAt(server, { generate: 'rotator' })).obtain?.('K1');
      expect(result).toMatchObject({ r: 'given', given: { username: 'app-2', id: 'k-7' } });
    }));

  test('sends the current value inside the strings of the payload, and the policy where one is written', () =>
    withServer(async (server) => {
      const job = jobAt(server, {
        payload: '{"old": "<${current_password}>"}',
        generate: 'rotator',
        hasPolicy: true,
      });
      await web.rotator(job).obtain?.('K1');
      const [asked] = server.asked.slice(-1);
      expect(JSON.parse(asked?.payload ?? '')).toEqual({ old: `<${job.current?.reveal()}>` });
      expect(asked).toMatchObject({
        item_name: `/prod/${job.username}`,
        username: job.username,
        password_policy: { length: 32, lower: true, upper: true, digits: true, symbols: true },
      });
    }));

  test('asks once where a second try could end the account, and thrice where it could not', () =>
    withServer(
      async (server) => {
        server.fault = 'lose-reply';
        const count = async (job: RotationJob): Promise<number> => {
          server.asked.length = 0;
          expect((await web.rotator(job).obtain?.('K'))?.r).toBe('ambiguous');
          return server.asked.filter(({ operation }) => operation === 'rotate').length;
        };
        expect(await count(jobAt(server, { generate: 'rotator', actor: 'self' }))).toBe(1);
        expect(await count(jobAt(server, { generate: 'rotator' }))).toBe(3);
      },
      { replays: false },
    ));

  test('sends nothing to an address that nobody allowed', () =>
    withServer(async (server) => {
      const job = jobAt(server);
      const { target } = job;
      const strict = { ...job, target: elsewhere(target, { allowAddresses: [] }) };
      expect(await web.rotator(strict).preflight()).toMatchObject({
        r: 'refused',
        why: 'untrusted',
        code: 'FORBIDDEN_ADDRESS',
      });
      expect(await web.rotator(strict).set(new Secret(freshValue()), {})).toMatchObject({ r: 'not-sent' });
      expect(server.asked).toEqual([]);
    }));

  test('is bound to the whole url', () =>
    withServer(async (server) => {
      const { target, account } = jobAt(server);
      const other = elsewhere(target, { path: '/elsewhere' });
      expect(web.binding(target, account)).toMatchObject({ type: 'web', host: '127.0.0.1/rotate' });
      expect(web.binding(other, account).host).toBe('127.0.0.1/elsewhere');
    }));
});
