import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type GitHttp, serveGit } from '../servers/git-http.ts';
import { footprint, publication, put, type Scratch, scratch } from './world.ts';

let s: Scratch;
let http: GitHttp;
beforeEach(async () => {
  s = scratch();
  http = await serveGit(s.root, {
    bot: { password: 'pw-canary', write: true },
    reader: { password: 'reads', write: false },
  });
});
afterEach(async () => {
  await http.close();
  s.remove();
});

/** Cloned from the disk, because a synchronous clone would wait for the server in this very process. */
function overHttp(user?: string, name = 'remote.git'): string {
  const clone = s.clone(s.at('remote.git'), 'a');
  s.git(clone, 'remote', 'set-url', 'origin', http.url(name, user));
  return clone;
}

const isPush = (url: string) => url.endsWith('/git-receive-pack');

describe('over http', () => {
  test('fetches, publishes and reads back', async () => {
    s.remote();
    const repository = await s.open(overHttp('bot'));
    const outcome = await repository.publish(publication(await repository.fetch(), { 'state/1': 'x' }));
    expect(outcome).toEqual({ r: 'published', tip: s.git(s.at('remote.git'), 'rev-parse', 'main') });
    expect(await repository.fetch()).toBe(outcome.r === 'published' && outcome.tip);
  });

  test('a reader may not push: forbidden, and the password is not in the words', async () => {
    const remote = s.remote();
    const tip = s.git(remote, 'rev-parse', 'main');
    const repository = await s.open(overHttp('reader'));
    const outcome = await repository.publish(publication(await repository.fetch(), { 'state/1': 'x' }));
    expect(outcome).toMatchObject({ r: 'refused', why: 'forbidden' });
    expect(JSON.stringify(outcome)).toContain('403');
    expect(JSON.stringify(outcome)).not.toContain('reads');
    expect(s.git(remote, 'rev-parse', 'main')).toBe(tip);
  });

  test('no credentials and no terminal: exit 1 and a hint, not a question', async () => {
    s.remote();
    const clone = overHttp();
    const repository = await s.open(clone);
    await expect(repository.fetch()).rejects.toMatchObject({
      exit: 1,
      code: 'EAUTH',
      hint: expect.stringMatching(/token or deploy key/),
    });
  });

  test('an answer lost after the server applied: published, once, because the remote says so', async () => {
    const remote = s.remote();
    const steps: string[] = [];
    const repository = await s.open(overHttp('bot'), { failpoint: async (name) => void steps.push(name) });
    const base = await repository.fetch();
    http.fate = ({ url }) => (isPush(url) ? 'drop' : 'answer');
    const outcome = await repository.publish(publication(base, { 'state/1': 'x' }));
    expect(outcome).toEqual({ r: 'published', tip: s.git(remote, 'rev-parse', 'main') });
    expect([s.git(remote, 'rev-parse', 'main^'), steps]).toEqual([base, ['push.beforeSend']]);
  });

  test('a server that does not answer the push: sent again as the same commit', async () => {
    const remote = s.remote();
    const repository = await s.open(overHttp('bot'), { networkTimeout: 1_500 });
    const base = await repository.fetch();
    let pushes = 0;
    http.fate = ({ url }) => {
      if (!isPush(url)) return 'answer';
      pushes += 1;
      return pushes === 1 ? 'hang' : 'answer';
    };
    const outcome = await repository.publish(publication(base, { 'state/1': 'x' }));
    expect([outcome.r, pushes, s.git(remote, 'rev-list', '--count', 'main')]).toEqual(['published', 2, '2']);
  });

  test('a refusal after a push without an answer is not final: that one may still arrive', async () => {
    const remote = s.remote();
    const repository = await s.open(overHttp('bot'), { networkTimeout: 1_500 });
    const base = await repository.fetch();
    http.fate = ({ url }) => {
      if (!isPush(url)) return 'answer';
      put(join(remote, 'hooks/pre-receive'), '#!/bin/sh\nexit 1\n', 0o755);
      http.fate = () => 'answer';
      return 'hang';
    };
    const outcome = await repository.publish(publication(base, { 'state/1': 'x' }));
    expect(outcome).toMatchObject({
      r: 'unknown',
      detail: expect.stringMatching(/pre-receive hook declined/),
    });
  });

  test('applied, and then the remote cannot be read: unknown, without the password', async () => {
    const remote = s.remote();
    const repository = await s.open(overHttp('bot'), {
      failpoint: async (name) => {
        if (name === 'push.afterApply') await http.close();
      },
    });
    const base = await repository.fetch();
    const outcome = await repository.publish(publication(base, { 'state/1': 'x' }));
    expect(outcome.r).toBe('unknown');
    expect(JSON.stringify(outcome)).not.toContain('pw-canary');
    expect(s.git(remote, 'rev-parse', 'main^')).toBe(base);
  });

  test('a repository that is not there: exit 1, look at the address', async () => {
    s.remote();
    const clone = overHttp('bot', 'elsewhere.git');
    const failure = (await s.open(clone)).fetch();
    await expect(failure).rejects.toMatchObject({ exit: 1, hint: expect.stringMatching(/git remote -v/) });
  });
});

describe('a remote out of reach', () => {
  test('refuses connections: exit 75', async () => {
    const clone = s.clone(s.remote(), 'a');
    const port = await new Promise<number>((resolve) => {
      const server = createServer().listen(0, '127.0.0.1', () => {
        const address = server.address();
        server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
      });
    });
    s.git(clone, 'remote', 'set-url', 'origin', `http://127.0.0.1:${port}/x.git`);
    const repository = await s.open(clone);
    await expect(repository.fetch()).rejects.toMatchObject({ exit: 75, left: 'unchanged' });
    const base = s.git(clone, 'rev-parse', 'HEAD');
    expect((await repository.publish(publication(base, { 'state/1': 'x' }))).r).toBe('unknown');
  });

  test('hangs: given up after the limit, exit 75', async () => {
    s.remote();
    const clone = overHttp('bot');
    http.fate = () => 'hang';
    const repository = await s.open(clone, { networkTimeout: 500 });
    await expect(repository.fetch()).rejects.toMatchObject({ exit: 75, code: 'ETIMEDOUT' });
  });
});

