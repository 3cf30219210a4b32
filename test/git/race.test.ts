import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Scratch, scratch } from './world.ts';

const script = new URL('./increment.ts', import.meta.url).pathname;
let s: Scratch;
beforeEach(() => {
  s = scratch();
});
afterEach(() => s.remove());

async function increment(
  clone: string,
  times: number,
  dieAt = '',
): Promise<{ code: number | null; signal: string | null; err: string }> {
  const child = spawn(
    process.execPath,
    ['--no-warnings', '--experimental-strip-types', script, clone, String(times), dieAt],
    {
      env: s.env,
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  const err: Buffer[] = [];
  child.stderr.on('data', (bytes: Buffer) => err.push(bytes));
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { code, signal, err: Buffer.concat(err).toString() };
}

describe('processes that publish against each other', () => {
  test('two of them, 25 equal-looking commits each, make 50', { timeout: 240_000 }, async () => {
    const remote = s.remote();
    const clones = [s.clone(remote, 'a'), s.clone(remote, 'b')];
    const ended = await Promise.all(clones.map((clone) => increment(clone, 25)));
    expect(ended.map((end) => end.err)).toEqual(['', '']);
    expect(s.git(remote, 'show', 'main:state/counter')).toBe('50');
    expect(s.git(remote, 'rev-list', '--count', 'main', '--', 'state/counter')).toBe('50');
  });

  test('in one clone and without a remote none is lost either', { timeout: 240_000 }, async () => {
    s.git(s.root, 'init', '--quiet', '--initial-branch=main', 'alone');
    const ended = await Promise.all([increment(s.at('alone'), 10), increment(s.at('alone'), 10)]);
    expect(ended.map((end) => end.err)).toEqual(['', '']);
    expect(s.git(s.at('alone'), 'show', 'main:state/counter')).toBe('20');
  });

  test('in one clone with a remote they share its objects and none is lost', {
    timeout: 240_000,
  }, async () => {
    const remote = s.remote();
    const clone = s.clone(remote, 'a');
    const ended = await Promise.all([increment(clone, 8), increment(clone, 8)]);
    expect(ended.map((end) => end.err)).toEqual(['', '']);
    expect(s.git(remote, 'show', 'main:state/counter')).toBe('16');
  });

  test('killed before it sent, nothing is there; killed after the remote applied, the commit is', async () => {
    const remote = s.remote();
    const clone = s.clone(remote, 'a');
    const first = s.git(remote, 'rev-parse', 'main');
    expect((await increment(clone, 1, 'push.beforeSend')).signal).toBe('SIGKILL');
    expect(s.git(remote, 'rev-parse', 'main')).toBe(first);
    expect((await increment(clone, 1, 'push.afterApply')).signal).toBe('SIGKILL');
    const repository = await s.open(clone);
    const tip = await repository.fetch();
    expect(tip).not.toBe(first);
    expect([...(await repository.list(tip, ['state'])).keys()]).toEqual(['state/counter']);
  });
});
