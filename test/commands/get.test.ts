import { chmodSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Member, member } from '../access/office.ts';
import { openShelf, type Shelf } from '../access/shelf.ts';
import type { Desk } from './desk.ts';

/** Which commit a reader reads, and what that takes. */

let shelf: Shelf;
let desk: Desk;
let bob: Member;
const get = async () => desk.keyturn(['get', 'prod/db', '--identity', bob.file]);

beforeEach(async () => {
  [shelf, bob] = await Promise.all([openShelf(), member('bob')]);
  desk = shelf.desk;
  await shelf.publish('prod/db', 1, 'on main', [bob.recipient]);
  desk.push();
  return () => desk.leave();
});

const project = (spec: string): string =>
  `apiVersion: keyturn/v1\nkind: Project\nmetadata: { name: acme }\n${spec}`;

it('a pointer where it stood in former days is read as well', async () => {
  desk.git('mv', 'values/prod/db@current', 'values/prod/db/current');
  desk.push();
  expect(await get()).toMatchObject({ code: 0, out: 'on main' });
  const family = await desk.keyturn(['get', 'prod', '--identity', bob.file]);
  expect(family.err).toContain('name one: prod/db');
});

describe('the ref that keyturn.yaml names', () => {
  beforeEach(async () => {
    await shelf.publish('prod/db', 2, 'beside main', [bob.recipient]);
    desk.git('add', '--all');
    desk.git('commit', '--quiet', '--message', 'state');
    desk.git('push', '--quiet', 'origin', 'HEAD:refs/heads/keyturn-state');
    desk.git('reset', '--quiet', '--hard', 'origin/main');
  });

  const ref = '{ ref: refs/heads/keyturn-state }';
  const said = (keys: (reconcilers: string) => string): string => project(keys(`[${shelf.ci.recipient}]`));

  it.each<[string, (reconcilers: string) => string]>([
    [
      'in block style',
      (all) => `spec:\n  reconcilers: ${all}\n  state:\n    ref: refs/heads/keyturn-state\n`,
    ],
    ['in flow style', (all) => `spec: { reconcilers: ${all}, state: ${ref} }\n`],
    ['in quotes', (all) => `spec: { "state": ${ref}, reconcilers: ${all} }\n`],
    ['in escapes', (all) => `spec:\n  reconcilers: ${all}\n  "st\\x61te": ${ref}\n`],
    ['as an explicit key', (all) => `spec:\n  reconcilers: ${all}\n  ? state\n  : ${ref}\n`],
    [
      'with lines that end as on Windows',
      (all) => `# it\r\nspec:\r\n  reconcilers: ${all}\r\n  state: ${ref}\r\n`,
    ],
  ])('is read %s', async (_, keys) => {
    desk.write('keyturn.yaml', said(keys));
    expect(await get()).toMatchObject({ code: 0, out: 'beside main' });
  });

  it('is the checked-out branch where it names none', async () => {
    desk.write(
      'keyturn.yaml',
      said((all) => `spec:\n  # no state: here\n  reconcilers: ${all}\n`),
    );
    expect(await get()).toMatchObject({ code: 0, out: 'on main' });
  });
});

it('reads although somebody broke what keyturn.yaml says of other things, but not what it says of the state', async () => {
  desk.write('keyturn.yaml', project('spec: { reconcilers: nobody }\n'));
  expect(await get()).toMatchObject({ code: 0, out: 'on main' });
  desk.write('keyturn.yaml', project('spec: { reconcilers: nobody, state: {} }\n'));
  expect(await get()).toMatchObject({ code: 1, out: '', err: expect.stringContaining('keyturn.yaml:4') });
});

/** What git is called with from now on, a line a call. */
function calls(): () => string {
  const bin = join(desk.clone, '..', 'bin');
  mkdirSync(bin);
  desk.write(
    '../bin/git',
    `#!/bin/sh\necho "$*" >> ${join(bin, 'calls')}\nPATH=${desk.env.PATH} exec git "$@"\n`,
  );
  chmodSync(join(bin, 'git'), 0o755);
  desk.env.PATH = `${bin}:${desk.env.PATH}`;
  return () => readFileSync(join(bin, 'calls'), 'utf8');
}

it('starts four processes of git', async () => {
  const seen = calls();
  expect(await get()).toMatchObject({ code: 0, out: 'on main' });
  const verbs = [...seen().matchAll(/^(?:-c \S+ )+(\S+)/gm)].map(([, verb]) => verb);
  expect(verbs.sort()).toEqual(['cat-file', 'config', 'fetch', 'rev-parse']);
});

it('reads from any address without naming it in an argument', async () => {
  const odd = join(desk.clone, '..', 'canary "a" \\ b # c ; [d].git');
  desk.git('clone', '--quiet', '--bare', desk.remote, odd);
  const seen = calls();
  const read = await desk.keyturn(['get', 'prod/db', '--identity', bob.file, '--repo', odd]);
  expect(read).toMatchObject({ code: 0, out: 'on main' });
  expect(seen()).toContain('fetch');
  expect(seen()).not.toContain('canary');
});
