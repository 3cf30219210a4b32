import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Scratch, scratch } from './world.ts';

let s: Scratch;
beforeEach(() => {
  s = scratch();
});
afterEach(() => s.remove());

test('what one clone puts beside a branch, another finds and drops', async () => {
  const remote = s.remote();
  const [a, b] = await Promise.all([s.open(s.clone(remote, 'a')), s.open(s.clone(remote, 'b'))]);
  const tip = s.git(remote, 'rev-parse', 'main');
  expect(await a.side.put('UID/8-CLAIM', new Uint8Array([1, 2]))).toBeNull();
  expect(await a.side.put('UID/9-CLAIM', new Uint8Array([3]))).toBeNull();
  expect(await b.side.find('UID/8-')).toEqual([new Uint8Array([1, 2])]);
  expect(await b.side.find('OTHER/8-')).toEqual([]);
  await b.side.drop('UID/8-');
  expect(await a.side.find('UID/8-')).toEqual([]);
  expect(await a.side.find('UID/9-')).toHaveLength(1);
  expect(s.git(remote, 'rev-parse', 'main')).toBe(tip);
});

test('a remote that refuses says so, and so does a repository without one', async () => {
  const remote = s.remote();
  const repository = await s.open(s.clone(remote, 'a'));
  writeFileSync(join(remote, 'hooks', 'pre-receive'), '#!/bin/sh\nexit 1\n');
  chmodSync(join(remote, 'hooks', 'pre-receive'), 0o755);
  expect(await repository.side.put('UID/8-CLAIM', new Uint8Array([1]))).toEqual(expect.any(String));
  expect(await repository.side.find('UID/8-')).toEqual([]);
  s.git(s.at('a'), 'remote', 'remove', 'origin');
  const alone = await s.open(s.at('a'));
  expect(await alone.side.put('UID/8-CLAIM', new Uint8Array([1]))).toBe('there is no remote');
  expect(await alone.side.find('UID/8-')).toEqual([]);
});
