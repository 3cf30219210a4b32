import { describe, expect, it } from 'vitest';
import {
  endOf,
  readSessions,
  type SessionFile,
  sessionLease,
  sessionsOf,
  sessionWrite,
} from '../../src/state/sessions.ts';

const minute = 60_000;
const start = Date.UTC(2030, 0, 1);
const at = (minutes: number): Date => new Date(start + minutes * minute);
const file = (more: Partial<SessionFile> = {}): SessionFile => ({
  id: '01A',
  secret: 'pg/app',
  version: 3,
  by: 'Bob <bob@example.org>',
  from: 'desk:bob',
  protocol: 'postgresql',
  host: 'db:5432',
  exclusive: false,
  openedAt: at(0).toISOString(),
  renewedAt: at(0).toISOString(),
  ...more,
});

describe('the file of a session', () => {
  it('is read as it was written', () => {
    for (const one of [file(), file({ closedAt: at(5).toISOString(), unused: true, exclusive: true })]) {
      const { path, bytes } = sessionWrite(one);
      expect(readSessions(new Map([[path, bytes ?? new Uint8Array()]]))).toEqual([one]);
    }
  });

  it.each([
    ['no JSON', '{'],
    ['a list', '[]'],
    ['another place', JSON.stringify(file({ id: '01B' }))],
    ['no version', JSON.stringify({ ...file(), version: '3' })],
    ['no time', JSON.stringify(file({ renewedAt: 'soon' }))],
    ['a name without end', JSON.stringify(file({ by: 'x'.repeat(301) }))],
    ['too long', JSON.stringify({ ...file(), more: 'x'.repeat(5000) })],
  ])('is left alone where it is none: %s', (_, text) => {
    expect(readSessions(new Map([['requests/sessions/01A.json', Buffer.from(text)]]))).toEqual([]);
  });

  it('ends when it says so, when nothing is heard of it, and when it claims to come from the future', () => {
    expect(endOf(file(), at(59))).toBeNull();
    expect(endOf(file(), at(60))).toEqual({
      endedAt: new Date(start + sessionLease).toISOString(),
      end: 'lapsed',
    });
    expect(endOf(file({ renewedAt: at(30).toISOString() }), at(60))).toBeNull();
    expect(endOf(file({ closedAt: at(5).toISOString() }), at(6))).toEqual({
      endedAt: at(5).toISOString(),
      end: 'left',
    });
    expect(endOf(file({ renewedAt: at(600).toISOString() }), at(6))).toMatchObject({ end: 'lapsed' });
  });
});

describe('the sessions of a secret', () => {
  it('are those of the record and of the files, each once', () => {
    const [noted] = sessionsOf([], [file()], at(1));
    expect(noted).not.toHaveProperty('endedAt');
    expect(sessionsOf(noted ? [noted] : [], [file()], at(2))).toEqual([noted]);
    const closed = file({ closedAt: at(5).toISOString() });
    expect(sessionsOf(noted ? [noted] : [], [closed], at(9))).toMatchObject([
      { end: 'left', endedAt: at(5).toISOString() },
    ]);
  });

  it('have ended where their file is gone, and an end is final', () => {
    const [noted] = sessionsOf([], [file()], at(1));
    const gone = sessionsOf(noted ? [noted] : [], [], at(7));
    expect(gone).toMatchObject([{ end: 'gone', endedAt: at(7).toISOString() }]);
    expect(sessionsOf(gone, [file({ renewedAt: at(8).toISOString() })], at(9))).toEqual(gone);
  });

  it('keep those that go on and the last ten that have ended', () => {
    const files = Array.from({ length: 15 }, (_, index) =>
      file({ id: `0${index}`, openedAt: at(index).toISOString(), closedAt: at(index + 1).toISOString() }),
    );
    const open = file({ id: 'open' });
    const kept = sessionsOf([], [...files, open], at(20));
    expect(kept).toHaveLength(11);
    expect(kept.map(({ id }) => id)).toContain('open');
    expect(kept.at(-1)?.id).toBe('014');
  });
});
