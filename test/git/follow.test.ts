import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { GitRepository } from '../../src/git/open.ts';
import { footprint, publication, put, type Scratch, scratch } from './world.ts';

let s: Scratch;
let clone: string;
let repository: GitRepository;
beforeEach(async () => {
  s = scratch();
  clone = s.clone(s.remote(), 'a');
  repository = await s.open(clone);
});
afterEach(() => s.remove());

async function published(files: Record<string, string | null> = { 'state/1': 'one\n' }): Promise<string> {
  const outcome = await repository.publish(publication(await repository.fetch(), files));
  if (outcome.r !== 'published') throw new Error(outcome.r);
  return outcome.tip;
}

describe('the branch of the user, with a remote', () => {
  test('follows when it is clean, and then nothing is needed', async () => {
    put(join(clone, 'untracked'), 'mine\n');
    const tip = await published();
    expect(await repository.followTip(tip)).toBe(`main fast-forwarded to ${tip.slice(0, 7)}`);
    expect(readFileSync(join(clone, 'state/1'), 'utf8')).toBe('one\n');
    expect(s.git(clone, 'status', '--porcelain')).toBe('?? untracked');
    expect(s.git(clone, 'rev-parse', 'main', 'HEAD')).toBe(`${tip}\n${tip}`);
    expect(await repository.followTip(tip)).toBeNull();
  });

  test('follows with a file that was only touched, and with autocrlf', async () => {
    s.git(clone, 'config', 'core.autocrlf', 'true');
    s.git(clone, 'rm', '--quiet', '--cached', '-r', '.');
    s.git(clone, 'reset', '--quiet', '--hard');
    put(join(clone, 'README.md'), 'hello\r\n');
    const tip = await published({ 'README.md': 'new\n', 'state/1': 'one\n' });
    expect(await repository.followTip(tip)).toMatch(/fast-forwarded/);
    expect(readFileSync(join(clone, 'README.md'), 'utf8')).toBe('new\r\n');
    expect(s.git(clone, 'status', '--porcelain')).toBe('');
  });

  test.each([
    ['an edited file', () => put(join(clone, 'README.md'), 'edited\n'), /uncommitted changes/],
    [
      'a staged file',
      () => {
        put(join(clone, 'new'), 'x');
        s.git(clone, 'add', 'new');
      },
      /uncommitted changes/,
    ],
    ['an untracked file in the way', () => put(join(clone, 'state/1'), 'mine\n'), /state\/1/],
    [
      'an ignored file in the way',
      () => {
        put(join(clone, '.git/info/exclude'), 'state\n');
        put(join(clone, 'state/1'), 'mine\n');
      },
      /state\/1/,
    ],
  ])('stays where it is with %s', async (_, change, words) => {
    change();
    const before = footprint(clone);
    const tip = await published();
    const said = await repository.followTip(tip);
    expect(said).toMatch(/^main was left alone/);
    expect(said).toMatch(words);
    expect(said).toContain('git pull --ff-only');
    if (!words.source.includes('state')) expect(footprint(clone)).toBe(before);
    else expect(readFileSync(join(clone, 'state/1'), 'utf8')).toBe('mine\n');
    expect(s.git(clone, 'rev-parse', 'main')).not.toBe(tip);
  });

  test('stays where it is when it has commits of its own', async () => {
    s.git(clone, 'commit', '--quiet', '--allow-empty', '-m', 'mine');
    const mine = s.git(clone, 'rev-parse', 'main');
    expect(await repository.followTip(await published())).toMatch(/commits of its own.*git pull --rebase/);
    expect(s.git(clone, 'rev-parse', 'main')).toBe(mine);
  });

  test('is not looked at when another branch is checked out, or none', async () => {
    repository = await s.open(clone);
    s.git(clone, 'checkout', '--quiet', '-b', 'feature');
    const before = footprint(clone);
    const tip = await published();
    expect(await repository.followTip(tip)).toBeNull();
    expect(footprint(clone)).toBe(before);
    s.git(clone, 'checkout', '--quiet', '--detach');
    expect(await repository.followTip(tip)).toBeNull();
  });
});

describe('without a remote', () => {
  beforeEach(async () => {
    s.git(clone, 'remote', 'remove', 'origin');
    repository = await s.open(clone);
  });

  test('the branch moves by compare-and-swap, with a reflog, and the files follow', async () => {
    expect([repository.hasRemote, repository.place]).toEqual([
      false,
      'this repository (refs/heads/main), no remote',
    ]);
    const base = await repository.fetch();
    const tip = await published();
    expect(await repository.publish(publication(base, { 'state/1': 'late' }))).toEqual({ r: 'moved', tip });
    const last = await published({ 'state/1': null, 'state/2': 'two\n' });
    expect(await repository.followTip(last)).toMatch(/^files brought to main/);
    expect(s.git(clone, 'status', '--porcelain')).toBe('');
    expect(readFileSync(join(clone, 'state/2'), 'utf8')).toBe('two\n');
    expect(s.git(clone, 'reflog', '-1', '--format=%gs', 'main')).toBe('keyturn: rotate a');
    expect(await repository.followTip(last)).toBeNull();
  });

  test('what the user changed elsewhere stays changed, staged or not', async () => {
    put(join(clone, 'README.md'), 'edited\n');
    put(join(clone, 'manifests/a.yaml'), 'staged\n');
    s.git(clone, 'add', 'manifests/a.yaml');
    expect(await repository.followTip(await published())).toMatch(/^files brought/);
    expect(s.git(clone, 'status', '--porcelain')).toBe(' M README.md\nM  manifests/a.yaml');
    expect(readFileSync(join(clone, 'README.md'), 'utf8')).toBe('edited\n');
  });

  test('a file of the user in the way is kept, and the words say what to do', async () => {
    await repository.followTip(await published());
    put(join(clone, 'state/1'), 'by hand\n');
    const words = await repository.followTip(await published({ 'state/1': 'two\n' }));
    expect(words).toMatch(/left alone \(.*state\/1.*git checkout HEAD -- state values requests/);
    expect(readFileSync(join(clone, 'state/1'), 'utf8')).toBe('by hand\n');
  });

  test('a run that died before it followed is followed by the next', async () => {
    await published();
    await published({ 'state/2': 'two\n' });
    expect(s.git(clone, 'status', '--porcelain')).toContain('D  state/1');
    repository = await s.open(clone);
    expect(await repository.followTip(await published({ 'state/1': 'changed\n' }))).toMatch(/^files brought/);
    expect(s.git(clone, 'status', '--porcelain')).toBe('');
    expect(readFileSync(join(clone, 'state/1'), 'utf8')).toBe('changed\n');
  });

  test('the first commit of an unborn branch leaves untracked and staged files alone', async () => {
    s.git(s.root, 'init', '--quiet', '--initial-branch=main', 'new');
    clone = s.at('new');
    put(join(clone, 'keyturn.yaml'), 'kind: Project\n');
    put(join(clone, 'staged'), 'x\n');
    s.git(clone, 'add', 'staged');
    repository = await s.open(clone);
    expect(await repository.head()).toEqual({ commit: null, branch: 'main' });
    const tip = await published();
    expect(await repository.followTip(tip)).toMatch(/^files brought/);
    expect(s.git(clone, 'status', '--porcelain').split('\n').sort()).toEqual([
      '?? keyturn.yaml',
      'A  staged',
    ]);
    expect(await repository.head()).toEqual({ commit: tip, branch: 'main' });
  });
});
