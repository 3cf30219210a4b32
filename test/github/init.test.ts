/** The workflows of `keyturn init`, with the action and without, run line by line: a pull request, then the job. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Desk, takeDesk } from '../commands/desk.ts';
import { createAccount, logsIn } from '../crash/databases.ts';
import { type Github, startGithub } from '../servers/github.ts';
import { startPostgres } from '../servers/postgresql.ts';
import { type Receiver, startReceiver } from '../servers/receivers.ts';
import type { DatabaseServer } from '../servers/server.ts';
import { openPull, type Place } from './pull.ts';
import { buildBundle, type Ended } from './runner.ts';
import { runJob } from './workflow.ts';

const bundle = buildBundle();
let server: DatabaseServer;
let github: Github;
let monitor: Receiver;
let desk: Desk;
let place: Place;
let secrets: Record<string, string>;
let accounts = 0;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(async () => {
  await server.stop();
  bundle.remove();
});
beforeEach(async () => {
  github = await startGithub();
  monitor = await startReceiver();
  desk = takeDesk();
  const root = dirname(desk.remote);
  const at = (...parts: string[]): string => join(root, ...parts);
  const git = (cwd: string, ...args: string[]): string =>
    execFileSync('git', args, { cwd, env: desk.env, stdio: ['ignore', 'pipe', 'pipe'] })
      .toString()
      .trimEnd();
  place = { root, remote: desk.remote, at, git };
  mkdirSync(at('runner-home'));
});
afterEach(async () => {
  await github.stop();
  await monitor.stop();
  desk.leave();
});

/** A repository as `init` and the next steps that it names leave it, with a database of ours. */
async function begin(args: string[]): Promise<string> {
  expect(await desk.keyturn(['init', ...args])).toMatchObject({ code: 0 });
  accounts += 1;
  const username = `in${process.pid}_${accounts}`;
  await createAccount(server, username, `Initial-${crypto.randomUUID()}`);
  desk.write(
    'manifests/targets/db.yaml',
    `${desk.read('manifests/targets/db.yaml').replace('db.internal', '127.0.0.1').replace('5432', String(server.port)).replace('keyturn_admin', server.adminUser)}  tls: { mode: disable }\n`,
  );
  const manifest = desk.read('manifests/secrets/app-db.yaml');
  desk.write('manifests/secrets/app-db.yaml', manifest.replace('username: app', `username: ${username}`));
  desk.write('keyturn.yaml', desk.read('keyturn.yaml').replace('# heartbeat', 'heartbeat'));
  secrets = {
    KEYTURN_IDENTITY: desk.read('.keyturn-ci-identity'),
    DB_ADMIN_PASSWORD: server.adminPassword,
    KEYTURN_HEARTBEAT: monitor.url,
  };
  desk.push('Declare rotated secrets');
  return username;
}

const file = (name: string): string => desk.read(`.github/workflows/keyturn-${name}.yml`);

const job = (inputs: Record<string, string> = {}): Promise<Ended[]> =>
  runJob(file('apply'), 'apply', {
    place,
    github,
    bundle: bundle.main,
    secrets,
    inputs,
    env: { GITHUB_EVENT_NAME: 'workflow_dispatch', GITHUB_REF: 'refs/heads/main' },
  });

describe.each([
  ['with the action', ['--action', `acme/keyturn@${'0123456789'.repeat(4)}`], true],
  ['without', [], false],
] as const)('%s', (_, args, action) => {
  test('a pull request is checked without a key, and the job rotates by schedule and by hand', async () => {
    const username = await begin([...args]);
    expect(file('apply').includes('uses: acme/keyturn@')).toBe(action);

    const added = desk.read('manifests/secrets/app-db.yaml').replaceAll('prod/db/app', 'prod/db/more');
    const pull = openPull(place, github, { 'manifests/secrets/more.yaml': added.replace(username, 'more') });
    const check = (env: NodeJS.ProcessEnv) =>
      runJob(file('plan'), 'plan', { place, github, bundle: bundle.main, env });
    const checked = await check(pull.env);
    expect(
      checked.map(({ code }) => code),
      checked.at(-1)?.log,
    ).toEqual(action ? [0] : [0, 0]);
    expect(checked.at(-1)?.summary).toContain('| rotate | prod/db/more | new -&#62; v1 | added |');
    expect(github.comments.get(7)).toHaveLength(action ? 1 : 0);
    const wrong = openPull(place, github, { 'manifests/secrets/more.yaml': added.replace('30d', '30') });
    const refused = await check(wrong.env);
    expect(refused.at(-1)?.code).toBe(1);
    expect(refused.at(-1)?.annotations[0]?.properties).toMatchObject({ file: 'manifests/secrets/more.yaml' });

    const first = await job();
    expect(first.at(-1)?.code, first.at(-1)?.log).toBe(0);
    expect(first.at(-1)?.summary).toMatch(
      /\| prod\/db\/app \| rotated \| v1 \|[\s\S]*### Next rotations\n\n\| secret \|.*\n.*\n\| prod\/db\/app \| 20..-..-.. 03:00Z \| ... 03:00 UTC \|/,
    );
    const value = (await desk.keyturn(['get', 'prod/db/app'])).out;
    expect(await logsIn(server, username, value)).toBe(true);
    expect(monitor.received).toHaveLength(1);

    const named = await job({ secret: 'prod/db/none', reason: 'x' });
    expect(named.at(-1)?.code).toBe(1);
    expect(named.at(-1)?.log).toContain('prod/db/none: no such secret');
    const reason = "INC-42: $(touch pwned) '; exit 9 #";
    await createAccount(server, `${username}_more`, `Initial-${crypto.randomUUID()}`);
    desk.git('pull', '--quiet');
    desk.write('manifests/secrets/more.yaml', added.replace(username, `${username}_more`));
    desk.push('Declare another');
    const byHand = await job({ secret: 'prod/db/more', reason });
    expect(byHand.at(-1)?.code, byHand.at(-1)?.log).toBe(0);
    expect(byHand.at(-1)?.summary).toContain('| prod/db/more | rotated | v1 |');
    expect(byHand.at(-1)?.log).not.toContain('prod/db/app');
    expect(readdirSync(place.root, { recursive: true })).not.toContainEqual(expect.stringContaining('pwned'));
    expect((await desk.keyturn(['get', 'prod/db/app'])).code).toBe(0);
    for (const { log, summary } of [...checked, ...first, ...byHand])
      expect(`${log}${summary}`).not.toContain(value);
    expect(github.violations).toEqual([]);
  });
});

test('init says where the identity goes, and ignores it', async () => {
  await begin([]);
  expect(readFileSync(join(desk.clone, '.gitignore'), 'utf8')).toContain('.keyturn-ci-identity');
  expect(desk.git('ls-files')).not.toContain('identity');
});
