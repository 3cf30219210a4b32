import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fingerprint } from '../../src/age/fingerprint.ts';
import { append, fold, segmentPath } from '../../src/state/journal.ts';
import type { SecretRecord } from '../../src/state/model.ts';
import { digest } from '../../src/state/sealed.ts';
import { openSegment } from '../../src/state/segment.ts';
import { ci, empty, type Files, journal, options, push, withNewcomer } from './journals.ts';
import { reader, record, refusal } from './people.ts';

describe('fold and append', () => {
  it('starts empty, then with a snapshot of a new lineage', async () => {
    const nothing = await empty();
    expect(nothing).toEqual({
      state: { repo: '', serial: 0, head: '', records: {} },
      tail: { count: 0, bytes: 0, snapshotBytes: 0, fmt: 0, readers: [], paths: [] },
    });
    const files: Files = new Map();
    const first = await push(files, nothing, { put: [record('A')] });
    const bytes = files.get('state/00000001.age') ?? new Uint8Array();
    expect(first.state).toEqual({
      repo: 'LINEAGE1',
      serial: 1,
      head: digest(bytes),
      records: { A: record('A') },
    });
    expect(first.tail).toEqual({
      count: 0,
      bytes: 0,
      snapshotBytes: bytes.length,
      fmt: 3,
      readers: [fingerprint(ci.recipient)],
      paths: ['state/00000001.age'],
    });
    const second = await push(files, first, {}, { newRepo: () => 'OTHER' });
    expect(second.state.repo).toBe('LINEAGE1');
  });

  it('is the model, for every sequence of changes', async () => {
    const uid = fc.constantFrom('A', 'B', 'C', 'D', 'E');
    const step = fc.record({
      put: fc.uniqueArray(fc.tuple(uid, fc.nat(9)), { selector: ([id]) => id, maxLength: 3 }),
      drop: fc.array(uid, { maxLength: 2 }),
      snapshot: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const files: Files = new Map();
        const model = new Map<string, SecretRecord>();
        let folded = await empty();
        for (const { put, drop, snapshot } of steps) {
          const records = put.map(([id, n]) => record(id, { target: `t${n}` }));
          const gone = drop.filter((id) => !put.some(([other]) => other === id));
          folded = await push(files, folded, { put: records, drop: gone }, snapshot ? withNewcomer : {});
          for (const id of gone) model.delete(id);
          for (const one of records) model.set(one.uid, one);
          expect(folded.state.records).toEqual(Object.fromEntries(model));
          expect(await fold(files, ci.identity)).toEqual(folded);
        }
        expect(folded.state.serial).toBe(steps.length);
      }),
      { numRuns: 25 },
    );
  });

  it('merges runners that replay on the new tip: their union, in any order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray(['A', 'B', 'C', 'D'], { minLength: 4 }), async (order) => {
        const files: Files = new Map();
        let tip = await push(files, await empty(), {});
        for (const uid of order)
          tip = await push(files, await fold(files, ci.identity), { put: [record(uid)] });
        expect(Object.keys(tip.state.records)).toEqual(['A', 'B', 'C', 'D']);
        expect(await fold(files, ci.identity)).toEqual(tip);
      }),
      { numRuns: 8 },
    );
  });

  it('shares nothing with what it was given', async () => {
    const mine = record('A');
    const { next } = await append(await empty(), { put: [mine], drop: [] }, options());
    mine.sched.failures = 9;
    expect(next.state.records.A?.sched.failures).toBe(0);
  });

  it('writes a snapshot after 128 segments and one more, and removes the tail', async () => {
    const files: Files = new Map();
    const noise = Array.from({ length: 1000 }, (_, index) =>
      record(`B${index}`, { specDigest: digest(Buffer.from(`${index}`)) }),
    );
    let folded = await push(files, await empty(), { put: noise });
    for (let index = 1; index <= 129; index += 1) {
      folded = await push(files, folded, {});
      expect(folded.tail.count).toBe(index);
    }
    expect(folded.tail.bytes).toBeLessThan(4 * folded.tail.snapshotBytes);
    expect(files.size).toBe(130);
    folded = await push(files, folded, { put: [record('NEW')] });
    expect([...files.keys()]).toEqual([segmentPath(131)]);
    expect(folded.tail).toMatchObject({ count: 0, bytes: 0, paths: [segmentPath(131)] });
    const again = await fold(files, ci.identity);
    expect(again).toEqual(folded);
    expect(Object.keys(again.state.records)).toHaveLength(noise.length + 1);
  });

  it.each([
    ['four times the snapshot', 24_000],
    ['64 KiB, where the snapshot is a small one', 1_000],
  ])('writes a snapshot when the tail outweighs %s', async (_, size) => {
    const files: Files = new Map();
    const noise = (bytes: number): string => randomBytes(bytes).toString('hex');
    let folded = await push(files, await empty(), {
      put: [record('A'), record('B', { target: noise(size) })],
    });
    const counts: number[] = [];
    for (let index = 0; index < 16; index += 1) {
      const { bytes, snapshotBytes } = folded.tail;
      const outweighs = bytes > 4 * snapshotBytes && bytes > 64 * 1024;
      folded = await push(files, folded, { put: [record('A', { target: noise(8_000) })] });
      expect(folded.tail.count === 0).toBe(outweighs);
      counts.push(folded.tail.count);
    }
    expect(counts).toContain(0);
    expect(Math.max(...counts)).toBeGreaterThan(5);
  });

  it('writes a snapshot for new recipients', async () => {
    const { files, folded } = await journal(2);
    const planner = await reader([ci]);
    const next = await push(files, folded, {}, { recipients: [ci.recipient, planner.recipient] });
    expect(files.size).toBe(1);
    expect(await fold(files, planner.identity)).toEqual(next);
  });

  it('grows with the change, not with what exists', async () => {
    const { files } = await journal(1);
    const [snapshot, segment] = [files.get(segmentPath(1)), files.get(segmentPath(2))];
    expect((segment?.length ?? 0) * 3).toBeLessThan(snapshot?.length ?? 0);
  });

  it('writes new records whole, of others what changed, and nothing of what is as it was', async () => {
    const { files, folded } = await journal(2);
    const put = [record('S1', { current: 1, target: 'else' }), record('S2'), record('NEW')];
    await push(files, folded, { put });
    const path = segmentPath(4);
    const { segment } = await openSegment(files.get(path) ?? new Uint8Array(), {
      ...{ path, serial: 4, identity: ci.identity },
    });
    expect(segment.fmt).toBe(3);
    expect(segment.put).toEqual({ NEW: record('NEW') });
    expect(segment.patch).toEqual({ S1: [[['target'], 'else']] });
  });

  it('refuses a ninth digit and a malformed change', async () => {
    const folded = await push(new Map(), await empty(), { put: [record('A')] });
    const full = { ...folded, state: { ...folded.state, serial: 99_999_999 } };
    expect((await refusal(() => append(full, { put: [], drop: [] }, options()))).what).toContain('99999999');
    const malformed: SecretRecord[][] = [
      [record('A', { current: 2 })],
      [record('A', { health: 'fine' as 'ok' })],
      [record('no/uid')],
      [record('A'), record('A')],
      [{ ...record('A'), surprise: 1 } as SecretRecord],
    ];
    for (const put of malformed) {
      await expect(append(folded, { put, drop: [] }, options())).rejects.toThrow(
        'append of a malformed change',
      );
    }
    await expect(append(folded, { put: [record('A')], drop: ['A'] }, options())).rejects.toThrow(
      'append of a malformed change: segment.drop',
    );
  });
});
