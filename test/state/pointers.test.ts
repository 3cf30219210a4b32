import { describe, expect, it } from 'vitest';
import {
  currentPath,
  formatCurrent,
  hostPointers,
  hostsPath,
  parseCurrent,
  parseHosts,
  pointedTo,
  pointersMoved,
  readPointers,
} from '../../src/state/pointers.ts';
import { pendingOn, record } from '../engine/wishes-and-records.ts';
import { refusal } from './people.ts';

const { binding } = record();
const text = (bytes: Uint8Array | null | undefined): string => Buffer.from(bytes ?? []).toString();

describe('pointers', () => {
  it('stand beside the folder of a secret, where no name of another can be', async () => {
    expect(currentPath('prod/mysql/app')).toBe('values/prod/mysql/app@current');
    expect(hostsPath('prod/mysql/app')).toBe('values/prod/mysql/app@hosts');
    for (const name of ['', '/a', 'a/', '..', 'a/../b', 'a\\b', 'a/current', 'a/8.age'])
      expect((await refusal(() => currentPath(name))).subject, name).toBe('secret name');
    expect(pointedTo(currentPath('prod/app'))).toBe('prod/app');
    expect(pointedTo('values/prod/app/current')).toBe('prod/app');
    for (const path of ['values/prod/app/8.age', hostsPath('prod/app'), 'values/prod/app/current@hosts'])
      expect(pointedTo(path), path).toBeUndefined();
  });

  it('are read where they stand, and where they once stood', async () => {
    const there = new Map([
      ['values/new@current', '9'],
      ['values/new/current', '8'],
      ['values/old/current', '3'],
      ['values/old/current@hosts', 'web-1 3'],
    ]);
    const asked: string[][] = [];
    const read = async (paths: string[]): Promise<Map<string, Uint8Array>> => {
      asked.push(paths);
      return new Map(
        paths.flatMap((path) => (there.has(path) ? [[path, Buffer.from(there.get(path) ?? '')]] : [])),
      );
    };
    const wanted = ['new', 'old', 'none'].flatMap((name) => [currentPath(name), hostsPath(name)]);
    const found = await readPointers(read, wanted);
    expect(new Map([...found].map(([path, bytes]) => [path, text(bytes)]))).toEqual(
      new Map([
        ['values/new@current', '9'],
        ['values/old@current', '3'],
        ['values/old@hosts', 'web-1 3'],
      ]),
    );
    expect(asked).toHaveLength(1);
  });

  it('move to where they stand today', () => {
    const hosts = { 'prod/web-1': { binding, v: 5 } };
    const writes = pointersMoved([
      record({ name: 'a', current: 5, hosts }),
      record({ name: 'b/c', current: 2 }),
      record({ name: 'new', current: null }),
    ]);
    expect(writes.map(({ path, bytes }) => [path, bytes === null ? null : text(bytes)])).toEqual([
      ['values/a@current', '5\n'],
      ['values/a@hosts', 'web-1 5\n'],
      ['values/b/c@current', '2\n'],
      ['values/a/current', null],
      ['values/a/current@hosts', null],
      ['values/b/c/current', null],
    ]);
  });

  it('lists which host has which version, and what of that nobody knows', async () => {
    const known = {
      'prod/web-1': { binding, v: 5, took: { how: 'login' as const, health: 'ok' as const } },
      'prod/web-2': { binding, v: 4, sent: 'unknown' as const },
      'prod/web-3': { binding, v: 4, sent: 'acknowledged' as const },
      'prod/web-4': { binding, v: 4, sent: 'no' as const },
      'prod/web-5': { binding, v: null },
    };
    const of = record({ pending: pendingOn(5, 0), hosts: known });
    const [list] = hostPointers('app', undefined, of);
    const bytes = list?.bytes ?? new Uint8Array();
    expect(list?.path).toBe('values/app@hosts');
    expect(Buffer.from(bytes).toString()).toBe('web-1 5\nweb-2 4 or 5\nweb-3 5\nweb-4 4\n');
    expect(Object.fromEntries(parseHosts(bytes, 'f'))).toEqual({
      'web-1': { v: 5, or: null },
      'web-2': { v: 4, or: 5 },
      'web-3': { v: 5, or: null },
      'web-4': { v: 4, or: null },
    });
    expect(hostPointers('app', of, of)).toEqual([]);
    expect(hostPointers('app', of, record())).toEqual([{ path: 'values/app@hosts', bytes: null }]);
    for (const text of ['web-1 5', 'web-1\n', 'web-1 0\n', 'web-1 5 or\n', 'a/b 5\n', '\n'])
      expect((await refusal(() => parseHosts(Buffer.from(text), 'f'))).code, text).toBe('DAMAGED');
  });

  it('reads exactly what it writes', async () => {
    for (const v of [1, 8, 123_456_789]) expect(parseCurrent(formatCurrent(v), 'f')).toBe(v);
    for (const text of [
      '',
      '8',
      '8\r\n',
      ' 8\n',
      '08\n',
      '0\n',
      '-1\n',
      '8\n8\n',
      '8\n\n',
      'x\n',
      '1e3\n',
      '1234567890\n',
      '８\n',
      '8'.repeat(99),
    ]) {
      expect((await refusal(() => parseCurrent(Buffer.from(text), 'values/a@current'))).code, text).toBe(
        'DAMAGED',
      );
    }
  });
});
