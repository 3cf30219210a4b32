/** The release job's own lines, run on a copy of this repository: what they tag, publish, and what users get of it. */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { version } from '../../src/version.ts';
import { inputsOf, root, runStep } from './runner.ts';
import type { Workflow } from './workflow.ts';

const place = mkdtempSync(join(tmpdir(), 'keyturn-release-'));
const at = (...parts: string[]): string => join(place, ...parts);
const copy = at('copy');
const remote = at('remote.git');
const tag = `v${version}`;
const major = tag.split('.')[0] ?? '';
const env: NodeJS.ProcessEnv = {
  PATH: `${at('bin')}${delimiter}${dirname(process.execPath)}${delimiter}${process.env.PATH}`,
  HOME: at('home'),
  GIT_CONFIG_NOSYSTEM: '1',
  GITHUB_REPOSITORY: 'acme/keyturn',
};
const git = (...args: string[]): string =>
  execFileSync('git', args, { cwd: copy, env, stdio: ['ignore', 'pipe', 'pipe'] })
    .toString()
    .trimEnd();

const workflow: Workflow = parse(readFileSync(join(root, '.github/workflows/release.yml'), 'utf8'));
const lines = (workflow.jobs.release?.steps ?? []).flatMap(({ run }) => (run === undefined ? [] : [run]));

/** Every line but the tests, which run already. */
async function release(): Promise<{ code: number | null; log: string }> {
  let log = '';
  for (const line of lines.filter((one) => one !== '.ci/run')) {
    writeFileSync(at('line.sh'), line);
    const ended = await runStep({ command: 'bash', args: ['-e', at('line.sh')], cwd: copy, env });
    log += ended.log;
    if (ended.code !== 0) return { code: ended.code, log };
  }
  return { code: 0, log };
}

const published = (): string[] => readFileSync(at('published'), 'utf8').split('\n').filter(Boolean);

beforeAll(() => {
  const left = ['.git', 'node_modules', 'dist', 'action', 'release.json'].map((name) => join(root, name));
  cpSync(root, copy, { recursive: true, filter: (from) => !left.includes(from) });
  mkdirSync(at('home'), { recursive: true });
  writeFileSync(at('home', '.gitconfig'), '[user]\nname = dev\nemail = dev@example.org\n');
  mkdirSync(at('bin'));
  for (const name of ['npm', 'gh'])
    writeFileSync(
      at('bin', name),
      `#!/bin/sh\necho "${name} $* $(cat release.json | tr -d '\\n')" >>"${at('published')}"\n`,
      { mode: 0o755 },
    );
  git('init', '--quiet', '--initial-branch=main');
  git('add', '--all');
  git('commit', '--quiet', '-m', 'Everything');
  writeFileSync(join(copy, '.git', 'info', 'exclude'), 'node_modules\n');
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  git('init', '--quiet', '--bare', '--initial-branch=main', remote);
  git('remote', 'add', 'origin', `file://${remote}`);
  git('push', '--quiet', 'origin', 'main');
});
afterAll(() => rmSync(place, { recursive: true, force: true }));

describe('a release', () => {
  test('tags a commit with the bundle beside main, and publishes a package that knows it', async () => {
    expect(lines[0]).toBe('.ci/run');
    const main = git('rev-parse', 'HEAD');
    const { code, log } = await release();
    expect(code, log).toBe(0);
    expect(git('ls-remote', 'origin', 'refs/heads/main')).toContain(main);
    const commit = git('rev-parse', `${tag}^{commit}`);
    const tags = git('ls-remote', '--tags', 'origin').split('\n');
    expect(tags.sort()).toEqual([`${commit}\trefs/tags/${major}`, `${commit}\trefs/tags/${tag}`].sort());
    expect(git('rev-parse', `${tag}^`)).toBe(main);
    expect(git('diff', '--name-status', main, commit)).toBe('A\taction/THIRD-PARTY.txt\nA\taction/index.mjs');
    expect(git('status', '--porcelain')).toBe('');
    const known = `{ "action": "acme/keyturn", "commit": "${commit}" }`;
    expect(published()).toEqual([
      `npm publish --provenance --access public ${known}`,
      `gh release create ${tag} --generate-notes --verify-tag ${known}`,
    ]);
  });

  test('run again goes on with its tag, and refuses the same version of another commit', async () => {
    const commit = git('rev-parse', `${tag}^{commit}`);
    rmSync(join(copy, 'release.json'));
    expect((await release()).code).toBe(0);
    expect(published()).toHaveLength(4);
    expect(published()[2]).toContain(commit);
    git('commit', '--quiet', '--allow-empty', '-m', 'More');
    const again = await release();
    expect(again).toMatchObject({ code: 1, log: expect.stringContaining('raise the version') });
    expect(published()).toHaveLength(4);
    git('reset', '--quiet', '--hard', 'HEAD~1');
  });

  test(`is what \`uses: acme/keyturn@${major}\` runs`, async () => {
    const downloaded = at('downloaded');
    git('clone', '--quiet', '--depth=1', '--branch', major, `file://${remote}`, downloaded);
    const { runs } = parse(readFileSync(join(downloaded, 'action.yml'), 'utf8'));
    const examples = readdirSync(join(copy, 'examples')).filter((name) =>
      existsSync(join(copy, 'examples', name, 'keyturn.yaml')),
    );
    expect(examples.length).toBeGreaterThan(3);
    for (const name of examples) {
      const ended = await runStep({
        command: process.execPath,
        args: [join(downloaded, runs.main)],
        cwd: place,
        env: { ...env, GITHUB_WORKSPACE: join(copy, 'examples', name), ...inputsOf({ command: 'validate' }) },
      });
      expect(ended, ended.log).toMatchObject({ code: 0, log: expect.stringContaining('keyturn: valid: ') });
    }
  });

  test('is what init pins the workflows to', async () => {
    const project = at('project');
    mkdirSync(project);
    const init = await runStep({
      command: process.execPath,
      args: [join(copy, 'src', 'cli.ts'), 'init'],
      cwd: project,
      env,
    });
    expect(init.code, init.log).toBe(0);
    for (const name of ['plan', 'apply'])
      expect(readFileSync(join(project, `.github/workflows/keyturn-${name}.yml`), 'utf8')).toContain(
        `- uses: acme/keyturn@${git('rev-parse', `${tag}^{commit}`)} # ${tag}\n`,
      );
  });
});