describe('fetching', () => {
  test('touches no ref of the user and does not make a full clone shallow', async () => {
    const remote = s.remote();
    const [clone, other] = [s.clone(remote, 'a'), s.clone(remote, 'b')];
    s.git(other, 'commit', '--quiet', '--allow-empty', '-m', 'second');
    s.git(other, 'tag', 'v1');
    s.git(other, 'push', '--quiet', '--tags', 'origin', 'main');
    const refs = () =>
      s
        .git(clone, 'for-each-ref')
        .split('\n')
        .filter((line) => !line.includes('refs/keyturn/'));
    const [before, print] = [refs(), footprint(clone)];
    const repository = await s.open(clone);
    expect(await repository.fetch()).toBe(s.git(other, 'rev-parse', 'HEAD'));
    expect(refs()).toEqual(before);
    expect(footprint(clone)).toBe(print);
    expect(s.git(clone, 'rev-parse', '--is-shallow-repository')).toBe('false');
  });

  test('null when the branch is absent or gone, and then publishing creates it', async () => {
    const remote = s.remote();
    const repository = await s.open(s.clone(remote, 'a'), { stateRef: 'refs/heads/keyturn-state' });
    expect(await repository.fetch()).toBeNull();
    const first = await repository.publish(publication(null, { 'state/1': 'x' }));
    expect(first).toEqual({ r: 'published', tip: s.git(remote, 'rev-parse', 'keyturn-state') });
    expect(await repository.publish(publication(null, { 'state/1': 'y' }))).toMatchObject({ r: 'moved' });
    s.git(remote, 'update-ref', '-d', 'refs/heads/keyturn-state');
    expect(await repository.fetch()).toBeNull();
  });

  test('an empty remote and an unborn branch', async () => {
    const remote = s.emptyRemote();
    const clone = s.clone(remote, 'a');
    put(join(clone, 'keyturn.yaml'), 'kind: Project\n');
    const repository = await s.open(clone);
    expect(await repository.fetch()).toBeNull();
    const outcome = await repository.publish(publication(null, { 'state/1': 'x' }));
    if (outcome.r !== 'published') throw new Error(outcome.r);
    expect(await repository.followTip(outcome.tip)).toMatch(/^main fast-forwarded to /);
    expect(s.git(clone, 'status', '--porcelain')).toBe('?? keyturn.yaml');
  });
});

describe('in a shallow clone', () => {
  const grow = (remote: string, commits: number) => {
    const seed = `${remote}-seed`;
    s.git(seed, 'pull', '--quiet', 'origin', 'main');
    for (let n = 0; n < commits; n++) s.git(seed, 'commit', '--quiet', '--allow-empty', '-m', `more ${n}`);
    s.git(seed, 'push', '--quiet', 'origin', 'HEAD:main');
    return s.git(seed, 'rev-parse', 'HEAD');
  };

  test.each([1, 3])('of depth %i: publishes, follows, and keeps the history the user has', async (depth) => {
    const remote = s.remote();
    grow(remote, 5);
    const clone = s.clone(remote, 'a', `--depth=${depth}`);
    const tip = grow(remote, 2);
    const repository = await s.open(clone);
    expect(await repository.fetch()).toBe(tip);
    const outcome = await repository.publish(publication(tip, { 'state/1': 'x' }));
    if (outcome.r !== 'published') throw new Error(outcome.r);
    expect(await repository.followTip(outcome.tip)).toMatch(/^main fast-forwarded/);
    expect(s.git(clone, 'rev-list', '--count', 'HEAD')).toBe(String(depth + 3));
    expect(s.git(clone, 'status', '--porcelain')).toBe('');
  });

  test('a state branch that it never saw comes as one commit', async () => {
    const remote = s.remote();
    const tip = grow(remote, 20);
    s.git(remote, 'update-ref', 'refs/heads/keyturn-state', tip);
    s.git(`${remote}-seed`, 'checkout', '--quiet', '--orphan', 'fresh');
    s.git(`${remote}-seed`, 'commit', '--quiet', '--allow-empty', '-m', 'fresh');
    s.git(`${remote}-seed`, 'push', '--quiet', '--force', 'origin', 'HEAD:main');
    const clone = s.clone(remote, 'a', '--depth=1');
    const repository = await s.open(clone, { stateRef: 'refs/heads/keyturn-state' });
    expect(await repository.fetch()).toBe(tip);
    expect(s.git(clone, 'rev-list', '--count', tip)).toBe('1');
    const outcome = await repository.publish(publication(tip, { 'state/1': 'x' }));
    expect(outcome.r).toBe('published');
  });

  test.each([false, true])('finds ours below the tip (hidden behind a cut: %s)', async (cut) => {
    const remote = s.remote();
    const clone = s.clone(remote, 'a', '--depth=1');
    const repository = await s.open(clone, {
      failpoint: async (name) => {
        if (name !== 'push.afterApply') return;
        grow(remote, 3);
        if (cut) s.git(clone, 'fetch', '--quiet', '--depth=1', 'origin', '+main:refs/other');
      },
    });
    const outcome = await repository.publish(publication(await repository.fetch(), { 'state/1': 'x' }));
    expect(outcome).toEqual({ r: 'published', tip: s.git(remote, 'rev-parse', 'main') });
  });
});
