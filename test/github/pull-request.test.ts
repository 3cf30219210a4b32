/** The bundled action on a pull request, run as the runner does, with a strict double of GitHub. */
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createWorld, type World } from '../crash/world.ts';
import { closedPort } from '../servers/cut-proxy.ts';
import { type Github, startGithub } from '../servers/github.ts';
import { openPull, type Pull, type PullOptions } from './pull.ts';
import { actionFile, buildBundle, type Ended, inputsOf, runStep } from './runner.ts';

const target = `apiVersion: keyturn/v1
kind: Target
metadata: { name: db }
spec:
  type: postgresql
  host: db.internal
  credentials: { username: admin, password: { env: DB_ADMIN_PASSWORD } }
`;
const secret = (name: string): string => `apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: ${name} }
spec: { target: db, authenticateAs: target, account: { username: ${name} }, schedule: { every: 30d } }
`;

const bundle = buildBundle();
const nobody = await closedPort();
afterAll(() => bundle.remove());

let world: World;
let github: Github;

beforeAll(async () => {
  world = await createWorld({ 'manifests/db.yaml': target, 'manifests/app.yaml': secret('app') });
});
afterAll(() => world.remove());
beforeEach(async () => {
  github = await startGithub();
});
afterEach(() => github.stop());

const plan = (
  pull: Pull,
  inputs: Record<string, string> = {},
  { token = 'job-token', env = {} }: { token?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Ended> =>
  runStep({
    command: process.execPath,
    args: [bundle.main],
    cwd: pull.workspace,
    env: { ...pull.env, ...inputsOf(inputs, { token }), ...env },
  });

const open = (files: Record<string, string | null>, options?: PullOptions): Pull =>
  openPull(world, github, files, options);
const comments = (): string[] => (github.comments.get(7) ?? []).map(({ body }) => body);

describe('without a key', () => {
  test('one comment says what the branch changes, and is changed in place', async () => {
    const first = await plan(open({ 'manifests/job.yaml': secret('job') }));
    expect(first.log).toContain('~ rotate   job   new -> v1   added');
    expect(first).toMatchObject({ code: 0, annotations: [], outputs: { changes: '1' } });
    expect(first.outputs.checksum).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(comments()).toHaveLength(1);
    expect(comments()[0]).toMatch(/^<!-- keyturn plan -->\n\n### keyturn: what this changes\n\n/);
    expect(comments()[0]).toContain('**plan: 1 rotate, 1 unchanged**');
    expect(comments()[0]).toContain('| &#126; | rotate | job | new -&#62; v1 | added |');
    expect(comments()[0]).toContain('(https://github.example/acme/secrets/actions/runs/4711)');
    expect(first.summary).toContain('**plan: 1 rotate, 1 unchanged**');

    const second = await plan(open({ 'manifests/app.yaml': null }));
    expect(second.code).toBe(0);
    expect(comments()).toHaveLength(1);
    expect(comments()[0]).toContain('its manifest is removed');
    expect(comments()[0]).not.toContain('job');

    const third = await plan(open({}));
    expect(third).toMatchObject({ code: 0, outputs: { changes: '0' } });
    expect(comments()).toEqual([expect.stringContaining('nothing to do: 1 secret unchanged')]);
    expect(github.violations).toEqual([]);
  });

  test('nothing is said where nothing changes and nothing was said', async () => {
    expect(await plan(open({ 'README.md': 'hello\n' }))).toMatchObject({
      code: 0,
      outputs: { changes: '0' },
    });
    expect(comments()).toEqual([]);
  });

  test('every mistake is annotated at its line, said in the comment, and fails the check', async () => {
    const broken = secret('job').replace('30d', '30 days').replace('target: db', 'target: db, tarmac: 1');
    const ended = await plan(
      open({ 'manifests/job.yaml': broken, 'manifests/other.yaml': 'kind: Nonsense\n' }),
    );
    expect(ended.code).toBe(1);
    const places = ended.annotations.map(
      ({ level, properties: { file, line } }) => `${level} ${file}:${line}`,
    );
    expect(places.length).toBeGreaterThanOrEqual(3);
    expect(places).toContain('error manifests/job.yaml:4');
    expect(places).toContain('error manifests/other.yaml:1');
    expect(comments()[0]).toMatch(
      /^<!-- keyturn plan -->\n[\s\S]*\*\*\d errors\*\*\n\n\| where \| what \| hint \|/,
    );
    expect(ended.summary).toContain('manifests/job.yaml:4');
    expect(github.violations).toEqual([]);

    expect((await plan(open({ 'manifests/job.yaml': secret('job') }))).code).toBe(0);
    expect(comments()).toEqual([expect.stringContaining('**plan: 1 rotate, 1 unchanged**')]);
  });

  test('a project below the top is annotated and told of by itself', async () => {
    const project = readFileSync(`${open({}).workspace}/keyturn.yaml`, 'utf8');
    const below = (name: string, text: string): Record<string, string> => ({
      [`teams/${name}/keyturn.yaml`]: project,
      [`teams/${name}/manifests/db.yaml`]: text,
    });
    const pull = open({ ...below('a', target), ...below('b', `${target}# x\n  bogus: 1\n`) });
    const b = await plan(pull, { 'working-directory': 'teams/b' });
    expect(b.code).toBe(1);
    expect(b.annotations[0]?.properties.file).toBe('teams/b/manifests/db.yaml');
    expect(comments()).toEqual([expect.stringMatching(/^<!-- keyturn plan teams\/b -->\n/)]);
    expect((await plan(pull)).code).toBe(0);
  });

  test.each(['merge', 'head'] as const)(
    'a checkout of the %s that is too shallow says what to write',
    async (checkout) => {
      const ended = await plan(open({ 'manifests/job.yaml': secret('job') }, { depth: 1, checkout }));
      expect(ended.code).toBe(1);
      expect(ended.annotations[0]?.message).toContain('fetch-depth: 2');
    },
  );

  test('the head of the branch is compared with the base of the event', async () => {
    const ended = await plan(open({ 'manifests/job.yaml': secret('job') }, { depth: 50, checkout: 'head' }));
    expect(ended).toMatchObject({ code: 0, outputs: { changes: '1' } });
  });

  test.each([
    ['a fork', 'mallory/secrets'],
    ['a fork that is deleted', null],
  ])('%s gets its plan in the job summary, and no key looks at it', async (_, from) => {
    const pull = open({ 'manifests/job.yaml': secret('job') }, { from });
    const identity = readFileSync(world.identity, 'utf8');
    const ended = await plan(pull, { identity }, { token: 'read-token' });
    expect(ended).toMatchObject({ code: 0, annotations: [], outputs: { changes: '1' } });
    expect(ended.summary).toContain('### keyturn: what this changes');
    expect(github.requests).toEqual([]);
  });

  test('pull_request_target is refused', async () => {
    const ended = await plan(open({}, { eventName: 'pull_request_target' }));
    expect(ended.code).toBe(1);
    expect(ended.annotations[0]?.message).toContain('on: pull_request');
    expect(github.requests).toEqual([]);
  });
});

describe('the comment', () => {
  const change = { 'manifests/job.yaml': secret('job') };

  test("is never somebody else's, and found behind a hundred others", async () => {
    const mallory = { login: 'mallory', type: 'User' as const };
    const forged = '<!-- keyturn plan -->\n\nnothing to see\n';
    github.comments.set(7, [
      { id: 1, body: forged, user: mallory },
      ...Array.from({ length: 130 }, (_, n) => ({ id: n + 2, body: `comment ${n}`, user: mallory })),
    ]);
    expect((await plan(open(change))).code).toBe(0);
    expect((await plan(open({ 'manifests/app.yaml': null }))).code).toBe(0);
    expect(comments()).toHaveLength(132);
    expect(comments()[0]).toBe(forged);
    expect(comments().at(-1)).toContain('its manifest is removed');
    expect(github.violations).toEqual([]);
  });

  test("of a person's token is that person's", async () => {
    github.comments.set(7, [
      { id: 1, body: '<!-- keyturn plan -->\n\nold\n', user: { login: 'other[bot]', type: 'Bot' } },
    ]);
    expect((await plan(open(change), {}, { token: 'alices-token' })).code).toBe(0);
    expect((await plan(open({}), {}, { token: 'alices-token' })).code).toBe(0);
    expect(github.comments.get(7)?.map(({ user }) => user.login)).toEqual(['other[bot]', 'alice']);
    expect(comments()[1]).toContain('nothing to do');
    expect(github.violations).toEqual([]);
  });

  test.each([
    ['a token that only reads', { token: 'read-token' }, 'HTTP 403', 'permissions: pull-requests: write'],
    ['no GitHub at all', { env: { GITHUB_API_URL: `http://127.0.0.1:${nobody}` } }, 'ECONNREFUSED', ''],
  ])('%s is a warning, not a failure', async (_, how, code, hint) => {
    const ended = await plan(open(change), {}, how);
    expect(ended.code).toBe(0);
    expect(ended.annotations).toEqual([expect.objectContaining({ level: 'warning' })]);
    expect(ended.annotations[0]?.message).toContain(code);
    expect(ended.annotations[0]?.message).toContain(hint);
    expect(ended.summary).toContain('**plan: 1 rotate');
  });

  test('an empty token asks for none', async () => {
    const ended = await plan(open(change), {}, { token: '' });
    expect(ended).toMatchObject({ code: 0, annotations: [] });
    expect(github.requests).toEqual([]);
  });

  test("fills GitHub's limit and never passes it", async () => {
    const names = Array.from({ length: 900 }, (_, n) => `team/${'a'.repeat(40)}-${n}`);
    const many = names.map((name) => secret(name).replace(/username: \S+/, `username: u${name.slice(-3)}`));
    const ended = await plan(open({ 'manifests/many.yaml': many.join('---\n') }));
    expect(ended.outputs.changes).toBe('900');
    const [body = ''] = comments();
    expect(body.length).toBeLessThanOrEqual(65_536);
    expect(body.length).toBeGreaterThan(65_000);
    expect(body).toMatch(/_\d+ of the actions left out here: `keyturn plan` prints them all\._\n\n<sub>of /);
    expect(ended.summary).toContain('**plan: 900 rotate');
    expect(github.violations).toEqual([]);
  });
});

describe('unsafe plans', () => {
  const unsafe = (): Pull => {
    const limits = readFileSync(`${open({}).workspace}/keyturn.yaml`, 'utf8').replace(
      'maxRotations: 1000',
      'maxRotations: 1',
    );
    const two = { 'manifests/job.yaml': secret('job'), 'manifests/cron.yaml': secret('cron') };
    return open({ ...two, 'keyturn.yaml': limits });
  };

  test.each([
    ['errors', 0, 'warning'],
    ['errors, unsafe', 3, 'error'],
    ['changes', 2, 'warning'],
  ])('with fail-on %s', async (failOn, code, level) => {
    const ended = await plan(unsafe(), { 'fail-on': failOn });
    expect(ended.code).toBe(code);
    expect(ended.annotations).toEqual([
      expect.objectContaining({ level, properties: { title: 'unsafe plan' } }),
    ]);
    expect(comments()[0]).toContain('> **unsafe:**');
  });

  test('an unknown word is refused', async () => {
    const ended = await plan(unsafe(), { 'fail-on': 'everything' });
    expect(ended.code).toBe(1);
    expect(ended.annotations[0]?.message).toContain('errors, unsafe, changes, overdue');
  });
});

test('with a key the state says what is due, and the runner hides every value of the identity', async () => {
  const identity = readFileSync(world.identity, 'utf8');
  const ended = await plan(open({ 'manifests/job.yaml': secret('job') }), { identity });
  expect(ended).toMatchObject({ code: 0, outputs: { changes: '2' } });
  expect(comments()[0]).toContain('### keyturn: what apply does now');
  const key = /^AGE-SECRET-KEY-\S+$/m.exec(identity)?.[0] ?? '';
  expect(ended.masks).toContain(key);
  expect(ended.log).not.toContain(key);
});

test('apply on a pull request is refused, key or not', async () => {
  const identity = readFileSync(world.identity, 'utf8');
  const tip = world.tip();
  const ended = await plan(open({}), { command: 'apply', identity });
  expect(ended.code).toBe(1);
  expect(ended.annotations[0]?.message).toContain('are those of a pull request');
  expect(world.tip()).toBe(tip);
});

test('action.yml declares what the action reads and writes', () => {
  const { inputs, outputs, runs } = actionFile();
  expect(runs).toEqual({ using: 'node24', main: 'action/index.mjs' });
  const read = readFileSync(new URL('../../src/github/inputs.ts', import.meta.url), 'utf8');
  const names = [...read.matchAll(/(?:text|words|secret)\('([a-z-]+)'\)/g)].map(([, name = '']) => name);
  expect([...new Set(names)].sort()).toEqual(Object.keys(inputs).sort());
  expect(Object.keys(outputs).sort()).toEqual(['changes', 'checksum', 'failed', 'rotated']);
  expect(readFileSync(bundle.notices, 'utf8')).toContain('age-encryption');
});
