import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { PasswordPolicy } from '../src/manifests/model.ts';
import { drawPassword, policyProblem, type Random, strengthen } from '../src/password.ts';
import { Secret } from '../src/secret.ts';
import type { ValueConstraints } from '../src/targets/driver.ts';

const printable = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index)).join('');
const anything: ValueConstraints = { alphabet: printable, maxLength: 128 };

const policy = (change: Partial<PasswordPolicy> = {}): PasswordPolicy => ({
  length: 32,
  lowercase: true,
  uppercase: true,
  numbers: true,
  symbols: true,
  exclude: '',
  ...change,
});

/** The same bytes for the same seed: SHA-256 in counter mode. Counts what was asked for. */
function seeded(seed: number): { random: Random; asked: () => number } {
  let counter = 0;
  let asked = 0;
  const random: Random = (bytes) => {
    asked += bytes;
    const blocks = Array.from({ length: Math.ceil(bytes / 32) }, () =>
      createHash('sha256').update(`${seed}:${counter++}`).digest(),
    );
    return new Uint8Array(Buffer.concat(blocks).subarray(0, bytes));
  };
  return { random, asked: () => asked };
}

const draw = (of: PasswordPolicy, constraints: ValueConstraints, seed: number): string =>
  drawPassword(of, constraints, seeded(seed).random).reveal();

const kinds = { lowercase: /[a-z]/, uppercase: /[A-Z]/, numbers: /[0-9]/, symbols: /[^A-Za-z0-9]/ };
const names = ['lowercase', 'uppercase', 'numbers', 'symbols'] as const;

const policies = fc.record({
  length: fc.integer({ min: 0, max: 70 }),
  lowercase: fc.boolean(),
  uppercase: fc.boolean(),
  numbers: fc.boolean(),
  symbols: fc.boolean(),
  exclude: fc.oneof(fc.constant(''), fc.string({ maxLength: 60 })),
});
const constraints = fc.record({
  alphabet: fc.oneof(
    fc.constant(printable),
    fc.subarray([...printable], { minLength: 1 }).map((characters) => characters.join('')),
  ),
  maxLength: fc.integer({ min: 8, max: 64 }),
});

