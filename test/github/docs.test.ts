/** What examples/github/README.md says to copy: the lines work, the rules are rules of GitHub, the links lead somewhere. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { root, runStep } from './runner.ts';

const page = readFileSync(join(root, 'examples', 'github', 'README.md'), 'utf8');
const place = mkdtempSync(join(tmpdir(), 'keyturn-docs-'));
afterAll(() => rmSync(place, { recursive: true, force: true }));

test('its links lead somewhere', () => {
  const links = [...page.matchAll(/\]\((?!https:)([^)#]+)\)/g)].map(([, path = '']) => path);
  expect(links.length).toBeGreaterThan(4);
  expect(links.filter((path) => !existsSync(join(root, 'examples', 'github', path)))).toEqual([]);
});

test('its lines for signed commits sign them', async () => {
  const [, yaml = ''] = /```yaml\n(- run: [\s\S]*?)```/.exec(page) ?? [];
  const [step]: { run: string; env: Record<string, string> }[] = parse(yaml);
  expect(Object.keys(step?.env ?? {})).toEqual(['KEY']);
  const key = join(place, 'key');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'keyturn', '-f', key]);
  const env = { PATH: process.env.PATH, HOME: place, GIT_CONFIG_NOSYSTEM: '1', RUNNER_TEMP: place };
  const git = (...args: string[]): string => execFileSync('git', args, { cwd: place, env }).toString();
  git('init', '--quiet');
  const script = join(place, 'line.sh');
  writeFileSync(script, step?.run ?? '');
  const KEY = readFileSync(key, 'utf8').trimEnd();
  const set = await runStep({ command: 'bash', args: ['-e', script], cwd: place, env: { ...env, KEY } });
  expect(set, set.log).toMatchObject({ code: 0, log: '' });
  git('commit', '--quiet', '--allow-empty', '--message', 'Signed');
  writeFileSync(join(place, 'signers'), `keyturn@example.org ${readFileSync(`${key}.pub`, 'utf8')}`);
  git('-c', `gpg.ssh.allowedSignersFile=${join(place, 'signers')}`, 'verify-commit', 'HEAD');
});

test('its rulesets hold for the branch of the state alone, and let nobody else past', () => {
  const folder = join(root, 'examples', 'github', 'rulesets');
  const sets = readdirSync(folder).map((file) => JSON.parse(readFileSync(join(folder, file), 'utf8')));
  for (const { target, enforcement, conditions } of sets) {
    expect({ target, enforcement }).toEqual({ target: 'branch', enforcement: 'active' });
    expect(conditions.ref_name).toEqual({ include: ['refs/heads/keyturn-state'], exclude: [] });
  }
  const [history, writer] = sets;
  expect(history.bypass_actors).toEqual([]);
  expect(history.rules.map(({ type }: { type: string }) => type)).toEqual([
    'deletion',
    'non_fast_forward',
    'required_linear_history',
  ]);
  expect(writer.bypass_actors).toEqual([{ actor_id: null, actor_type: 'DeployKey', bypass_mode: 'always' }]);
  expect(writer.rules.map(({ type }: { type: string }) => type)).toEqual(['creation', 'update']);
});
