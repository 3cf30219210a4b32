import { decodeTime, isValid } from 'ulid';
import { expect, it } from 'vitest';
import { idsOf } from '../src/ids.ts';

const clockAt = (times: number[]) => ({
  now: () => new Date(times.shift() ?? 0),
  monotonic: () => 0,
  sleep: async () => undefined,
});

it('ids say when they were made, sort as they were, and share what was drawn', () => {
  const times = [...Array<number>(40).fill(1_800_000_000_000), 1_800_000_000_001, 1_800_003_600_000];
  const ids = times.map(() => '');
  const next = idsOf(clockAt([...times]));
  for (const index of ids.keys()) ids[index] = next();
  expect(ids.every(isValid)).toBe(true);
  expect(ids.map(decodeTime)).toEqual(times);
  expect(new Set(ids).size).toBe(times.length);
  expect(ids.toSorted()).toEqual(ids);
  expect(new Set(ids.map((id) => id.slice(10, 22))).size).toBeLessThanOrEqual(2);
});

it('ids of two runs share nothing', () => {
  const [one, other] = [idsOf(clockAt([7])), idsOf(clockAt([7]))];
  expect(one().slice(10, 22)).not.toBe(other().slice(10, 22));
});
