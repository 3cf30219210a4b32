import { once } from 'node:events';
import { chmodSync, symlinkSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openObjects } from '../../src/git/batch.ts';
import { readBlobs, readFiles } from '../../src/git/objects.ts';
import { createGit, type Git } from '../../src/git/plumbing.ts';
import { put, type Scratch, scratch } from './world.ts';

let s: Scratch;
let clone: string;
beforeEach(() => {
  s = scratch();
  clone = s.clone(s.remote(), 'a');
});
afterEach(() => s.remove());

function commit(files: Record<string, string | Uint8Array>): string {
  for (const [path, content] of Object.entries(files)) put(join(clone, path), content);
  s.git(clone, 'add', '.');
  s.git(clone, 'commit', '--quiet', '-m', 'files');
  return s.git(clone, 'rev-parse', 'HEAD');
}

/** Git, and the processes that somebody talks to. */
function watched(): { git: Git; started: ReturnType<Git['start']>[] } {
  const git = createGit(clone, s.env);
  const started: ReturnType<Git['start']>[] = [];
  const start: Git['start'] = (args) => {
    const child = git.start(args);
    started.push(child);
    return child;
  };
  return { git: { ...git, start }, started };
}

test('reads the regular files among the paths, and no link, folder or way out', async () => {
  symlinkSync('run', join(clone, 'link'));
  put(join(clone, 'values/a b/größe'), 'words');
  chmodSync(join(clone, 'README.md'), 0o755);
  const tip = commit({ 'values/run': '' });
  const { git, started } = watched();
  const objects = openObjects(git);
  const asked = ['README.md', 'values/run', 'values/a b/größe'];
  const others = [
    'link',
    'values',
    'values/a b',
    'nothing',
    'no/such',
    'README.md/a',
    '',
    'values/',
    '/README.md',
  ];
  const dots = ['./README.md', 'values/../README.md', 'values/./run', 'a\nb', 'a\nb/c'];
  const found = await readFiles(objects, tip, [...asked, ...others, ...dots]);
  expect([...found].map(([path, bytes]) => [path, Buffer.from(bytes).toString()])).toEqual([
    ['README.md', 'hello\n'],
    ['values/run', ''],
    ['values/a b/größe', 'words'],
  ]);
  expect(await readFiles(objects, null, asked)).toEqual(new Map());
  expect(started).toHaveLength(1);
  objects.close();
});

test('gives every one of many objects its own bytes, whatever is in them', async () => {
  const sizes = [0, 1, 100, 65_535, 65_536, 65_537, 300_000];
  const contents = Array.from({ length: 700 }, (_, n) =>
    Buffer.from(`${n} blob 3\n`.repeat(50_000)).subarray(0, sizes[n % sizes.length]),
  );
  const tip = commit(Object.fromEntries(contents.map((bytes, n) => [`values/${n}`, bytes])));
  const objects = openObjects(createGit(clone, s.env));
  const found = await readFiles(
    objects,
    tip,
    [...contents.keys()].map((n) => `values/${n}`),
  );
  expect(
    contents.filter((bytes, n) => bytes.equals(found.get(`values/${n}`) ?? new Uint8Array(1))),
  ).toHaveLength(contents.length);
  objects.close();
});

test('sees what has come since the process began, and answers after it went', async () => {
  const { git, started } = watched();
  const objects = openObjects(git);
  const name = 'refs/heads/main^{commit}';
  const before = await objects.get(name);
  const tip = commit({ 'values/new': 'new' });
  s.git(clone, 'gc', '--quiet', '--prune=now');
  expect([before?.oid, (await objects.get(name))?.oid]).toEqual([s.git(clone, 'rev-parse', 'HEAD^'), tip]);
  expect(await objects.get('refs/heads/nothing^{commit}')).toBeNull();
  const [first] = started;
  objects.close();
  if (first?.exitCode === null) await once(first, 'exit');
  expect(first?.exitCode).toBe(0);
  expect((await objects.get(name))?.oid).toBe(tip);
  expect(started).toHaveLength(2);
  objects.close();
});

test('says in our words what git cannot read, and goes on with the rest', async () => {
  const tip = commit({ 'values/broken': 'x'.repeat(100), 'values/whole': 'whole' });
  const broken = s.git(clone, 'rev-parse', `${tip}:values/broken`);
  const file = join(clone, '.git/objects', broken.slice(0, 2), broken.slice(2));
  chmodSync(file, 0o644);
  truncateSync(file, 10);
  const objects = openObjects(createGit(clone, s.env));
  await expect(readBlobs(objects, [broken])).rejects.toMatchObject({ name: 'KeyturnError', exit: 1 });
  const [whole] = (await readFiles(objects, tip, ['values/whole'])).values();
  expect(Buffer.from(whole ?? []).toString()).toBe('whole');
  await expect(readBlobs(objects, ['0'.repeat(40)])).rejects.toMatchObject({ what: 'object is not here' });
  await expect(readBlobs(objects, [tip])).rejects.toMatchObject({ what: 'is not a file' });
  objects.close();
});

test('a machine without git is told so', async () => {
  const objects = openObjects(createGit(clone, { PATH: '/nonexistent' }));
  await expect(objects.get('HEAD')).rejects.toMatchObject({ hint: expect.stringMatching(/install git/) });
});