describe('a drawn value', () => {
  test('satisfies policy and constraints, or the problem is told', () => {
    let drawn = 0;
    fc.assert(
      fc.property(policies, constraints, fc.nat(), (of, taken, seed) => {
        const problem = policyProblem(of, taken);
        if (problem !== null) {
          expect(() => draw(of, taken, seed)).toThrow(problem);
          return;
        }
        drawn++;
        const value = draw(of, taken, seed);
        expect(value).toHaveLength(of.length);
        expect([...value].every((character) => taken.alphabet.includes(character))).toBe(true);
        expect([...value].some((character) => of.exclude.includes(character))).toBe(false);
        for (const name of names) expect([name, kinds[name].test(value)]).toEqual([name, of[name]]);
        expect(value).toMatch(of.lowercase || of.uppercase ? /^[A-Za-z].*[A-Za-z0-9]$/s : /^[0-9].*[0-9]$/s);
      }),
      { numRuns: 3000 },
    );
    expect(drawn).toBeGreaterThan(300);
  });

  test('is a Secret, so that it cannot be printed', () => {
    const secret = drawPassword(policy(), anything, seeded(1).random);
    expect(secret).toBeInstanceOf(Secret);
    expect(`${secret} ${JSON.stringify(secret)}`).toBe('[secret] "[secret]"');
  });

  test('is uniform over the alphabet and its first letter over the letters', () => {
    const of = policy({ length: 40, numbers: false, symbols: false });
    const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
    const { random } = seeded(42);
    const values = Array.from({ length: 4000 }, () => drawPassword(of, anything, random).reveal());
    // 51 degrees of freedom: 99.99 % of all fair samples lie below 96.
    expect(chiSquare(values.map((value) => value.slice(0, 1)).join(''), letters)).toBeLessThan(96);
    expect(chiSquare(values.map((value) => value.slice(1)).join(''), letters)).toBeLessThan(96);
  });

  test('takes each digit place alike, with no byte folded over', () => {
    const digits = policy({ lowercase: false, uppercase: false, symbols: false, length: 100 });
    const { random } = seeded(7);
    const all = Array.from({ length: 500 }, () => drawPassword(digits, anything, random).reveal()).join('');
    // 9 degrees of freedom: 99.99 % below 34.
    expect(chiSquare(all, '0123456789')).toBeLessThan(34);
  });

  test('needs few draws even where the rarest classes have one character each', () => {
    const narrow = policy({ length: 8, exclude: '123456789' });
    const taken = { alphabet: 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0_', maxLength: 8 };
    for (let seed = 0; seed < 200; seed++) {
      const { random, asked } = seeded(seed);
      drawPassword(narrow, taken, random);
      expect(asked()).toBeLessThan(2000 * 16);
    }
  });

  test('a source of unusable bytes is told instead of asked for ever', () => {
    const stuck: Random = (bytes) => new Uint8Array(bytes).fill(255);
    expect(() => drawPassword(policy(), anything, stuck)).toThrow('random source: gives no usable bytes');
  });

  test('a source that never makes a required class ends too', () => {
    const zeros: Random = (bytes) => new Uint8Array(bytes);
    expect(() => drawPassword(policy(), anything, zeros)).toThrow('no value satisfied it in 10000 draws');
  });

  test('leaves no bytes behind that it was drawn from', () => {
    const handed: Uint8Array[] = [];
    const { random } = seeded(3);
    drawPassword(policy(), anything, (bytes) => {
      const drawn = random(bytes);
      handed.push(drawn);
      return drawn;
    });
    expect(handed.length).toBeGreaterThan(0);
    expect(handed.every((bytes) => bytes.every((byte) => byte === 0))).toBe(true);
  });
});

function chiSquare(sample: string, alphabet: string): number {
  const expected = sample.length / alphabet.length;
  const counts = new Map<string, number>();
  for (const character of sample) counts.set(character, (counts.get(character) ?? 0) + 1);
  return [...alphabet].reduce(
    (sum, character) => sum + ((counts.get(character) ?? 0) - expected) ** 2 / expected,
    0,
  );
}

describe('an unsatisfiable policy', () => {
  test.each<[string, PasswordPolicy, ValueConstraints, string]>([
    ['too short', policy({ length: 7 }), anything, 'length 7 is below the minimum of 8'],
    ['too long', policy(), { ...anything, maxLength: 30 }, 'length 32 is above the 30 that the target takes'],
    [
      'nothing allowed',
      policy({ lowercase: false, uppercase: false, numbers: false, symbols: false }),
      anything,
      'no kind of character is allowed',
    ],
    [
      'a class excluded',
      policy({ exclude: '0123456789' }),
      anything,
      'numbers are required, but none is left',
    ],
    [
      'a class not taken',
      policy(),
      { alphabet: 'abcABC123', maxLength: 64 },
      'symbols are required, but none is left',
    ],
    [
      'symbols alone',
      policy({ lowercase: false, uppercase: false, numbers: false }),
      anything,
      'symbols alone are not enough',
    ],
  ])('%s', (_, of, taken, problem) => {
    expect(policyProblem(of, taken)).toContain(problem);
    expect(() => draw(of, taken, 1)).toThrow(`passwordPolicy: ${problem}`);
  });
});

describe('after a refusal', () => {
  test('the policy gets longer, and takes in no class that the manifest leaves out', () => {
    const weak = policy({ length: 16, symbols: false, numbers: false, exclude: 'O0' });
    expect(strengthen(weak, 0, anything)).toEqual(weak);
    expect(strengthen(weak, 1, anything)).toEqual({ ...weak, length: 20 });
    expect(strengthen(weak, 3, { ...anything, maxLength: 25 }).length).toBe(25);
  });

  test('a satisfiable policy stays satisfiable, excludes what it excluded, and never gets shorter', () => {
    fc.assert(
      fc.property(policies, constraints, fc.integer({ min: 0, max: 5 }), (of, taken, refusals) => {
        fc.pre(policyProblem(of, taken) === null);
        const stricter = strengthen(of, refusals, taken);
        expect(policyProblem(stricter, taken)).toBeNull();
        expect(stricter.length).toBeGreaterThanOrEqual(of.length);
        expect(stricter.exclude).toBe(of.exclude);
      }),
    );
  });
});
