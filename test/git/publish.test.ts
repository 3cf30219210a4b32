import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { footprint, publication, put, type Scratch, scratch } from './world.ts';

let s: Scratch;
beforeEach(() => {
  s = scratch();
});
afterEach(() => s.remove());

const hook = (remote: string, name: string, script: string) => {
  writeFileSync(join(remote, 'hooks', name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(remote, 'hooks', name), 0o755);
};

describe('a published commit', () => {
  test('is at the remote, on its base, with subject, body and a nonce of its own', async () => {
    const remote = s.remote();
    const repository = await s.open(s.clone(remote, 'a'));
    expect(repository.place).toBe('origin (refs/heads/main)');
    const base = await repository.fetch();
    const outcome = await repository.publish({
      ...publication(base, { 'state/1.age': 'one' }),
      body: 'v1 -> v2\n',
    });
    const tip = s.git(remote, 'rev-parse', 'main');
    expect(outcome).toEqual({ r: 'published', tip });
    expect(s.git(remote, 'rev-parse', 'main^')).toBe(base);
    const text = s.git(remote, 'log', '-1', '--format=%B%an <%ae>', 'main');
    expect(text).toMatch(
      /^rotate a\n\nv1 -> v2\n\nKeyturn-Nonce: [0-9a-f]{32}\nkeyturn <keyturn@localhost>$/,
    );
    await repository.publish(publication(tip, { 'state/1.age': 'one' }));
    const nonces = s
      .git(remote, 'log', '--format=%(trailers:key=Keyturn-Nonce,valueonly)', 'main')
      .split('\n')
      .filter(Boolean);
    expect(new Set(nonces).size).toBe(2);
  });

  test.each(['sha1', 'sha256'])('has the files that a look at it finds (%s)', async (format) => {
    const remote = s.at('bare.git');
    s.git(s.root, 'init', '--quiet', '--bare', `--object-format=${format}`, '--initial-branch=main', remote);
    const clone = s.at('clone');
    s.git(s.root, 'init', '--quiet', `--object-format=${format}`, '--initial-branch=main', clone);
    s.git(clone, 'remote', 'add', 'origin', remote);
    const repository = await s.open(clone);
    const folders = ['state', 'values'];
    let base = await repository.fetch();
    for (const files of [
      { 'state/1.age': 'one', 'values/a/1.age': 'a', 'README.md': 'not listed' },
      { 'state/1.age': null, 'state/2.age': 'two', 'values/a/1.age': '', 'values/a/b/1.age': 'b' },
    ]) {
      await repository.list(base, folders);
      const outcome = await repository.publish(publication(base, files));
      base = outcome.r === 'published' ? outcome.tip : null;
      const listed = await repository.list(base, folders);
      expect(listed).toEqual(await (await s.open(clone)).list(base, folders));
      expect(listed.size).toBe(base && files['state/1.age'] === null ? 3 : 2);
    }
  });

  test('is loose objects in the clone where it is small, and one pack where it is a wave', async () => {
    const remote = s.remote();
    const clone = s.clone(remote, 'a');
    const repository = await s.open(clone);
    let base = await repository.fetch();
    const kept = async (files: number): Promise<{ loose: number; packs: number }> => {
      const each = Array.from({ length: files }, (_, n) => [`values/${files}/${n}.age`, `${files} ${n}`]);
      const before = s.git(clone, 'count-objects', '-v');
      const outcome = await repository.publish(publication(base, Object.fromEntries(each)));
      if (outcome.r !== 'published') throw new Error(outcome.r);
      base = outcome.tip;
      const after = s.git(clone, 'count-objects', '-v');
      const grew = (what: string): number => {
        const of = (text: string) => Number(new RegExp(`^${what}: (\\d+)`, 'm').exec(text)?.[1]);
        return of(after) - of(before);
      };
      return { loose: grew('count'), packs: grew('packs') };
    };
    expect(await kept(3)).toEqual({ loose: 7, packs: 0 });
    expect(await kept(40)).toEqual({ loose: 0, packs: 1 });
  });

  test('carries the identity that the user configured', async () => {
    const remote = s.remote();
    const clone = s.clone(remote, 'a');
    s.git(clone, 'config', 'user.name', 'Ada');
    s.git(clone, 'config', 'user.email', 'ada@example.org');
    const repository = await s.open(clone);
    await repository.publish(publication(await repository.fetch(), { 'state/1': 'x' }));
    expect(s.git(remote, 'log', '-1', '--format=%an %ae %cn %ce', 'main')).toBe(
      'Ada ada@example.org Ada ada@example.org',
    );
  });

  test('is signed when the user signs', async () => {
    const remote = s.remote();
    const clone = s.clone(remote, 'a');
    const program = s.at('sign.sh');
    put(
      program,
      '#!/bin/sh\ncat >/dev/null\nprintf "\\n[GNUPG:] SIG_CREATED D\\n" >&2\nprintf -- "-----BEGIN PGP SIGNATURE-----\\nabc\\n-----END PGP SIGNATURE-----\\n"\n',
      0o755,
    );
    s.git(clone, 'config', 'commit.gpgSign', 'true');
    s.git(clone, 'config', 'gpg.program', program);
    const repository = await s.open(clone);
    await repository.publish(publication(await repository.fetch(), { 'state/1': 'x' }));
    expect(s.git(remote, 'cat-file', 'commit', 'main')).toContain('gpgsig -----BEGIN PGP SIGNATURE-----');
  });

  test('keeps what it does not name, removes, and lets a folder take the place of a file', async () => {
    const repository = await s.open(s.clone(s.remote(), 'a'));
    const first = await repository.publish(
      publication(await repository.fetch(), { 'values/a': '1', 'state/1': '1' }),
    );
    if (first.r !== 'published') throw new Error(first.r);
    const second = await repository.publish(
      publication(first.tip, {
        'values/a': null,
        'values/a/current': '2',
        'state/1': null,
        'state/gone': null,
      }),
    );
    if (second.r !== 'published') throw new Error(second.r);
    const files = await repository.list(second.tip, ['']);
    expect([...files.keys()]).toEqual(['README.md', 'manifests/a.yaml', 'values/a/current']);
    expect([...(await repository.list(second.tip, ['manifests', 'nowhere'])).keys()]).toEqual([
      'manifests/a.yaml',
    ]);
    expect(await repository.list(null, ['state'])).toEqual(new Map());
  });

  test('brings every byte back: NUL, CRLF, empty, not UTF-8, whatever autocrlf and attributes say', async () => {
    const remote = s.remote();
    const clone = s.clone(remote, 'a');
    s.git(clone, 'config', 'core.autocrlf', 'true');
    put(join(clone, '.gitattributes'), '* text eol=crlf\n');
    const contents = [
      new Uint8Array(),
      Buffer.from('a\r\nb\n\r'),
      Buffer.from([0, 255, 10, 0, 13, 10]),
      Buffer.from('done\n'),
    ];
    const repository = await s.open(clone);
    const writes = contents.map((bytes, index) => ({ path: `values/ümläut ${index}.age`, bytes }));
    const outcome = await repository.publish({
      base: await repository.fetch(),
      subject: 'bytes',
      body: '',
      writes,
    });
    if (outcome.r !== 'published') throw new Error(outcome.r);
    const files = await repository.readAt(outcome.tip, ['values']);
    expect([...files].map(([path, bytes]) => [path, [...bytes]])).toEqual(
      contents.map((bytes, index) => [`values/ümläut ${index}.age`, [...bytes]]),
    );
  });

  test('leaves working tree, index and HEAD as they were, dirty, staged and with hooks in the repository', async () => {
    const remote = s.remote();
    const clone = s.clone(remote, 'a');
    s.git(clone, 'config', 'core.hooksPath', 'hooks');
    s.git(clone, 'config', 'core.autocrlf', 'true');
    for (const name of [
      'pre-push',
      'pre-commit',
      'post-commit',
      'reference-transaction',
      'post-index-change',
    ]) {
      put(join(clone, 'hooks', name), `#!/bin/sh\ntouch ${s.at('hook-ran')}\n`, 0o755);
    }
    put(join(clone, 'README.md'), 'changed\r\n');
    put(join(clone, 'manifests/a.yaml'), 'staged\n');
    s.git(clone, '-c', 'core.hooksPath=/dev/null', 'add', 'manifests/a.yaml');
    put(join(clone, 'untracked'), 'mine\n');
    const before = footprint(clone);
    const repository = await s.open(clone);
    const outcome = await repository.publish(
      publication(await repository.fetch(), { 'state/1': 'x', 'README.md': 'theirs' }),
    );
    expect(outcome.r).toBe('published');
    expect(footprint(clone)).toBe(before);
    expect(existsSync(s.at('hook-ran'))).toBe(false);
  });

  test('works from a detached HEAD when the ref is named, and from a linked worktree', async () => {
    const remote = s.remote();
    const clone = s.clone(remote, 'a');
    s.git(clone, 'checkout', '--quiet', '--detach');
    s.git(clone, 'worktree', 'add', '--quiet', '--detach', s.at('linked'));
    const before = footprint(clone);
    const detached = await s.open(clone, { stateRef: 'refs/heads/main' });
    expect((await detached.publish(publication(await detached.fetch(), { 'state/1': 'x' }))).r).toBe(
      'published',
    );
    const linked = await s.open(s.at('linked'), { stateRef: 'refs/heads/main' });
    const outcome = await linked.publish(publication(await linked.fetch(), { 'state/2': 'x' }));
    if (outcome.r !== 'published') throw new Error(outcome.r);
    expect(await linked.followTip(outcome.tip)).toBeNull();
    expect(footprint(clone)).toBe(before);
  });
});

describe('the outcome of a push', () => {
  test('moved, with the tip to go on from, when somebody else was there first', async () => {
    const remote = s.remote();
    const [a, b] = [await s.open(s.clone(remote, 'a')), await s.open(s.clone(remote, 'b'))];
    const base = await a.fetch();
    await b.fetch();
    const won = await b.publish(publication(base, { 'state/1': 'b' }));
    const lost = await a.publish(publication(base, { 'state/1': 'a' }));
    expect(won.r).toBe('published');
    expect(lost).toEqual({ r: 'moved', tip: s.git(remote, 'rev-parse', 'main') });
    expect(s.git(remote, 'show', 'main:state/1')).toBe('b');
  });

  test('published when others have built on ours before we looked', async () => {
    const remote = s.remote();
    const other = s.clone(remote, 'other');
    const repository = await s.open(s.clone(remote, 'a'), {
      failpoint: async (name) => {
        if (name !== 'push.afterApply') return;
        s.git(other, 'pull', '--quiet');
        s.git(other, 'commit', '--quiet', '--allow-empty', '-m', 'on top');
        s.git(other, 'push', '--quiet');
      },
    });
    const outcome = await repository.publish(publication(await repository.fetch(), { 'state/1': 'a' }));
    expect(outcome).toEqual({ r: 'published', tip: s.git(other, 'rev-parse', 'HEAD') });
    expect((await repository.list(outcome.r === 'published' ? outcome.tip : null, ['state'])).size).toBe(1);
  });

  test('moved when the branch was deleted or reset meanwhile', async () => {
    const remote = s.remote();
    const repository = await s.open(s.clone(remote, 'a'));
    const base = await repository.fetch();
    s.git(remote, 'update-ref', '-d', 'refs/heads/main');
    expect(await repository.publish(publication(base, { 'state/1': 'a' }))).toEqual({
      r: 'moved',
      tip: null,
    });
  });

  test.each([
    [
      'pre-receive',
      'echo "error: GH006: Protected branch update failed for refs/heads/main." >&2; exit 1',
      'protected',
    ],
    ['pre-receive', 'echo "no" >&2; exit 1', 'protected'],
    ['update', 'echo "friday" >&2; exit 1', 'hook'],
  ])('refused by a %s hook: %s', async (name, script, why) => {
    const remote = s.remote();
    const tip = s.git(remote, 'rev-parse', 'main');
    hook(remote, name, script);
    const repository = await s.open(s.clone(remote, 'a'));
    const outcome = await repository.publish(publication(await repository.fetch(), { 'state/1': 'a' }));
    expect(outcome).toMatchObject({ r: 'refused', why });
    expect(outcome.r === 'refused' && outcome.detail).toMatch(/GH006|no|friday/);
    expect(s.git(remote, 'rev-parse', 'main')).toBe(tip);
  });

  test('a lock in the way at the remote is tried again with the same commit', async () => {
    const remote = s.remote();
    const lock = join(remote, 'refs/heads/main.lock');
    put(lock, '');
    let tries = 0;
    const repository = await s.open(s.clone(remote, 'a'), {
      failpoint: async (name) => {
        if (name !== 'push.beforeSend') return;
        tries += 1;
        if (tries === 3) rmSync(lock);
      },
    });
    const outcome = await repository.publish(publication(await repository.fetch(), { 'state/1': 'a' }));
    expect([outcome.r, tries]).toEqual(['published', 3]);
    expect(s.git(remote, 'rev-list', '--count', 'main')).toBe('2');
  });

  test('opening, fetching and reading 200 files costs five processes', async () => {
    const clone = s.clone(s.remote(), 'a');
    const files = Object.fromEntries(
      Array.from({ length: 200 }, (_, index) => [`values/${index}.age`, `${index}`]),
    );
    const writer = await s.open(clone);
    const outcome = await writer.publish(publication(await writer.fetch(), files));
    if (outcome.r !== 'published') throw new Error(outcome.r);
    const log = s.at('calls');
    put(s.at('bin/git'), `#!/bin/sh\necho "$*" >> ${log}\nPATH=${s.env.PATH} exec git "$@"\n`, 0o755);
    const repository = await s.open(clone, { env: { ...s.env, PATH: `${s.at('bin')}:${s.env.PATH}` } });
    const blobs = await repository.list(await repository.fetch(), ['values']);
    const bytes = await repository.read([...blobs.values()]);
    const verbs = [...readFileSync(log, 'utf8').matchAll(/^(?:-c \S+ )+(\S+)/gm)].map(([, verb]) => verb);
    expect(verbs.sort()).toEqual(['cat-file', 'config', 'fetch', 'ls-tree', 'rev-parse']);
    expect([blobs.size, bytes.size]).toEqual([200, 200]);
    expect(Buffer.from(bytes.get(blobs.get('values/137.age') ?? '') ?? []).toString()).toBe('137');
  });
});
