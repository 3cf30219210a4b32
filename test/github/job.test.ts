/** The bundled action as a job: apply, verify and get against a real PostgreSQL, and what a cancelled job leaves. */
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createAccount, logsIn } from '../crash/databases.ts';
import { recorded } from '../crash/oracle.ts';
import { createWorld, type Machine, put, type World } from '../crash/world.ts';
import { secretManifest, targetManifest } from '../scenarios/scene.ts';
import { type CutProxy, startCutProxy } from '../servers/cut-proxy.ts';
import { type Github, startGithub } from '../servers/github.ts';
import { startPostgres } from '../servers/postgresql.ts';
import type { DatabaseServer } from '../servers/server.ts';
import { runnerEnv } from './pull.ts';
import { buildBundle, type Ended, inputsOf, runStep, type Step } from './runner.ts';

const hour = 3_600_000;
const bundle = buildBundle();
const secrets = ['app', 'job'];

let server: DatabaseServer;
let github: Github;
let proxy: CutProxy;
let world: World;
let machine: Machine;
let identity: string;
let runs = 0;

const account = (secret: string): string => `gh${process.pid}_${runs}_${secret}`;

beforeAll(async () => {
  server = await startPostgres();
  github = await startGithub();
});
afterAll(async () => {
  await server.stop();
  await github.stop();
  bundle.remove();
});

beforeEach(async () => {
  runs += 1;
  proxy = await startCutProxy({ host: '127.0.0.1', port: server.port });
  world = await createWorld({});
  machine = world.machine('a');
  identity = readFileSync(world.identity, 'utf8');
  put(world.at('initial', 'admin'), server.adminPassword, 0o600);
  for (const secret of secrets) {
    await createAccount(server, account(secret), `Initial-${crypto.randomUUID()}`);
    world.commit(machine, { [`manifests/${secret}.yaml`]: secretManifest(world, secret, account(secret)) });
  }
  const target = targetManifest(world, server, { port: proxy.port }, server.adminUser).replace(
    /password: \{ file: .* \} \}/,
    'password: { env: DB_ADMIN_PASSWORD } }',
  );
  world.commit(machine, { 'manifests/target.yaml': `${target}  concurrency: 1\n  timeout: 2s\n` });
  // An hour ago, so that each may be rotated again.
  const first = await world.run(machine, ['apply'], {
    offset: -hour,
    env: { DB_ADMIN_PASSWORD: server.adminPassword },
  });
  expect(first.code, first.stderr).toBe(0);
  world.git(machine.clone, 'pull', '--quiet');
});
afterEach(async () => {
  await proxy.stop();
  world.remove();
});

