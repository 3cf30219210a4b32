import { chmodSync, readFileSync, symlinkSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { childEnvironment } from '../../src/git/environment.ts';
import { publication, put, type Scratch, scratch } from './world.ts';

let s: Scratch;
beforeEach(() => {
  s = scratch();
});
afterEach(() => s.remove());

describe('opening', () => {
  test('finds the top level from a folder below it', async () => {
    const clone = s.clone(s.remote(), 'a');
    const repository = await s.open(join(clone, 'manifests'));
    expect(repository.root).toBe(s.git(clone, 'rev-parse', '--show-toplevel'));
    expect(await repository.head()).toEqual({ commit: s.git(clone, 'rev-parse', 'HEAD'), branch: 'main' });
  });

  test.each([
    ['a plain folder', () => s.at('home'), {}, /not in a git repository/, /git init/],
    ['a folder that is not there', () => s.at('nowhere'), {}, /no such directory/, /git init/],
    ['a bare repository', () => s.remote(), {}, /bare repository/, /git init/],
    [
      'a ref without its full name',
      () => s.clone(s.remote(), 'a'),
      { stateRef: 'main' },
      /full name/,
      /refs\/heads\/keyturn-state/,
    ],
    [
      'a machine without git',
      () => s.clone(s.remote(), 'a'),
      { env: { PATH: '/nonexistent' } },
      /cannot be started/,
      /install git/,
    ],
  ])('says what is wrong with %s', async (_, where, options, what, hint) => {
    await expect(s.open(where(), options)).rejects.toMatchObject({
      name: 'KeyturnError',
      exit: 1,
      what: expect.stringMatching(what),
      hint: expect.stringMatching(hint),
    });
  });

  test('a detached HEAD needs state.ref, but not in a GitHub job for a branch', async () => {
    const clone = s.clone(s.remote(), 'a');
    s.git(clone, 'checkout', '--quiet', '--detach');
    await expect(s.open(clone)).rejects.toMatchObject({ exit: 1, hint: expect.stringMatching(/state\.ref/) });
    const job = { ...s.env, GITHUB_ACTIONS: 'true', GITHUB_REF: 'refs/heads/main' };
    expect((await s.open(clone, { env: job })).place).toBe('origin (refs/heads/main)');
    const pull = { ...job, GITHUB_REF: 'refs/pull/1/merge' };
    await expect(s.open(clone, { env: pull })).rejects.toMatchObject({ exit: 1 });
  });

  test('chooses origin, else the only remote, else the upstream', async () => {
    const clone = s.clone(s.remote(), 'a');
    s.git(clone, 'remote', 'add', 'backup', '/nowhere');
    expect((await s.open(clone)).place).toMatch(/^origin /);
    s.git(clone, 'remote', 'rename', 'origin', 'company');
    expect((await s.open(clone)).place).toMatch(/^company /);
    s.git(clone, 'config', '--unset', 'branch.main.remote');
    await expect(s.open(clone)).rejects.toMatchObject({
      hint: expect.stringMatching(/branch\.main\.remote/),
    });
    s.git(clone, 'remote', 'remove', 'company');
    expect((await s.open(clone)).place).toMatch(/^backup /);
  });
});

describe('reading', () => {
  test('what is uncommitted below some paths', async () => {
    const clone = s.clone(s.remote(), 'a');
    put(join(clone, 'manifests/same.yaml'), 'same\n');
    s.git(clone, 'add', '.');
    s.git(clone, 'commit', '--quiet', '-m', 'same');
    put(join(clone, 'manifests/a.yaml'), 'edited\n');
    put(join(clone, 'manifests/deep/new file.yaml'), 'new\n');
    put(join(clone, 'README.md'), 'edited\n');
    const repository = await s.open(clone);
    // git would like to note in the index that this one is the same after all
    utimesSync(join(clone, 'manifests/same.yaml'), 1, 1);
    const before = readFileSync(join(clone, '.git/index'));
    expect(await repository.changedPaths(['manifests', 'keyturn.yaml'])).toEqual([
      'manifests/a.yaml',
      'manifests/deep/new file.yaml',
    ]);
    expect(await repository.changedPaths([])).toEqual([]);
    expect(readFileSync(join(clone, '.git/index')).equals(before)).toBe(true);
  });

  test('files at a revision, without links, and words for one that is not here', async () => {
    const clone = s.clone(s.remote(), 'a');
    symlinkSync('a.yaml', join(clone, 'manifests/link.yaml'));
    s.git(clone, 'add', '.');
    s.git(clone, 'commit', '--quiet', '-m', 'link');
    const repository = await s.open(clone);
    const files = await repository.readAt('main', ['manifests']);
    expect([...files].map(([path, bytes]) => [path, Buffer.from(bytes).toString()])).toEqual([
      ['manifests/a.yaml', 'kind: Target\n'],
    ]);
    await expect(repository.readAt('nothing', [''])).rejects.toMatchObject({
      exit: 1,
      hint: expect.stringMatching(/git fetch/),
    });
    await expect(repository.read(['0'.repeat(40)])).rejects.toMatchObject({ what: 'object is not here' });
  });
});

describe('what git children see', () => {
  test('never the identity, but the ways to authenticate; in every single call', async () => {
    const clone = s.clone(s.remote(), 'a');
    const log = s.at('seen');
    put(
      s.at('bin/git'),
      `#!/bin/sh\nenv >> ${log}; echo "ARGS $*" >> ${log}\nPATH=${s.env.PATH} exec git "$@"\n`,
      0o755,
    );
    const env = {
      ...s.env,
      PATH: `${s.at('bin')}:${s.env.PATH}`,
      KEYTURN_IDENTITY: 'AGE-SECRET-KEY-CANARY',
      OPS_WEBHOOK: 'webhook-canary',
      GIT_DIR: '/elsewhere',
      GIT_SSH_COMMAND: 'ssh -i key',
      GIT_CONFIG_COUNT: '2',
      GIT_CONFIG_KEY_1: 'core.editor',
      GIT_CONFIG_VALUE_1: 'vi',
      GIT_CONFIG_KEY_0: 'http.extraheader',
      GIT_CONFIG_VALUE_0: 'X-Test: 1',
      https_proxy: 'http://127.0.0.1:9',
    };
    const repository = await s.open(clone, { env });
    const outcome = await repository.publish(publication(await repository.fetch(), { 'state/1': 'x' }));
    if (outcome.r !== 'published') throw new Error(outcome.r);
    await repository.followTip(outcome.tip);
    const seen = readFileSync(log, 'utf8');
    expect(seen).not.toMatch(/CANARY|canary|\/elsewhere/);
    const calls = seen.split('\n').filter((line) => line.startsWith('ARGS '));
    expect(calls.length).toBeGreaterThan(10);
    for (const call of calls)
      expect(call).toMatch(
        /-c core\.hooksPath=\/dev\/null -c core\.fsync=all -c gc\.auto=0 .*protocol\.ext\.allow=never/,
      );
    for (const name of [
      'GIT_SSH_COMMAND',
      'GIT_CONFIG_VALUE_0',
      'https_proxy',
      'GIT_TERMINAL_PROMPT=0',
      'LC_ALL=C',
    ]) {
      expect(seen.split('\n').filter((line) => line.startsWith(name)).length).toBe(calls.length);
    }
  });

  test('may ask on a terminal only', () => {
    expect(childEnvironment({ KEYTURN_X: '1', PATH: '/bin' }, true)).toEqual({
      PATH: '/bin',
      LC_ALL: 'C',
      GIT_OPTIONAL_LOCKS: '0',
      GIT_LITERAL_PATHSPECS: '1',
    });
    expect(childEnvironment({}, false).GIT_TERMINAL_PROMPT).toBe('0');
  });
});

test.skipIf(process.getuid?.() === 0)(
  'an object store that cannot be written: said before anything is sent',
  async () => {
    const remote = s.remote();
    const clone = s.clone(remote, 'a');
    const repository = await s.open(clone);
    const base = await repository.fetch();
    chmodSync(join(clone, '.git/objects'), 0o555);
    const failure = repository.publish(publication(base, { 'state/1': 'not seen before' }));
    await expect(failure).rejects.toMatchObject({
      exit: 1,
      hint: expect.stringMatching(/disk space, permissions/),
    });
    chmodSync(join(clone, '.git/objects'), 0o755);
    expect(s.git(remote, 'rev-parse', 'main')).toBe(base);
  },
);
