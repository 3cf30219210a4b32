import { expect, test } from 'vitest';
import { relative, span } from '../../src/engine/words.ts';
import { day, hour, minute } from './schedules.ts';

test('times in words', () => {
  const now = new Date('2026-01-10T12:00:00Z');
  const when = (milliseconds: number): string => relative(new Date(now.getTime() + milliseconds), now);
  expect([
    when(-3 * day - hour),
    when(5 * hour + 59 * minute),
    when(-90 * minute),
    when(20_000),
    when(999),
  ]).toEqual(['3d ago', 'in 5h', '1h ago', 'in 20s', 'now']);
  expect([span(day), span(2 * day), span(59_999), span(15 * minute), span(0)]).toEqual([
    '24h',
    '2d',
    '59s',
    '15m',
    '0s',
  ]);
});
