import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readCanonical } from '../../src/state/canonical.ts';

/** As large as what is read in parts. */
const filler = 'x'.repeat(70_000);

/** What the whole text says by itself: the judge of what reading it in parts finds. */
function judged(text: string): { value: unknown; canonical: boolean } | 'no JSON' {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'no JSON';
  }
  try {
    return { value, canonical: canonicalize(value) === text };
  } catch {
    return { value, canonical: false };
  }
}

function read(text: string): ReturnType<typeof judged> {
  try {
    return readCanonical(Buffer.from(text));
  } catch (error) {
    expect(error).toBeInstanceOf(SyntaxError);
    return 'no JSON';
  }
}

const records = fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue());
const segment = fc.record({ a: fc.jsonValue(), put: fc.oneof(records, fc.dictionary(fc.string(), records)) });

describe('canonical JSON', () => {
  it('is read as it is, in parts or whole', () => {
    fc.assert(
      fc.property(segment, fc.constantFrom(filler, ''), fc.constantFrom('A', 'z'), (value, more, at) => {
        const text = canonicalize({ ...value, [at]: more }) ?? '';
        expect(read(text)).toEqual({ value: JSON.parse(text), canonical: true });
      }),
      { numRuns: 300 },
    );
  });

  it('is told from white space in what is empty', () => {
    for (const text of ['{"a":{\n},"put":{},"zz":', '{"a":{},"put":{ },"zz":', '{ "a":1,"zz":']) {
      const whole = `${text}${JSON.stringify(filler)}}`;
      expect(read(whole)).toEqual({ value: JSON.parse(whole), canonical: false });
    }
  });

  it('is told from every other spelling, wherever a large text was changed', () => {
    const characters = [
      '"',
      '\\',
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      ' ',
      '0',
      '1',
      '-',
      'e',
      'a',
      '\n',
      '\u0000',
    ];
    const escapes = [
      '\\u0061',
      '\\ud800',
      '\ufeff',
      '__proto__',
      '"a":1,',
      ',"a":1',
      '{}',
      '[]',
      'null',
      '1.0',
    ];
    fc.assert(
      fc.property(
        segment,
        fc.nat(),
        fc.nat(3),
        fc.constantFrom('', ...characters, ...escapes),
        (value, where, cut, put) => {
          const whole = canonicalize({ ...value, zz: filler }) ?? '';
          const at = where % (whole.length - filler.length);
          const text = `${whole.slice(0, at)}${put}${whole.slice(at + cut)}`;
          fc.pre(text.isWellFormed());
          expect(read(text), text.slice(0, at + 40)).toEqual(judged(text));
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('refuses names that stand twice or in another order, at every level', () => {
    for (const put of [
      '{"a":1,"a":1}',
      '{"b":1,"a":1}',
      '{"r":{"a":1,"a":1}}',
      '{"r":{"b":1,"a":1}}',
      '{"r":{"s":{"b":1,"a":1}}}',
      '{"\\u0061":1}',
      '{"a":1,}',
      '{"a":1 }',
    ])
      expect(read(`{"put":${put},"z":"${filler}"}`), put).toEqual(judged(`{"put":${put},"z":"${filler}"}`));
    const twice = read(`{"put":{"a":1,"a":1},"z":"${filler}"}`);
    expect(twice).toMatchObject({ canonical: false });
  });

  it('keeps names that objects have already', () => {
    const text = `{"put":{"__proto__":{"a":1},"constructor":{"b":2}},"z":"${filler}"}`;
    const { value } = readCanonical(Buffer.from(text));
    expect(JSON.stringify(value)).toBe(text);
    expect(Object.getPrototypeOf((value as { put: object }).put)).toBe(Object.prototype);
  });

  it('refuses bytes that are no UTF-8', () => {
    const text = Buffer.from(`{"a":"${filler}"}`);
    text[70_000] = 0xff;
    expect(() => readCanonical(text)).toThrow(SyntaxError);
  });
});
