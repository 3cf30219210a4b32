import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Edit, edited, editsBetween, editsProblem } from '../../src/state/patch.ts';

const plain = (value: unknown): object => JSON.parse(JSON.stringify(value));
/** Few names and values, so that two objects have much in common. */
const objects = fc.object({
  key: fc.constantFrom('a', 'b', 'c', '1', '10', '2', '__proto__', 'toString', ''),
  values: [fc.constantFrom(null, 0, 1, 'x', true)],
  maxDepth: 3,
  withNullPrototype: false,
});

describe('edits', () => {
  it('make the one object of the other, and touch neither', () => {
    fc.assert(
      fc.property(objects, objects, (one, other) => {
        const [before, after] = [plain(one), plain(other)];
        const edits = editsBetween(before, after);
        expect(edits.length === 0 ? null : editsProblem(edits, '')).toBeNull();
        expect(JSON.stringify(edited(before, edits), sorted)).toBe(JSON.stringify(after, sorted));
        expect(JSON.stringify(before)).toBe(JSON.stringify(plain(one)));
        expect(edits.length === 0).toBe(JSON.stringify(before, sorted) === JSON.stringify(after, sorted));
      }),
      { numRuns: 500 },
    );
  });

  it('have one form: those of another change are refused, or are that change', () => {
    fc.assert(
      fc.property(objects, objects, objects, (one, other, third) => {
        const before = plain(one);
        const edits = editsBetween(plain(other), plain(third));
        const after = edited(before, edits);
        if (after !== null) expect(editsBetween(before, after)).toEqual(edits);
      }),
      { numRuns: 500 },
    );
  });

  it('are refused in any other form: other orders, edits inside of edits, of what is not there or is so already', () => {
    const path = fc.array(fc.constantFrom('a', 'b', 'c', '__proto__'), { minLength: 1, maxLength: 3 });
    const value = fc.oneof(fc.constantFrom(0, 1, null), fc.constant([1]), objects.map(plain));
    const edit = fc.oneof(fc.tuple(path), fc.tuple(path, value)) as fc.Arbitrary<Edit>;
    let taken = 0;
    fc.assert(
      fc.property(objects, fc.array(edit, { minLength: 1, maxLength: 3 }), (one, edits) => {
        const before = plain(one);
        const after = edited(before, edits);
        if (after === null) return;
        taken += 1;
        expect(editsBetween(before, after)).toEqual(edits);
      }),
      { numRuns: 3_000 },
    );
    expect(taken).toBeGreaterThan(100);
    const before = { a: { b: 1, c: [1] }, d: 0 };
    const refused: Edit[][] = [
      [
        [['d'], 1],
        [['a', 'b'], 2],
      ],
      [
        [['a', 'b'], 2],
        [['a', 'b'], 3],
      ],
      [
        [['a'], 1],
        [['a', 'b'], 2],
      ],
      [[['a', 'b'], 1]],
      [[['a', 'c'], [1]]],
      [[['a'], { b: 2, c: [1] }]],
      [[['e']]],
      [[['d', 'x'], 1]],
    ];
    for (const edits of refused) expect(edited(before, edits), JSON.stringify(edits)).toBeNull();
  });

  it('go as deep as both sides are objects, and replace lists whole', () => {
    const before = { a: { b: { c: 1, d: [1, 2] }, e: null }, f: 'x', g: {} };
    const after = { a: { b: { c: 1, d: [1] }, e: {} }, g: {}, h: null };
    const edits: Edit[] = [[['a', 'b', 'd'], [1]], [['a', 'e'], {}], [['f']], [['h'], null]];
    expect(editsBetween(before, after)).toEqual(edits);
    expect(edited(before, edits)).toEqual(after);
  });

  it('take a field that is undefined for none, and share nothing with what they were made of', () => {
    const before = { a: { b: 1, c: 2 }, d: 3 };
    const list = [{ e: 1 }];
    const after = { a: { b: 1, c: undefined }, d: undefined, f: undefined, g: { h: undefined, i: list } };
    const edits = editsBetween(before, after);
    expect(edits).toEqual([[['a', 'c']], [['d']], [['g'], { i: [{ e: 1 }] }]]);
    list[0] = { e: 2 };
    expect(edited(before, edits)).toEqual({ a: { b: 1 }, g: { i: [{ e: 1 }] } });
  });
});

/** Names in one order everywhere. */
function sorted(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const names = Object.keys(value).sort();
  return names.map((name) => [name, (value as Record<string, unknown>)[name]]);
}
