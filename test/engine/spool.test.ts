import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { remainsIn, remainsText } from '../../src/engine/last-resort.ts';
import { diskSpool } from '../../src/engine/spool.ts';

const key = { repo: 'REPO', uid: 'UID', v: 3 };
const bytes = new Uint8Array([1, 2, 3]);

describe('the spool', () => {
  let home = '';
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'keyturn-spool-'));
  });
  afterEach(() => rmSync(home, { recursive: true, force: true }));

  it('keeps a value for one rotation, readable by nobody else', async () => {
    const spool = diskSpool(join(home, 'spool'));
    await spool.check();
    await spool.put(key, 'A', bytes);
    const [folder = ''] = readdirSync(join(home, 'spool'));
    expect(statSync(join(home, 'spool', folder, 'A.age')).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(home, 'spool', folder))).toEqual(['A.age']);
    expect(await spool.take({ ...key, v: 4 }, 'B')).toBeNull();
    expect(await spool.take(key, 'A')).toEqual(Buffer.from(bytes));
  });

  it('tells the former owner that somebody took its value over', async () => {
    const spool = diskSpool(join(home, 'spool'));
    await spool.put(key, 'A', bytes);
    expect(await spool.take(key, 'B')).toEqual(Buffer.from(bytes));
    expect(await spool.drop(key, 'A')).toBe(false);
    expect(await spool.drop(key, 'B')).toBe(true);
    expect(await spool.drop(key, 'B')).toBe(false);
    expect(readdirSync(join(home, 'spool'))).toEqual([]);
  });

  it('says before anything is made that it cannot be written', async () => {
    writeFileSync(join(home, 'spool'), 'a file where the folder should be');
    await expect(diskSpool(join(home, 'spool')).check()).rejects.toThrow('cannot be written');
    await expect(diskSpool(join(home, 'spool')).put(key, 'A', bytes)).rejects.toThrow();
  });
});

describe('the last resort', () => {
  const remains = { secret: 'prod/aws/deployer', version: 8, bytes: Buffer.alloc(300, 7) };

  it('comes back from a log as it went in', () => {
    expect(remainsIn(remainsText(remains).join('\n'))).toEqual([remains]);
  });

  it('comes back from what a CI system makes of it, among other words', () => {
    const lines = [
      '08:00:00Z claim',
      ...remainsText(remains),
      'apply: failed',
      ...remainsText({ ...remains, version: 9 }),
    ];
    const log = lines.map((line) => `2026-11-20T22:00:00.1234567Z ${line}\r\n`).join('');
    expect(remainsIn(log)).toEqual([remains, { ...remains, version: 9 }]);
  });

  it('is nothing where the end is missing', () => {
    expect(remainsIn(remainsText(remains).slice(0, -1).join('\n'))).toEqual([]);
  });
});
