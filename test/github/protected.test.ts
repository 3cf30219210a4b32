/**
 * A remote as GitHub's with rules: main takes nothing from a job, the state's branch only from the job's credential,
 * never a force push or a deletion, and only signed commits. Real git over HTTP, real SSH signatures.
 */
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createAccount, logsIn } from '../crash/databases.ts';
import { createWorld, type Machine, put, type Run, type World } from '../crash/world.ts';
import { expectFailure, secretManifest, targetManifest } from '../scenarios/scene.ts';
import { type GitHttp, serveGit } from '../servers/git-http.ts';
import { startPostgres } from '../servers/postgresql.ts';
import type { DatabaseServer } from '../servers/server.ts';

const state = 'refs/heads/keyturn-state';
const token = 'x-access-token';

/** What the rules of examples/github/rulesets make of a push: said in GitHub's words, kept by a real hook. */
const rules = (signers: string): string => `#!/bin/sh
fail() { echo "error: GH013: Repository rule violations found for $1." >&2; echo "- $2" >&2; exit 1; }
while read old new ref; do
  case "$ref" in
    refs/heads/main) [ "$REMOTE_USER" = dev ] || fail "$ref" "Changes must be made through a pull request." ;;
    ${state})
      [ "$REMOTE_USER" = ${token} ] || fail "$ref" "Cannot update this protected ref."
      case "$new" in *[!0]*) ;; *) fail "$ref" "Cannot delete this branch" ;; esac
      case "$old" in
        *[!0]*) range="$old..$new"; git merge-base --is-ancestor "$old" "$new" || fail "$ref" "Cannot force-push to this branch" ;;
        *) range="$new --not --branches" ;;
      esac
      if [ -f "${signers}" ]; then
        for commit in $(git rev-list $range); do
          git -c gpg.ssh.allowedSignersFile="${signers}" verify-commit "$commit" 2>/dev/null || fail "$ref" "Commits must have verified signatures."
        done
      fi ;;
  esac
done
`;

/** The server is in this process: who waits for git must not hold it up. */
const git = async (cwd: string, ...args: string[]): Promise<string> =>
  (await promisify(execFile)('git', args, { cwd, env: job.env, timeout: 20_000 })).stdout.trimEnd();

let server: DatabaseServer;
let http: GitHttp;
let world: World;
let job: Machine;
let username: string;
let runs = 0;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());
afterEach(async () => {
  await http.close();
  world.remove();
});

async function begin(spec: string): Promise<void> {
  runs += 1;
  world = await createWorld({}, spec);
  username = `pr${process.pid}_${runs}`;
  await createAccount(server, username, `Initial-${crypto.randomUUID()}`);
  put(world.at('initial', 'admin'), server.adminPassword, 0o600);
  const dev = world.machine('dev');
  world.commit(dev, {
    'manifests/target.yaml': targetManifest(world, server, {}, server.adminUser),
    'manifests/app.yaml': secretManifest(world, 'app', username),
  });
  const hook = join(world.remote, 'hooks', 'pre-receive');
  put(hook, rules(world.at('signers')));
  chmodSync(hook, 0o755);
  world.git(world.remote, 'config', 'http.receivepack', 'true');
  http = await serveGit(world.root, {
    dev: { password: 'dev', write: true },
    [token]: { password: 'job', write: true },
  });
  // As actions/checkout leaves it: shallow, on main, with the token in a header of the clone's own settings.
  job = world.machine('job');
  const clone = world.at('checkout');
  world.git(world.root, 'init', '--quiet', clone);
  world.git(clone, 'remote', 'add', 'origin', http.url('remote.git'));
  const header = `AUTHORIZATION: basic ${Buffer.from(`${token}:job`).toString('base64')}`;
  world.git(clone, 'config', `http.${http.url('')}.extraheader`, header);
  await git(clone, 'fetch', '--quiet', '--depth=1', 'origin', '+refs/heads/main:refs/remotes/origin/main');
  world.git(clone, 'checkout', '--quiet', '-B', 'main', 'refs/remotes/origin/main');
  job = { ...job, clone };
}

