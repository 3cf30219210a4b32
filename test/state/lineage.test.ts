import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkLineage, lineageDir, rememberLineage } from '../../src/state/lineage.ts';
import { refusal, temporaryFolder } from './people.ts';

const key = 'ssh://git.example/acme refs/heads/main';
const at = (serial: number, head = 'a', repo = 'R1') => ({ repo, serial, head: `sha256:${head.repeat(64)}` });
const nothing = { repo: '', serial: 0, head: '' };

async function remembering(...states: ReturnType<typeof at>[]): Promise<string> {
  const cache = join(temporaryFolder(), 'deep', 'keyturn');
  for (const state of states) await rememberLineage(state, cache, key);
  return cache;
}

describe('lineage', () => {
  it('accepts what it never saw, the same again, and what came later', async () => {
    const cache = await remembering();
    for (const state of [nothing, at(1), at(41)]) await checkLineage(state, cache, key);
    await rememberLineage(at(41), cache, key);
    await checkLineage(at(41), cache, key);
    await checkLineage(at(42, 'b'), cache, key);
  });

  it('sees a state that went back, forked, was started anew or is gone, and names the file to delete', async () => {
    const cache = await remembering(at(41));
    const file = join(cache, readdirSync(cache)[0] ?? '');
    const cases: [ReturnType<typeof at>, string][] = [
      [at(39), 'went back from serial 41 to 39'],
      [at(41, 'b'), 'has another content at serial 41'],
      [at(42, 'a', 'R2'), 'is not the one that was last seen from here'],
      [nothing, 'is gone, and had serial 41'],
    ];
    for (const [state, what] of cases) {
      const error = await refusal(() => checkLineage(state, cache, key));
      expect(error).toMatchObject({ code: 'ROLLED_BACK', exit: 3, subject: 'state' });
      expect(error.what).toContain(what);
      expect(error.hint).toContain(file);
    }
  });

  it('keeps places apart', async () => {
    const cache = await remembering(at(41));
    await checkLineage(at(1, 'b', 'R2'), cache, `${key}-other`);
  });

  it('never remembers less than it knew, and nothing of an empty state', async () => {
    const cache = await remembering(at(41), at(40), nothing);
    expect((await refusal(() => checkLineage(at(40), cache, key))).what).toContain('41 to 40');
    expect(readdirSync(cache)).toHaveLength(1);
    expect(JSON.parse(readFileSync(join(cache, readdirSync(cache)[0] ?? ''), 'utf8'))).toEqual(at(41));
  });

  it('takes a new lineage for a forgotten one', async () => {
    const cache = await remembering(at(41), at(3, 'b', 'R2'));
    await checkLineage(at(3, 'b', 'R2'), cache, key);
  });

  it('treats a broken or unwritable cache as none', async () => {
    const cache = await remembering(at(41));
    writeFileSync(join(cache, readdirSync(cache)[0] ?? ''), '{"repo":');
    await checkLineage(at(1), cache, key);
    const blocked = join(temporaryFolder(), 'file');
    writeFileSync(blocked, '');
    await rememberLineage(at(41), join(blocked, 'keyturn'), key);
    await checkLineage(at(1), join(blocked, 'keyturn'), key);
    expect(readFileSync(blocked, 'utf8')).toBe('');
    const occupied = await remembering(at(41));
    const name = readdirSync(occupied)[0] ?? '';
    const folder = temporaryFolder();
    mkdirSync(join(folder, name, 'in the way'), { recursive: true });
    await rememberLineage(at(41), folder, key);
    expect(readdirSync(folder)).toEqual([name]);
  });

  it('lives where caches live', () => {
    expect(lineageDir({}, '/home/a')).toBe('/home/a/.cache/keyturn');
    expect(lineageDir({ XDG_CACHE_HOME: '/c' }, '/home/a')).toBe('/c/keyturn');
    expect(lineageDir({ XDG_CACHE_HOME: 'c' }, '/home/a')).toBe('/home/a/.cache/keyturn');
  });
});