const step = (
  inputs: Record<string, string>,
  more: { signals?: Step['signals']; attempt?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Ended> =>
  runStep({
    command: process.execPath,
    args: [bundle.main],
    cwd: machine.clone,
    env: {
      ...runnerEnv(world, github, machine.clone),
      GITHUB_EVENT_NAME: 'workflow_dispatch',
      GITHUB_REF: 'refs/heads/main',
      DB_ADMIN_PASSWORD: server.adminPassword,
      ...inputsOf({ identity, ...inputs }, { token: 'job-token' }),
      ...(more.attempt === undefined ? {} : { GITHUB_RUN_ATTEMPT: more.attempt }),
      ...more.env,
    },
    ...(more.signals === undefined ? {} : { signals: more.signals }),
  });

/** What is recorded of a secret; fails when its current value does not log in. */
async function current(
  secret: string,
): Promise<{ version: number; value: string; pending: boolean; works: boolean }> {
  const seen = (await recorded(world, machine)).get(secret);
  const version = seen?.record.current ?? 0;
  const { value = '', username = '' } = seen?.values.get(version) ?? {};
  return {
    version,
    value,
    pending: seen?.record.pending !== null,
    works: await logsIn(server, username, value),
  };
}

async function until(what: () => boolean): Promise<void> {
  for (let left = 3000; left > 0; left -= 1) {
    if (what()) return;
    await pause(10);
  }
  throw new Error('it never came true');
}

describe('apply', () => {
  test('with nothing to do says when something will be', async () => {
    const tip = world.tip();
    const ended = await step({ command: 'apply' });
    expect(ended).toMatchObject({ code: 0, outputs: { changes: '0', rotated: '', failed: '' } });
    expect(ended.summary).toContain('### keyturn\n\nnothing to do: 2 secrets unchanged');
    expect(ended.summary).toContain('### Next rotations\n\n| secret | when | there |');
    expect(world.tip()).toBe(tip);
  });

  test('by hand rotates what is named, says so, and lets no value out', async () => {
    const before = await current('app');
    const ended = await step({ command: 'apply', rotate: 'app', reason: 'INC-42: seen in a log' });
    expect(ended, ended.log).toMatchObject({
      code: 0,
      outputs: { changes: '1', rotated: 'app', failed: '' },
    });
    expect(ended.outputs.checksum).toMatch(/^sha256:/);
    expect(ended.summary).toContain('| app | rotated | v2 |');
    expect(ended.summary).toContain('### Next rotations');
    const after = await current('app');
    expect(after).toMatchObject({ version: 2, works: true, pending: false });
    expect((await current('job')).version).toBe(1);
    for (const value of [before.value, after.value, server.adminPassword]) {
      expect(ended.log).not.toContain(value);
      expect(ended.summary).not.toContain(value);
    }
    expect(ended.masks).toEqual(expect.arrayContaining([after.value, server.adminPassword]));
    const history = await world.ask(machine, ['history', 'app']);
    expect(history.stdout).toContain('INC-42: seen in a log');
  });

  test('a failure is an exit code, an annotation and an output', async () => {
    const ended = await step(
      { command: 'apply', rotate: 'app' },
      { env: { DB_ADMIN_PASSWORD: 'Wrong-1234' } },
    );
    expect(ended.code).not.toBe(0);
    expect(ended.outputs).toMatchObject({ rotated: '', failed: 'app' });
    expect(ended.annotations.length).toBeGreaterThan(0);
    expect(await current('app')).toMatchObject({ version: 1, works: true });
  });
});

describe('a job that is cancelled', () => {
  const struck = () => until(() => proxy.struck);

  test('ends the step in flight, begins no other, and says that a rerun goes on', async () => {
    proxy.cut(/ALTER ROLE/, 'swallow-reply');
    const ended = await step(
      { command: 'apply', rotate: 'app job' },
      { signals: { when: struck, send: ['SIGINT'] } },
    );
    expect(ended.signal).toBeNull();
    expect(ended.code, ended.log).toBe(75);
    const mid = [await current('app'), await current('job')];
    expect(mid.map(({ version }) => version)).toContain(1);
    const rerun = await step({ command: 'apply', rotate: 'app job' }, { attempt: '2' });
    expect(rerun.code, rerun.log).toBe(0);
    for (const secret of secrets) {
      const { version, ...rest } = await current(secret);
      expect(version).toBeGreaterThan(1);
      expect(rest).toMatchObject({ works: true, pending: false });
    }
  });

  test('and killed in the middle of a change leaves what the rerun settles', async () => {
    proxy.cut(/ALTER ROLE/, 'swallow-reply');
    const ended = await step(
      { command: 'apply', rotate: 'app' },
      { signals: { when: struck, send: ['SIGINT', 'SIGTERM', 'SIGKILL'] } },
    );
    expect(ended.signal).toBe('SIGKILL');
    const left = await current('app');
    expect(left).toMatchObject({ version: 1, pending: true, works: false });
    const rerun = await step({ command: 'apply' }, { attempt: '2' });
    expect(rerun, rerun.log).toMatchObject({ code: 0 });
    expect(rerun.summary).toContain('| app | resumed | v2 |');
    expect(await current('app')).toMatchObject({ version: 2, works: true, pending: false });
  });
});

describe('another run', () => {
  const killed = async (): Promise<void> => {
    proxy.cut(/ALTER ROLE/, 'swallow-reply');
    const signals = { when: () => until(() => proxy.struck), send: ['SIGKILL' as const] };
    await step({ command: 'apply', rotate: 'app' }, { signals });
    expect(await current('app')).toMatchObject({ version: 1, pending: true });
  };
  const next = { env: { GITHUB_RUN_ID: '4712' } };

  test('goes on at once where GitHub says that the killed one is over', async () => {
    await killed();
    github.runs.set('4711', 'completed');
    const ended = await step({ command: 'apply' }, next);
    expect(ended.code, ended.log).toBe(0);
    expect(await current('app')).toMatchObject({ version: 2, works: true, pending: false });
    expect(github.requests.at(-1)).toBe('GET /repos/acme/secrets/actions/runs/4711');
    expect(github.violations).toEqual([]);
  });

  test('waits for its lease where that cannot be known', async () => {
    await killed();
    for (const [why, status, token] of [
      ['it is not over', 'in_progress', 'job-token'],
      ['GitHub knows no such run', null, 'job-token'],
      ['the token may not ask', 'completed', 'read-token'],
      ['there is no token', 'completed', ''],
    ] as const) {
      github.runs.clear();
      if (status !== null) github.runs.set('4711', status);
      const ended = await step({ command: 'apply', token }, next);
      expect(ended.log, why).toMatch(/app .*claimed by gha:acme\/secrets#4711\/1 .*its lease ends/);
    }
    expect(await current('app')).toMatchObject({ version: 1, pending: true });
    expect(github.violations).toEqual([]);
  });
});

describe('verify', () => {
  test('logs in with every version and tells of what is not accepted', async () => {
    const good = await step({ command: 'verify' });
    expect(good).toMatchObject({ code: 0, annotations: [], outputs: { failed: '' } });
    expect(good.summary).toContain('| app | v1 | ok | logged in |');

    await server.query(`ALTER ROLE ${account('job')} PASSWORD 'somebody-changed-it'`);
    const drift = await step({ command: 'verify' });
    expect(drift).toMatchObject({ code: 3, outputs: { failed: 'job' } });
    expect(drift.annotations).toEqual([
      expect.objectContaining({ level: 'error', properties: { title: 'job: drift' } }),
    ]);
    expect(await step({ command: 'verify', only: 'ap*' })).toMatchObject({
      code: 0,
      outputs: { failed: '' },
    });
  });
});

describe('get', () => {
  test('gives later steps masked variables', async () => {
    const { value } = await current('app');
    const ended = await step({ command: 'get', secrets: 'app=DB_PASSWORD\njob' });
    expect(ended, ended.log).toMatchObject({ code: 0, annotations: [] });
    const job = await current('job');
    expect(ended.env).toEqual({ DB_PASSWORD: value, JOB_PASSWORD: job.value, JOB_USERNAME: account('job') });
    expect(ended.masks).toEqual(expect.arrayContaining([value, job.value]));
    expect(ended.log).not.toContain(value);
    expect(ended.outputs).toEqual({});
  });

  test('exports nothing when one of them cannot be had', async () => {
    for (const [why, asked, hint] of [
      ['nothing is asked for', '', 'NAME=VAR'],
      ["a variable is the runner's", 'app=NODE_OPTIONS', 'NAME=VAR'],
      ['a name is no variable', 'app=DB-PASSWORD', 'letters, digits'],
      ['one is not there', 'app none', 'keyturn list'],
      ['one variable has two values', 'app=X job=X', 'another'],
    ] as const) {
      const ended = await step({ command: 'get', secrets: asked });
      expect(ended.code, why).toBe(1);
      expect(ended.annotations[0]?.message, why).toContain(hint);
      expect(ended.env, why).toEqual({});
    }
  });

  test('reads from an address, as a reader of another repository does', async () => {
    const { value } = await current('app');
    const folder = world.at('elsewhere');
    put(`${folder}/README.md`, 'an application\n');
    const ended = await step(
      { command: 'get', secrets: 'app=DB_PASSWORD', repo: `file://${world.remote}`, ref: 'main' },
      { env: { GITHUB_WORKSPACE: folder } },
    );
    expect(ended, ended.log).toMatchObject({ code: 0, env: { DB_PASSWORD: value } });
  });
});
