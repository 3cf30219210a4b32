import { format, inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { conceal, redact } from '../src/redact.ts';
import { Secret } from '../src/secret.ts';

const plaintext = 'k"9/ü+{x}&y z';

describe('a secret', () => {
  const secret = new Secret(plaintext);

  test.each<[string, () => string]>([
    ['toString', () => secret.toString()],
    ['String', () => String(secret)],
    ['a template', () => `${secret}`],
    ['concatenation', () => ''.concat(secret as unknown as string)],
    ['join', () => [secret].join()],
    ['JSON', () => JSON.parse(JSON.stringify(secret))],
    ['JSON of an object around it', () => JSON.parse(JSON.stringify({ secret })).secret],
    ['inspect', () => inspect(secret)],
    [
      'inspect with everything shown',
      () => inspect(secret, { showHidden: true, depth: null, customInspect: true }),
    ],
    ['format %s', () => format('%s', secret)],
    ['format %o', () => format('%o', secret)],
    ['format %j', () => JSON.parse(format('%j', secret))],
    ['toPrimitive', () => secret[Symbol.toPrimitive]()],
  ])('prints as [secret] by %s', (_, print) => {
    expect(print()).toBe('[secret]');
  });

  test('holds nothing that can be enumerated, spread, cloned or assigned', () => {
    expect(Object.keys(secret)).toEqual([]);
    expect(Object.getOwnPropertyNames(secret)).toEqual([]);
    expect(Object.getOwnPropertySymbols(secret)).toEqual([]);
    expect({ ...secret }).toEqual({});
    expect(inspect(structuredClone(secret))).not.toContain(plaintext);
    expect(inspect(secret, { customInspect: false, showHidden: true })).not.toContain(plaintext);
    expect(inspect(new Error('no', { cause: secret }))).not.toContain(plaintext);
  });

  test('is a number to nobody', () => {
    expect(Number(secret)).toBeNaN();
  });

  test('reveals its plaintext and length to whoever asks by name', () => {
    expect(secret.reveal()).toBe(plaintext);
    expect(secret.length).toBe(plaintext.length);
    expect(new Secret('').reveal()).toBe('');
  });

  test('two with the same plaintext are two', () => {
    const other = new Secret(plaintext);
    expect(other).not.toBe(secret);
    expect(other.reveal()).toBe(secret.reveal());
  });
});

describe('the redactor knows of a value', () => {
  new Secret(plaintext);
  const bytes = Buffer.from(plaintext);

  test.each([
    ['itself', plaintext],
    ['base64', bytes.toString('base64')],
    ['base64url', bytes.toString('base64url')],
    ['hex', bytes.toString('hex')],
    ['its URL form', encodeURIComponent(plaintext)],
    ['its JSON form', JSON.stringify(plaintext).slice(1, -1)],
  ])('%s', (_, form) => {
    expect(redact(form)).toBe('[secret]');
    expect(redact(`a ${form} b ${form}${form}.`)).toBe('a [secret] b [secret][secret].');
  });

  test('but leaves everything else as it was', () => {
    for (const text of ['', 'a', 'k"9/', plaintext.slice(1), plaintext.slice(0, -1), 'an ordinary line\n'])
      expect(redact(text)).toBe(text);
  });
});

describe('the redactor', () => {
  test('takes no value shorter than five characters', () => {
    conceal('abcd');
    conceal('qwxyz');
    expect(redact('abcd qwxyz')).toBe('abcd [secret]');
  });

  test('prefers the longer of two that begin alike, in whatever order it learnt them', () => {
    conceal('prefix-one');
    conceal('prefix-one-and-more');
    conceal('prefix-on');
    expect(redact('prefix-one-and-more, prefix-one, prefix-on')).toBe('[secret], [secret], [secret]');
  });

  test('leaves no rest where two overlap', () => {
    conceal('left-middle');
    conceal('middle-right');
    expect(redact('<left-middle-right>')).toBe('<[secret]>');
    expect(redact('<left-middlemiddle-right>')).toBe('<[secret][secret]>');
  });

  test('does not read what it wrote itself', () => {
    conceal('secret');
    expect(redact('prefix-one')).toBe('[secret]');
  });

  test('knows each long line of a value with several, but not the lines that name its kind', () => {
    const [first, second] = ['MIIEvQIBADANBgkqhkiG9w0B', 'AQEFAASCBKcwggSjAgEAAoIB'];
    const begin = '-----BEGIN PRIVATE KEY-----';
    conceal(`${begin}\r\n${first}\n${second}\nshort-line=\n-----END PRIVATE KEY-----\n`);
    expect(redact(`${begin} ${first}`)).toBe(`${begin} [secret]`);
    expect(redact(Buffer.from(second ?? '').toString('base64'))).toBe('[secret]');
    expect(redact('short-line=')).toBe('short-line=');
  });

  test('bears half a surrogate pair', () => {
    conceal('half \ud800 a pair');
    expect(redact('half \ud800 a pair')).toBe('[secret]');
  });

  test('lets no value through, wherever it stands', () => {
    const value = fc
      .string({ minLength: 8, maxLength: 40, unit: 'grapheme' })
      .filter((v) => v.trim().length > 7);
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 1, maxLength: 5 }),
        fc.array(fc.string()),
        (values, between) => {
          for (const one of values) conceal(one);
          const text = values.map((one, index) => `${between[index] ?? ''}${one}`).join('');
          const clean = redact(text);
          for (const one of values) expect(clean).not.toContain(one);
        },
      ),
    );
  });

  test('tells many values that begin alike apart', () => {
    const values = Array.from({ length: 2000 }, (_, index) => `alike-${index}-${'x'.repeat(index % 7)}`);
    for (const value of values) conceal(value);
    expect(redact(values.join('\n'))).toBe(values.map(() => '[secret]').join('\n'));
    expect(redact('alike-2000-')).toBe('alike-2000-');
  });
});
