import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { share } from '../src/share.ts';

describe('share', () => {
  it('changes nothing that anybody could see, and tells what is the same', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        const [now, before, text] = [structuredClone(a), structuredClone(b), JSON.stringify(a)];
        const same = share(now, before);
        expect(JSON.stringify(now)).toBe(text);
        expect(before).toEqual(b);
        if (same) expect(now).toEqual(before);
        expect(share(structuredClone(a), structuredClone(a))).toBe(true);
      }),
    );
  });

  it('keeps one of what two things have in common, which neither can change any more', () => {
    const before = { a: { list: ['x'], inner: { deep: 1 } }, b: [1, 2], c: undefined };
    const now = { a: { list: ['x'], inner: { deep: 1 } }, b: [1, 3], c: undefined };
    expect(share(now, before)).toBe(false);
    expect(now.a).toBe(before.a);
    expect(now.b).toEqual([1, 3]);
    expect(() => now.a.inner.deep++).toThrow(TypeError);
    expect(() => now.a.list.push('y')).toThrow(TypeError);
    const third = { a: { list: ['y'], inner: { deep: 1 } }, b: [1, 3], c: undefined };
    expect(share(third, now)).toBe(false);
    expect(third.a.inner).toBe(before.a.inner);
    expect(third.b).toBe(now.b);
    expect(share(Object.freeze(structuredClone(before)), before)).toBe(true);
  });

  it('takes what is there and undefined for something else than what is not there', () => {
    expect(share({ a: 1 }, { a: 1, b: undefined })).toBe(false);
    expect(share({ a: 1, b: undefined }, { a: 1 })).toBe(false);
    expect(share([], {})).toBe(false);
  });
});
