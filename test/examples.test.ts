/** Every example is what somebody copies: each is validated as CI does, and planned without a key and with one. */
import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { generateBundle } from '../src/state/identity.ts';
import { type Desk, takeDesk } from './commands/desk.ts';

const folder = fileURLToPath(new URL('../examples', import.meta.url));
const examples = readdirSync(folder).filter((name) => existsSync(join(folder, name, 'keyturn.yaml')));

let desk: Desk;
beforeEach(() => {
  desk = takeDesk();
});
afterEach(() => desk.leave());

test('there are examples', () => {
  expect(examples).toEqual(expect.arrayContaining(['mysql-team', 'quickstart']));
});

describe.each(examples)('%s', (name) => {
  test('is valid, and plans with its first key and without any', async () => {
    const { bundle, recipient } = await generateBundle('ci-1');
    cpSync(join(folder, name), desk.clone, {
      recursive: true,
      filter: (from) => !from.includes('node_modules'),
    });
    const project = desk.read('keyturn.yaml').replace(/\bage1[0-9a-z]{58}\b/, recipient);
    expect(project).toContain(recipient);
    desk.write('keyturn.yaml', project);
    desk.git('add', 'keyturn.yaml');
    desk.git('commit', '--quiet', '--message', 'Begin');
    desk.push('Declare');

    desk.env = { ...desk.env, CI: 'true', GITHUB_ACTIONS: 'true' };
    const valid = await desk.keyturn(['validate']);
    expect(valid, valid.err).toMatchObject({ code: 0 });
    const secrets = Number(/(\d+) secrets?$/m.exec(valid.err)?.[1]);
    expect(secrets).toBeGreaterThan(0);

    const against = await desk.keyturn(['plan', '--against', 'HEAD^', '--json']);
    expect(against, against.err).toMatchObject({ code: 0 });
    expect(verbs(against.out)).toHaveLength(secrets);

    desk.env.KEYTURN_IDENTITY = bundle.reveal();
    const planned = await desk.keyturn(['plan', '--json']);
    expect(planned, planned.err).toMatchObject({ code: 0 });
    expect(verbs(planned.out)).toHaveLength(secrets);
    expect(verbs(planned.out).filter((verb) => verb === 'rotate' || verb === 'adopt')).not.toEqual([]);
  });

  test('says what it is, and how it becomes yours', () => {
    expect(readFileSync(join(folder, name, 'README.md'), 'utf8')).toMatch(/^# .+\n\n.+/);
  });
});

function verbs(json: string): string[] {
  const plan: { groups: { actions: { verb: string }[] }[] } = JSON.parse(json);
  return plan.groups.flatMap(({ actions }) => actions.map(({ verb }) => verb));
}
