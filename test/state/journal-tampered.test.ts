import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Contents } from '../../src/state/envelope.ts';
import { fold, segmentPath } from '../../src/state/journal.ts';
import { open, seal } from '../../src/state/sealed.ts';
import { fuzzing } from '../fuzz/seeds.ts';
import { ballast, ci, empty, type Files, journal, push, withNewcomer } from './journals.ts';
import { person, reader, record, refusal } from './people.ts';

/** The same file with other contents, signed by the real signer: what only a bug or an insider can make. */
async function rewritten(files: Files, serial: number, change: Record<string, unknown>): Promise<Files> {
  const place = segmentPath(serial);
  const { envelope } = await open(files.get(place) ?? new Uint8Array(), {
    identity: ci.identity,
    place,
    expect: {},
  });
  const bytes = await seal({ ...envelope, ...change } as Contents, {
    recipients: [ci.recipient],
    signer: ci.signer,
  });
  return new Map(files).set(place, bytes);
}

describe('a journal that somebody touched', () => {
  const refused = async (files: Files, code = 'TAMPERED') => {
    const error = await refusal(() => fold(files, ci.identity));
    expect(error).toMatchObject({ code, exit: 3 });
    return error.message;
  };
  const without = (files: Files, ...serials: number[]) =>
    new Map([...files].filter(([path]) => !serials.includes(Number(path.slice(6, 14)))));
  const moved = (files: Files, from: number, to: number) =>
    new Map(files).set(segmentPath(to), files.get(segmentPath(from)) ?? new Uint8Array());

  it('is refused with a file missing, in the middle or at the start', async () => {
    const { files } = await journal(3);
    expect(await refused(without(files, 2))).toBe('state/00000002.age: tampered: is missing');
    expect(await refused(without(files, 2, 3))).toBe('state/00000002.age: tampered: is missing');
    expect(await refused(without(files, 1))).toContain(
      'state/00000002.age: tampered: is the oldest file of the state, but no snapshot',
    );
  });

  it('is refused with a file too many', async () => {
    const { files } = await journal(1);
    for (const path of [
      'state/README.md',
      'state/3.age',
      'state/00000000.age',
      'state/000000003.age',
      'state/x/00000003.age',
      'state/00000003.age.bak',
      'other/00000003.age',
      'state/00000001.AGE',
    ]) {
      expect(await refused(new Map(files).set(path, new Uint8Array()))).toBe(
        `${path}: tampered: is no file that keyturn writes`,
      );
    }
  });

  it('is refused with files under other serials', async () => {
    const { files } = await journal(3);
    expect(await refused(moved(files, 3, 5), 'WRONG_PLACE')).toContain(
      'state/00000005.age: wrong place: holds serial 3 where 5 belongs',
    );
    expect(await refused(moved(files, 3, 4), 'WRONG_PLACE')).toContain('holds serial 3 where 4 belongs');
    expect(await refused(moved(moved(files, 3, 2), 2, 3), 'WRONG_PLACE')).toContain(
      'state/00000002.age: wrong place: holds serial 3 where 2 belongs',
    );
  });

  it('is refused when two runners forked it', async () => {
    const { files, folded } = await journal(2);
    const fork = new Map(files);
    await push(fork, await fold(without(files, 3), ci.identity), { put: [record('EVIL')] });
    await push(files, folded, {});
    const mixed = new Map(files).set(segmentPath(3), fork.get(segmentPath(3)) ?? new Uint8Array());
    expect(await refused(mixed)).toBe(
      'state/00000004.age: tampered: does not follow from the file before it',
    );
  });

  it('is refused when an older snapshot, or one of another repository, is slipped in', async () => {
    const { files, folded } = await journal(2);
    const after = new Map(files);
    await push(after, folded, {}, withNewcomer);
    expect([...after.keys()]).toEqual([segmentPath(4)]);
    expect(await refused(new Map([...files, ...after]))).toBe(
      'state/00000001.age: tampered: is older than the snapshot state/00000004.age, which replaced it',
    );
    const other: Files = new Map();
    await push(
      other,
      await push(other, await empty(), { put: ballast() }, { newRepo: () => 'LINEAGE2' }),
      {},
    );
    const swapped = new Map(files).set(segmentPath(2), other.get(segmentPath(2)) ?? new Uint8Array());
    expect(await refused(swapped, 'WRONG_PLACE')).toContain(
      'state/00000002.age: wrong place: belongs to the state of another repository',
    );
  });

  it('is refused when an outsider forged a segment with everything right but the signature', async () => {
    const { files, folded } = await journal(1);
    const [eve, impostor] = [await person('eve'), await person('ci')];
    const change = { put: [record('A')] };
    const forged = new Map(files);
    await push(forged, folded, change, { signer: eve.signer });
    expect(await refused(forged, 'UNKNOWN_SIGNER')).toContain('state/00000003.age: is signed by eve');
    const posed = new Map(files);
    await push(posed, folded, change, { signer: impostor.signer });
    expect(await refused(posed)).toContain('has a signature that ci did not make');
  });

  it('is refused with any flipped bit, wherever it is', async () => {
    const { files } = await journal(2);
    const paths = [...files.keys()];
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...paths), fc.nat(), fc.nat(7), async (path, where, bit) => {
        const bytes = Uint8Array.from(files.get(path) ?? []);
        const index = where % bytes.length;
        bytes[index] = (bytes[index] ?? 0) ^ (1 << bit);
        expect((await refusal(() => fold(new Map(files).set(path, bytes), ci.identity))).subject).toBe(path);
      }),
      fuzzing(100),
    );
  });

  it('is refused with a record that is none, even well signed', async () => {
    const { files } = await journal(1);
    const good = record('S1');
    const version = good.versions[1];
    const bad: Record<string, unknown>[] = [
      { fmt: 1 },
      { patch: undefined },
      { kind: 'snapshot' },
      { put: { S1: { ...good, uid: 'S2' } } },
      { put: { S1: { ...good, current: 3 } } },
      { put: { S1: { ...good, versions: { 1: { ...version, stage: 'live' } } } } },
      { put: { S1: { ...good, versions: { 1: { ...version, file: 'sha256:xyz' } } } } },
      { put: { S1: { ...good, versions: { '01': version } } } },
      { put: { S1: { ...good, binding: { ...good.binding, port: '3306' } } } },
      { put: { S1: { ...good, extra: 1 } } },
      { put: { S1: { ...good, health: undefined } } },
      { put: { S1: null } },
      { put: [] },
      { drop: ['S1'] },
      { drop: [1] },
      { put: { S1: { ...good, name: 'prod/B0' } } },
      { at: 'yesterday' },
      { kind: 'other' },
      { extra: true },
    ];
    for (const change of bad) {
      const message = await refused(await rewritten(files, 2, change), 'DAMAGED');
      expect(message, JSON.stringify(change)).toMatch(
        /^state\/00000002.age: tampered: (does not hold what keyturn writes, at |gives two)/,
      );
    }
    expect((await fold(await rewritten(files, 2, {}), ci.identity)).state.serial).toBe(2);
    for (const change of [{ fmt: 2 }, { patch: {} }])
      expect(await refused(await rewritten(files, 1, change), 'DAMAGED')).toMatch(/at state\.(fmt|patch)$/);
  });

  it('is refused with a change of a record that nobody writes, even well signed', async () => {
    const files: Files = new Map();
    const was = record('A', { protected: true });
    const first = await push(files, await empty(), { put: [...ballast(), was] });
    const becomes = {
      ...record('A', { target: 'new', health: 'drift' }),
      readerNames: { [`fp:${'0'.repeat(16)}`]: 'a' },
    };
    await push(files, first, { put: [becomes] });
    const edits = [
      [['health'], 'drift'],
      [['protected']],
      [['readerNames'], becomes.readerNames],
      [['target'], 'new'],
    ];
    const [health, gone, names, target] = edits;
    expect(
      (await fold(await rewritten(files, 2, { patch: { A: edits } }), ci.identity)).state.records.A,
    ).toEqual(becomes);
    const whole = 'does not hold what keyturn writes, at state.';
    const odd = 'changes the record A in a way that keyturn does not write';
    const bad: [change: Record<string, unknown>, what: string][] = [
      [{ patch: { X: edits } }, 'changes the record X, which there is not'],
      [{ put: { A: becomes }, patch: {} }, 'writes the record A, which there is already'],
      [{ put: { A: becomes }, patch: { A: edits } }, `${whole}patch`],
      [{ patch: { A: edits }, drop: ['A'] }, `${whole}drop`],
      [{ put: { A: becomes }, patch: {}, drop: ['A'] }, `${whole}drop`],
      [{ patch: { A: [] } }, `${whole}patch.A`],
      [{ patch: { A: {} } }, `${whole}patch.A`],
      [{ patch: { A: [[[]]] } }, `${whole}patch.A.0`],
      [{ patch: { A: [[['health'], 'drift', 1]] } }, `${whole}patch.A.0`],
      [{ patch: { A: [['health', 'drift']] } }, `${whole}patch.A.0`],
      [{ patch: { A: [[[1], 'drift']] } }, `${whole}patch.A.0`],
      [{ patch: { A: [health, { target: 'new' }] } }, `${whole}patch.A.1`],
      // without effect, twice, out of order, of a field or a place that is not there, too shallow, within a plain value
      [{ patch: { A: [[['target'], was.target]] } }, odd],
      [{ patch: { A: [health, health] } }, odd],
      [{ patch: { A: [target, names, gone, health] } }, odd],
      [{ patch: { A: [[['approved']]] } }, odd],
      [{ patch: { A: [[['hosts', 'h', 'v'], 1]] } }, odd],
      [{ patch: { A: [[['binding'], { ...was.binding, port: 1 }]] } }, odd],
      [{ patch: { A: [[['target', '0'], 'x']] } }, odd],
      [{ patch: { A: [[['__proto__', 'health'], 'drift']] } }, odd],
      // whose result is no record, or another one
      [{ patch: { A: [[['current'], 9]] } }, `${whole}patch.A.current`],
      [{ patch: { A: [[['health']]] } }, `${whole}patch.A.health`],
      [{ patch: { A: [[['extra'], 1]] } }, `${whole}patch.A`],
      [{ patch: { A: [[['__proto__'], {}]] } }, `${whole}patch.A`],
      [{ patch: { A: [[['uid'], 'B']] } }, `${whole}patch.A.uid`],
      [{ patch: { A: [[['name'], 'prod/B0']] } }, 'gives two records the same name'],
    ];
    for (const [change, what] of bad)
      expect(await refused(await rewritten(files, 2, change), 'DAMAGED'), JSON.stringify(change)).toBe(
        `state/00000002.age: tampered: ${what}`,
      );
  });

  it('is read where an older keyturn wrote whole records for every change', async () => {
    const { files, folded } = await journal(1);
    const changed = record('S1', { target: 'new' });
    await push(files, folded, { put: [changed] });
    const old = await rewritten(files, 3, { fmt: 1, put: { S1: changed }, patch: undefined });
    const state = await fold(old, ci.identity);
    expect(state.state.records).toEqual({ ...folded.state.records, S1: changed });
    const after: Files = new Map(old);
    const next = await push(after, state, { put: [record('S1', { target: 'newer' })] });
    expect(await fold(after, ci.identity)).toEqual(next);
  });

  it('tells a stranger that it is not encrypted to them', async () => {
    const { files } = await journal(1);
    const eve = await reader([ci]);
    expect(await refusal(() => fold(files, eve.identity))).toMatchObject({
      code: 'NO_IDENTITY',
      subject: 'state/00000001.age',
      exit: 1,
    });
  });
});
