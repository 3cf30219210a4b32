/** The files of examples/schedulers, run as their schedulers run them, against a real remote and a real PostgreSQL. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { version } from '../src/version.ts';
import { createAccount } from './crash/databases.ts';
import { put } from './crash/world.ts';
import { type Ended, runStep } from './github/runner.ts';
import { toolsIn } from './github/workflow.ts';
import { onPostgres, type Scene, secretManifest } from './scenarios/scene.ts';

const folder = fileURLToPath(new URL('../examples/schedulers', import.meta.url));
const file = (name: string): string => readFileSync(join(folder, name), 'utf8');

/** A scheduler that is no GitHub. The scene reads a password from an absolute file, which `CI` would forbid. */
async function run(scene: Scene, cwd: string, script: string, env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const { world, a } = scene;
  const PATH = [toolsIn(world.at('tools')), dirname(process.execPath), process.env.PATH].join(delimiter);
  const script_ = world.at(`script-${crypto.randomUUID()}`);
  put(script_, script);
  return runStep({
    command: 'bash',
    args: [script_],
    cwd,
    env: { ...a.env, GITHUB_ACTIONS: '', CI: '', PATH, ...env },
  });
}

/** One secret more than the scene began with, so that there is something to do. */
async function declareMore({ world, a, server, username }: Scene): Promise<void> {
  await createAccount(server, username('more'), `Initial-${crypto.randomUUID()}`);
  world.commit(a, { 'manifests/more.yaml': secretManifest(world, 'more', username('more')) });
}

async function expectRotated(scene: Scene): Promise<void> {
  const all = await scene.allLogIn();
  expect(all.get('more')?.record).toMatchObject({ current: 1, pending: null });
}

describe('examples/schedulers', () => {
  const { make } = onPostgres();

  test('gitlab-ci.yml checks a merge request without a key, and applies on a schedule', async () => {
    const scene = await make();
    const { world, a } = scene;
    await declareMore(scene);
    const pipeline = parse(file('gitlab-ci.yml'));
    const project = 'gitlab.example/acme/secrets.git';
    const settings = `[url "file://${world.remote}"]\n  insteadOf = https://gitlab-ci-token:push-token@${project}\n`;
    put(join(a.env.HOME ?? '', '.gitconfig'), settings);
    // As GitLab's runner leaves it: detached, shallow.
    const build = world.at('build');
    const checkout = (revision: string): void => {
      mkdirSync(build, { recursive: true });
      world.git(build, 'init', '--quiet');
      if (world.git(build, 'remote') === '')
        world.git(build, 'remote', 'add', 'origin', `file://${world.remote}`);
      world.git(build, 'fetch', '--quiet', `--depth=${pipeline.variables.GIT_DEPTH}`, 'origin', revision);
      world.git(build, 'checkout', '--quiet', '--detach', 'FETCH_HEAD');
    };
    const script = (job: string): string =>
      ['set -eo pipefail', ...pipeline.default.before_script, ...pipeline[job].script].join('\n');
    const env = {
      GITLAB_CI: 'true',
      KEYTURN_VERSION: version,
      CI_REPOSITORY_URL: `https://gitlab-ci-token:[MASKED]@${project}`,
      CI_JOB_TOKEN: 'push-token',
    };

    world.git(a.clone, 'checkout', '--quiet', '-b', 'topic');
    put(join(a.clone, 'manifests/third.yaml'), secretManifest(world, 'third', 'third'));
    world.git(a.clone, 'add', '-A');
    world.git(a.clone, 'commit', '--quiet', '-m', 'Third');
    world.git(a.clone, 'push', '--quiet', 'origin', 'topic');
    world.git(a.clone, 'checkout', '--quiet', 'main');
    checkout('topic');
    // No identity: a file that is not there would be said.
    const keyless = {
      ...env,
      KEYTURN_IDENTITY_FILE: '',
      CI_MERGE_REQUEST_TARGET_BRANCH_NAME: 'main',
    };
    const checked = await run(scene, build, script('keyturn plan'), keyless);
    expect(checked.code, checked.log).toBe(0);
    expect(checked.log).toContain('~ rotate   third   new -> v1   added');

    checkout('main');
    const applied = await run(scene, build, script('keyturn apply'), {
      ...env,
      CI_COMMIT_BRANCH: 'main',
    });
    expect(applied.code, applied.log).toBe(0);
    await expectRotated(scene);
  });

  test.each([['crontab'], ['keyturn.service']])('%s pulls and applies in its clone', async (name) => {
    const scene = await make();
    const { world, a } = scene;
    const home = world.at('var-lib-keyturn');
    mkdirSync(home);
    symlinkSync(a.clone, join(home, 'secrets'));
    symlinkSync(world.identity, join(home, 'identity'));
    const other = world.machine('other');
    await declareMore({ ...scene, a: other });

    const text = file(name).replaceAll('/var/lib/keyturn', home);
    const lines = name === 'crontab' ? cronCommands(text) : serviceCommands(text);
    const ended = await run(scene, home, lines.join('\n'), { KEYTURN_IDENTITY_FILE: join(home, 'identity') });
    expect(ended.code, ended.log).toBe(0);
    await expectRotated(scene);
    const again = await run(scene, home, lines.join('\n'), { KEYTURN_IDENTITY_FILE: join(home, 'identity') });
    expect(again.code, again.log).toBe(0);
  });

  test.skipIf(spawnSync('systemd-analyze', ['--version']).error !== undefined)(
    'systemd reads its files',
    () => {
      const { status, stderr } = spawnSync('systemd-analyze', [
        'verify',
        join(folder, 'keyturn.service'),
        join(folder, 'keyturn.timer'),
      ]);
      expect({ status, said: String(stderr) }).toMatchObject({ status: 0 });
    },
  );
});

/** The settings and the command of the last line, as cron hands them to a shell. */
function cronCommands(text: string): string[] {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const settings = lines.filter((line) => /^[A-Z_]+=/.test(line) && !line.startsWith('PATH='));
  const [, command = ''] = /^(?:\S+ ){5}(.*)$/.exec(lines.at(-1) ?? '') ?? [];
  expect(command).not.toContain('%');
  return [...settings.map((line) => `export ${line}`), command];
}

/** ExecStartPre and ExecStart in the working directory, each of which must succeed. */
function serviceCommands(text: string): string[] {
  const values = (key: string): string[] =>
    [...text.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value = '']) => value);
  return ['set -e', `cd ${values('WorkingDirectory')[0]}`, ...values('ExecStartPre'), ...values('ExecStart')];
}