const apply = (...args: string[]): Promise<Run> => world.run(job, ['apply', ...args]);
const branch = (ref: string): string =>
  world.git(world.remote, 'for-each-ref', '--format=%(objectname)', ref);

async function works(): Promise<void> {
  const got = await world.run(job, ['get', 'app']);
  expect(got.code, got.stderr).toBe(0);
  expect(await logsIn(server, username, got.stdout)).toBe(true);
}

test('a protected main refuses the claim before anything is touched, and the hint names the way out', async () => {
  await begin('');
  const main = branch('refs/heads/main');
  const run = await apply();
  expectFailure(
    run,
    1,
    /app .*the claim was refused.*Changes must be made through a pull request/,
    /state\.ref/,
  );
  expect(branch('refs/heads/main')).toBe(main);
  const [row] = await server.query(`SELECT rolvaliduntil FROM pg_roles WHERE rolname = '${username}'`);
  expect(row).toBeDefined();
});

describe('with the state on its own branch', () => {
  beforeEach(() => begin(`  state: { ref: ${state} }\n`));

  test('main stays as it is, the state grows there, and readers find it', async () => {
    const main = branch('refs/heads/main');
    const run = await apply();
    expect(run.code, run.stderr).toBe(0);
    expect(branch('refs/heads/main')).toBe(main);
    expect(world.git(world.remote, 'log', '--format=%s', state)).toBe(
      'keyturn: promote app\nkeyturn: claim app',
    );
    await works();
    const tip = branch(state);
    expect((await apply()).code).toBe(0);
    expect(branch(state)).toBe(tip);
  });

  test('nobody else writes there, and nobody takes anything back', async () => {
    expect((await apply()).code).toBe(0);
    const tip = branch(state);
    await git(job.clone, 'fetch', '--quiet', '--depth=9', 'origin', `${state}:refs/state`);
    const other = git(world.at('clone-dev'), 'push', http.url('remote.git', 'dev'), `+main:${state}`);
    await expect(other).rejects.toThrow('Cannot update this protected ref');
    for (const [refs, words] of [
      [`+refs/state~1:${state}`, 'Cannot force-push'],
      [`:${state}`, 'Cannot delete'],
    ] as const)
      await expect(git(job.clone, 'push', 'origin', refs)).rejects.toThrow(words);
    expect(branch(state)).toBe(tip);
  });

  test('where commits must be signed, an SSH key that git knows signs them', async () => {
    const key = world.at('signing-key');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'keyturn', '-f', key]);
    put(world.at('signers'), `keyturn@example.org ${readFileSync(`${key}.pub`, 'utf8')}`);

    const unsigned = await apply();
    expectFailure(
      unsigned,
      1,
      /app .*the claim was refused.*Commits must have verified signatures/,
      /hint: /,
    );
    expect(branch(state)).toBe('');

    const settings = {
      'commit.gpgSign': 'true',
      'gpg.format': 'ssh',
      'user.signingKey': key,
      'user.name': 'keyturn',
      'user.email': 'keyturn@example.org',
    };
    for (const [name, value] of Object.entries(settings)) world.git(job.clone, 'config', name, value);
    const signed = await apply('--force');
    expect(signed.code, signed.stdout + signed.stderr).toBe(0);
    for (const commit of world.git(world.remote, 'rev-list', state).split('\n'))
      world.git(
        world.remote,
        '-c',
        `gpg.ssh.allowedSignersFile=${world.at('signers')}`,
        'verify-commit',
        commit,
      );
    await works();
  });

  test('a signing key that is not there is said, and nothing was touched', async () => {
    const settings = {
      'commit.gpgSign': 'true',
      'gpg.format': 'ssh',
      'user.signingKey': world.at('nowhere'),
    };
    for (const [name, value] of Object.entries(settings)) world.git(job.clone, 'config', name, value);
    const run = await apply();
    expectFailure(run, 1, /error: .*git commit/, /hint: .*sign/);
    expect(branch(state)).toBe('');
  });
});
