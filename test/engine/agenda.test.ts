import { describe, expect, test } from 'vitest';
import { agenda } from '../../src/engine/agenda.ts';
import type { RotatedSecret, Schedule } from '../../src/manifests/model.ts';
import { day, hour, schedule } from './schedules.ts';
import { desired, record, secret, state, target, version } from './wishes-and-records.ts';

const promoted = (at: string) => ({ 3: version({ stage: 'current', createdAt: at, promotedAt: at }) });

/** `when secret vN: notes` of secrets `[name, promoted at, schedule]` in the days from `from`. */
function lines(
  secrets: [name: string, promotedAt: string, of: Partial<Schedule>][],
  from: string,
  days: number,
  more: Partial<RotatedSecret> = {},
): string[] {
  const wants = desired(
    secrets.map(([name, , of]) => secret({ name, schedule: schedule(of), ...more })),
    {
      targets: [
        target({ credentials: { username: 'root', usernameHost: undefined, password: { secret: 'root' } } }),
      ],
    },
  );
  const records = secrets.map(([name, at]) => record({ uid: name, name, versions: promoted(at) }));
  return agenda(wants, state(records), new Date(from), days).map(
    ({ at, secret: name, version: v, notes }) => `${at.slice(0, 16)} ${name} v${v}: ${notes.join('; ')}`,
  );
}

describe('the calendar', () => {
  test('lists every rotation in order, each from the one before', () => {
    expect(
      lines(
        [
          ['weekly', '2026-06-01T03:00:00Z', { everyDays: 7, hour: 3 }],
          ['once', '2026-06-01T10:00:00Z', { everyDays: 10 }],
        ],
        '2026-06-02T00:00:00Z',
        15,
      ),
    ).toEqual(['2026-06-08T03:00 weekly v4: ', '2026-06-11T10:00 once v4: ', '2026-06-15T03:00 weekly v5: ']);
  });

  test('says since when it is due, and how many windows no run has used', () => {
    const windows = [{ days: [], from: '22:00', to: '23:00', timezone: 'UTC' }];
    expect(lines([['app', '2026-05-01T12:00:00Z', { windows }]], '2026-06-03T12:00:00Z', 3)).toEqual([
      '2026-06-03T22:00 app v4: due 3d ago; 3 windows missed; waits for its window',
    ]);
  });

  test('shows changes of the clock: the gap, the second reading, and the shift itself', () => {
    const berlin = (oclock: number) => ({ everyDays: 1, hour: oclock, timezone: 'Europe/Berlin' });
    expect(lines([['app', '2026-03-27T02:00:00Z', berlin(2)]], '2026-03-28T00:00:00Z', 3)).toEqual([
      '2026-03-28T01:00 app v4: ',
      '2026-03-29T01:00 app v5: the clock was changed by +60m since; there is no 02:00 that day',
      '2026-03-30T00:00 app v6: ',
    ]);
    expect(lines([['app', '2026-10-23T12:00:00Z', berlin(2)]], '2026-10-24T00:00:00Z', 3)).toEqual([
      '2026-10-24T00:00 app v4: ',
      '2026-10-25T00:00 app v5: 02:00 comes twice, the first one counts',
      '2026-10-26T01:00 app v6: the clock was changed by -60m since',
    ]);
  });

  test('shows where a pair would collide, and that it does not', () => {
    const pair = { pair: 'p', apart: 24 * hour, everyDays: 30, hour: 3 };
    expect(
      lines(
        [
          ['blue', '2026-06-01T03:00:00Z', pair],
          ['green', '2026-06-01T03:00:00Z', pair],
        ],
        '2026-06-02T00:00:00Z',
        62,
      ),
    ).toEqual([
      '2026-07-01T03:00 blue v4: ',
      '2026-07-02T03:00 green v4: keeps 24h from the other of its pair p',
      '2026-07-31T03:00 blue v5: ',
      '2026-08-01T03:00 green v5: ',
    ]);
  });

  test('says what needs a yes, and leaves out what is manual or paused', () => {
    const at = '2026-06-01T03:00:00Z';
    expect(lines([['root', at, {}]], at, 31, { ownSchedule: false })).toEqual([
      '2026-07-01T03:00 root v4: needs --yes',
    ]);
    expect(
      lines(
        [
          ['a', at, { auto: false }],
          ['b', at, { paused: true }],
        ],
        at,
        365,
      ),
    ).toEqual([]);
  });

  test('a thousand secrets for a year take seconds', () => {
    const many = Array.from({ length: 1000 }, (_, index): [string, string, Partial<Schedule>] => [
      `s${index}`,
      new Date(Date.UTC(2026, 5, 1) - index * 60_000).toISOString(),
      { everyDays: 30, hour: index % 24, timezone: 'Europe/Berlin', jitter: hour },
    ]);
    const found = lines(many, new Date(Date.UTC(2026, 5, 2)).toISOString(), 360);
    expect(found.length).toBeGreaterThan(1000 * 11);
    expect(found.length).toBeLessThan((1000 * (360 * day)) / (29 * day));
  });
});
