import { describe, expect, test } from 'vitest';
import { fold } from '../../src/state/journal.ts';
import { walkHistory } from '../../src/state/walk.ts';
import { ballast, ci, empty, type Files, journal, options, push, withNewcomer } from './journals.ts';
import { person, reader, record, refusal, words } from './people.ts';

/** As git's history has them: every file that was ever added, snapshots and what they replaced. */
const history = (files: Files) => ({ everAdded: async () => new Map(files) });
const walk = (files: Files, identity = ci.identity) => walkHistory(history(files), 'tip', identity);
const whole = (await journal(4)).files;
const path = (serial: number): string => `state/0000000${serial}.age`;

describe('the history of the state', () => {
  test('is every segment, oldest first, with who wrote it', async () => {
    const shuffled = new Map([...whole].reverse());
    const segments = await walk(shuffled);
    expect(segments.map(({ serial, kind, by }) => [serial, kind, by])).toEqual([
      [1, 'snapshot', 'test:runner'],
      [2, 'segment', 'test:runner'],
      [3, 'segment', 'test:runner'],
      [4, 'segment', 'test:runner'],
      [5, 'segment', 'test:runner'],
    ]);
    expect([...(segments[2]?.records.keys() ?? [])]).toEqual(['S2']);
  });

  test('is empty before the first', async () => {
    expect(await walk(new Map())).toEqual([]);
  });

  test('goes on across a snapshot, which the tree no longer shows', async () => {
    const files: Files = new Map();
    const ever: Files = new Map();
    const keep = (): void => {
      for (const [name, bytes] of files) ever.set(name, bytes);
    };
    let folded = await push(files, await empty(), { put: [record('A')] });
    keep();
    const { recipient } = await reader();
    folded = await push(files, folded, { put: [record('B')] }, { recipients: [ci.recipient, recipient] });
    keep();
    await push(files, folded, { put: [record('C')] }, options({ recipients: [ci.recipient, recipient] }));
    keep();
    expect(files.has(path(1))).toBe(false);
    expect((await walk(ever)).map(({ kind }) => kind)).toEqual(['snapshot', 'snapshot', 'segment']);
    expect(Object.keys((await fold(files, ci.identity)).state.records)).toEqual(['A', 'B', 'C']);
  });

  test('shows records whole, also where a segment holds no more than what changed', async () => {
    const files: Files = new Map();
    const first = await push(files, await empty(), { put: [record('A'), ...ballast()] });
    await push(files, first, { put: [record('A', { target: 'new' })] });
    const [, second] = await walk(files);
    expect(Object.fromEntries(second?.records ?? [])).toEqual({ A: record('A', { target: 'new' }) });
  });

  test('begins where a shallow clone does, at the snapshot that its oldest commit has', async () => {
    const files: Files = new Map();
    let folded = await push(files, await empty(), { put: ballast() });
    const old = new Map(files);
    folded = await push(files, folded, { put: [record('A')] }, withNewcomer);
    await push(files, folded, { put: [record('A', { target: 'new' })] }, withNewcomer);
    expect((await walk(new Map([...old, ...files]))).map(({ serial }) => serial)).toEqual([1, 2, 3]);
    const shallow = await walk(files);
    expect(shallow.map(({ serial }) => serial)).toEqual([2, 3]);
    expect(shallow[1]?.records.get('A')).toEqual(record('A', { target: 'new' }));
  });

  test('begins where the reader was let in', async () => {
    const late = await person('late', [ci]);
    const files: Files = new Map();
    const first = await push(files, await empty(), { put: [record('A')] });
    const old = new Map(files);
    await push(files, first, { put: [record('B')] }, { recipients: [ci.recipient, late.recipient] });
    const ever = new Map([...old, ...files]);
    expect((await walk(ever, late.identity)).map(({ serial }) => serial)).toEqual([2]);
  });
});

describe('is refused when', () => {
  const without = (serial: number): Files => new Map([...whole].filter(([name]) => name !== path(serial)));

  test('the oldest segment is no snapshot', async () => {
    const error = await refusal(() => walk(without(1)));
    expect(error).toMatchObject({ exit: 3, code: 'TAMPERED' });
    expect(words(error)).toContain(`${path(2)}: tampered: is the oldest file of the state, but no snapshot`);
  });

  test('a segment in between is missing', async () => {
    const error = await refusal(() => walk(without(3)));
    expect(error).toMatchObject({ exit: 3, code: 'TAMPERED' });
    expect(words(error)).toContain(`${path(4)}: tampered: follows serial 2: some are missing`);
  });

  test('a segment is from another history', async () => {
    const other = (await journal(4)).files;
    const mixed = new Map(whole).set(path(3), other.get(path(3)) ?? new Uint8Array());
    const error = await refusal(() => walk(mixed));
    expect(words(error)).toContain(`${path(3)}: tampered: does not follow from the file before it`);
  });

  test('a segment stands in the place of another', async () => {
    const swapped = new Map(whole).set(path(3), whole.get(path(2)) ?? new Uint8Array());
    expect(await refusal(() => walk(swapped))).toMatchObject({ exit: 3, code: 'WRONG_PLACE' });
  });

  test('a byte was flipped', async () => {
    const bytes = Uint8Array.from(whole.get(path(3)) ?? []);
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    expect(await refusal(() => walk(new Map(whole).set(path(3), bytes)))).toMatchObject({ exit: 3 });
  });

  test('somebody else signed', async () => {
    const stranger = await person('stranger', [ci]);
    const files: Files = new Map();
    await push(files, await empty(), { put: [record('A')] }, { signer: stranger.signer });
    expect(await refusal(() => walk(files))).toMatchObject({ exit: 3, code: 'UNKNOWN_SIGNER' });
  });

  test('a file is there that keyturn never writes', async () => {
    const error = await refusal(() => walk(new Map(whole).set('state/notes.txt', new Uint8Array())));
    expect(words(error)).toContain('state/notes.txt: tampered: is no file that keyturn writes');
  });

  test('a later segment cannot be read: only the beginning may be closed to us', async () => {
    const files = new Map(whole);
    const outsider = await person('outsider');
    const theirs: Files = new Map();
    await push(theirs, await empty(), { put: [record('A')] }, { recipients: [outsider.recipient] });
    files.set(path(3), theirs.get(path(1)) ?? new Uint8Array());
    expect(await refusal(() => walk(files))).toMatchObject({ code: 'NO_IDENTITY' });
  });
});
