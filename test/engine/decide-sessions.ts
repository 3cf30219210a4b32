/** What sessions of people ask of a plan. */
import type { Access } from '../../src/manifests/access.ts';
import type { SessionNote } from '../../src/state/sessions.ts';
import { type Case, due, flagged, leftBy } from './decide-cases.ts';
import { day, minute, schedule } from './schedules.ts';
import { ago, binding, currentSince } from './wishes-and-records.ts';

const session = (more: Partial<SessionNote> = {}): SessionNote => ({
  id: '01A',
  version: 3,
  by: 'Bob <bob@example.org>',
  from: 'desk:bob',
  protocol: 'mysql',
  host: 'db:3306',
  exclusive: false,
  openedAt: ago(30 * minute),
  ...more,
});
const ended = (before: number, more: Partial<SessionNote> = {}): SessionNote =>
  session({ endedAt: ago(before), end: 'left', ...more });
const seen = (...all: SessionNote[]) => ({ sessions: new Map([['app', all]]) });
const access = (more: Partial<Access> = {}): { access: Access } => ({
  access: { protocol: 'mysql', hosts: [], rotateAfter: null, exclusive: false, ...more },
});
const fresh = { versions: { 3: currentSince(10 * day) } };
const quarter = access({ rotateAfter: 15 * minute });
const atOnce = access({ rotateAfter: 0 });
const alone = access({ exclusive: true });
const theirs = session({ exclusive: true });

export const sessions: Record<string, Case> = {
  'a session has ended': {
    wants: atOnce,
    has: fresh,
    sees: seen(ended(2 * minute)),
    does: ['rotate 3 -> 4 (session): the session of Bob ended 2m ago'],
  },
  'a session has ended, outside of every window, and another goes on': {
    wants: {
      ...atOnce,
      schedule: schedule({ windows: [{ days: ['sun'], from: '02:00', to: '03:00', timezone: 'UTC' }] }),
    },
    has: fresh,
    sees: seen(ended(2 * minute), session({ id: '01B' })),
    does: ['rotate 3 -> 4 (session): the session of Bob ended 2m ago'],
  },
  'a session has lapsed': {
    wants: atOnce,
    has: fresh,
    sees: seen(ended(2 * minute, { end: 'lapsed' })),
    does: ['rotate 3 -> 4 (session): the session of Bob ended without a word 2m ago'],
  },
  'a session has ended before the version was made': {
    wants: atOnce,
    has: fresh,
    sees: seen(ended(11 * day)),
    does: [],
  },
  'nobody got in': { wants: atOnce, has: fresh, sees: seen(ended(2 * minute, { unused: true })), does: [] },
  'sessions rotate nothing': { wants: access(), has: fresh, sees: seen(ended(2 * minute)), does: [] },
  'nobody may have sessions any more': { has: fresh, sees: seen(ended(2 * minute)), does: [] },
  'a session has ended a quarter of an hour ago': {
    wants: quarter,
    has: fresh,
    sees: seen(ended(20 * minute), ended(15 * minute, { id: '01B', by: 'carol' })),
    does: ['rotate 3 -> 4 (session): the session of carol ended 15m ago'],
  },
  'it is not quiet for long enough': {
    wants: quarter,
    has: fresh,
    sees: seen(ended(60 * minute), ended(14 * minute, { id: '01B' })),
    does: [],
  },
  'it is not quiet at all': {
    wants: quarter,
    has: fresh,
    sees: seen(ended(60 * minute), session({ id: '01B' })),
    does: [],
  },
  'due during an exclusive session': {
    wants: alone,
    has: { versions: due },
    sees: seen(theirs),
    does: [
      'hold 3 -> -: due 3d ago (every 30d); Bob has an exclusive session, begun 30m ago; --force does not wait',
    ],
  },
  'asked for during an exclusive session': {
    wants: alone,
    has: fresh,
    sees: { ...seen(theirs), ...flagged() },
    does: [
      'hold 3 -> -: asked for: leaked; Bob has an exclusive session, begun 30m ago; --force does not wait',
    ],
  },
  'forced during an exclusive session': {
    wants: alone,
    has: fresh,
    sees: { ...seen(theirs), ...flagged(), force: true },
    does: ['rotate 3 -> 4 (flagged): asked for: leaked'],
  },
  'interrupted, and an exclusive session goes on': {
    wants: alone,
    has: leftBy(2 * 60 * minute),
    sees: seen(theirs),
    does: ['hold 4 -> 4: interrupted; Bob has an exclusive session, begun 30m ago; --force does not wait'],
  },
  'a session that is not exclusive': {
    wants: alone,
    has: { versions: due },
    sees: seen(session()),
    does: ['rotate 3 -> 4 (due): due 3d ago (every 30d)'],
  },
  'another place for sessions': {
    wants: access({ hosts: ['replica'] }),
    has: fresh,
    sees: { bindings: new Map([['app', { ...binding, sessions: 'replica' }]]) },
    does: ['block 3 -> -: sessions may now go to replica; run keyturn rebind app if that is right'],
  },
  'fewer places for sessions': {
    has: { ...fresh, binding: { ...binding, sessions: 'old replica' } },
    sees: { bindings: new Map([['app', { ...binding, sessions: 'replica' }]]) },
    does: [],
  },
};
