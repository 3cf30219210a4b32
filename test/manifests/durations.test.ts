import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDuration, parseDuration } from '../../src/manifests/durations.ts';

describe('durations', () => {
  it.each([
    ['30d', 2_592_000_000],
    ['24h', 86_400_000],
    ['90m', 5_400_000],
    ['45s', 45_000],
    ['500ms', 500],
    ['0s', 0],
  ])('%s is %d ms and comes back as written', (word, ms) => {
    expect(parseDuration(word)).toBe(ms);
    expect(formatDuration(ms)).toBe(word);
  });

  it.each(['', '30', '1.5h', '-1d', '01d', '1d2h', ' 1d', '1 d', '1w', '1D', '99999999999999999d', '1d\n'])(
    'refuses %j',
    (word) => expect(parseDuration(word)).toBeUndefined(),
  );

  it('formatting and parsing are inverse', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 45 }), (ms) => {
        expect(parseDuration(formatDuration(ms))).toBe(ms);
      }),
    );
  });

  it('no other word of the same length in units is shorter, but for one day', () => {
    const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
    const one = fc.tuple(fc.integer({ min: 1, max: 9999 }), fc.constantFrom(...Object.entries(units)));
    fc.assert(
      fc.property(one, ([count, [unit, size]]) => {
        fc.pre(count * size !== units.d);
        expect(formatDuration(count * size).length).toBeLessThanOrEqual(`${count}${unit}`.length);
      }),
    );
  });
});
