/** What decide.ts says of rotating, retiring and re-encrypting, with its words. */
import { fingerprint } from '../../src/age/fingerprint.ts';
import { type Case, due, failing, flagged, retiring, windows } from './decide-cases.ts';
import { day, hour, minute, schedule } from './schedules.ts';
import { ago, ahead, bob, currentSince, reconciler, sched, version } from './wishes-and-records.ts';

export const rotating: Record<string, Case> = {
  'a grace that is over': {
    wants: { grace: day },
    has: retiring(ago(0)),
    does: ['retire 2 -> -: grace of 24h is over'],
  },
  'a grace that is not over yet': { wants: { grace: day }, has: retiring(ahead(1)), does: [] },
  'a grace that is over and a rotation that is due': {
    wants: { grace: 7 * day },
    has: retiring(ago(hour), 33 * day),
    does: [
      'retire 2 -> -: grace of 7d is over',
      'rotate 3 -> 4 (due): due 3d ago (every 30d), old valid 7d more',
    ],
  },
  due: { has: { versions: due }, does: ['rotate 3 -> 4 (due): due 3d ago (every 30d)'] },
  'due now': {
    has: { versions: { 3: currentSince(30 * day) } },
    does: ['rotate 3 -> 4 (due): due now (every 30d)'],
  },
  'due in a millisecond': { has: { versions: { 3: currentSince(30 * day - 1) } }, does: [] },
  'due with hour, zone and grace': {
    wants: { grace: day, schedule: schedule({ hour: 3, timezone: 'Europe/Berlin' }) },
    has: { versions: due },
    does: ['rotate 3 -> 4 (due): due 3d ago (every 30d at 03:00 Europe/Berlin), old valid 24h more'],
  },
  'due, numbers of abandoned versions used up': {
    has: { versions: { ...due, 4: version({ stage: 'abandoned' }), 5: version({ stage: 'abandoned' }) } },
    does: ['rotate 3 -> 6 (due): due 3d ago (every 30d)'],
  },
  'due, backing off': {
    has: { versions: due, sched: sched(failing) },
    does: ['hold 3 -> -: due 3d ago (every 30d); set failed (unreachable, ECONNREFUSED), tried again in 45m'],
  },
  'due, backing off, forced': {
    has: { versions: due, sched: sched(failing) },
    sees: { force: true },
    does: ['rotate 3 -> 4 (due): due 3d ago (every 30d)'],
  },
  'due in the grace of the version before': {
    wants: { grace: day },
    has: retiring(ahead(5 * hour), 33 * day),
    does: ['hold 3 -> -: due 3d ago (every 30d); v2 is in its grace, which ends in 5h'],
  },
  'due in the grace of the version before, forced': {
    wants: { grace: day },
    has: retiring(ahead(5 * hour), 33 * day),
    sees: { force: true },
    does: [
      'rotate 3 -> 4 (due): due 3d ago (every 30d), old valid 24h more; v2, still in its grace, stops working',
    ],
  },
  'due outside of its window': {
    wants: { schedule: schedule({ windows }) },
    has: { versions: due },
    does: ['hold 3 -> -: due 3d ago (every 30d); its window opens in 14h'],
  },
  'due outside of its window, forced': {
    wants: { schedule: schedule({ windows }) },
    has: { versions: due },
    sees: { force: true },
    does: ['rotate 3 -> 4 (due): due 3d ago (every 30d)'],
  },
  'due, claimed and abandoned minutes ago': {
    has: { versions: { ...due, 4: version({ stage: 'abandoned', createdAt: ago(6 * minute) }) } },
    does: ['hold 3 -> -: due 3d ago (every 30d); its last claim is from 6m ago, --force does not wait'],
  },
  'due, claimed and abandoned a lease ago': {
    has: { versions: { ...due, 4: version({ stage: 'abandoned', createdAt: ago(20 * minute) }) } },
    does: ['rotate 3 -> 5 (due): due 3d ago (every 30d)'],
  },
  'asked for': { sees: flagged(), does: ['rotate 3 -> 4 (flagged): asked for: leaked'] },
  'asked for without a reason': { sees: flagged(''), does: ['rotate 3 -> 4 (flagged): asked for'] },
  'asked for, manual': {
    wants: { schedule: schedule({ auto: false }) },
    sees: flagged(),
    does: ['rotate 3 -> 4 (flagged): asked for: leaked'],
  },
  'asked for outside of its window, in a grace, backing off': {
    wants: { grace: day, schedule: schedule({ windows }) },
    has: { ...retiring(ahead(5 * hour)), sched: sched(failing) },
    sees: flagged(),
    does: [
      'rotate 3 -> 4 (flagged): asked for: leaked, old valid 24h more; v2, still in its grace, stops working',
    ],
  },
  'rotateToken changed': {
    wants: { rotateToken: '2026-11-a' },
    has: { sched: sched({ rotateToken: '2026-10-a' }) },
    does: ['rotate 3 -> 4 (rotate-token): rotateToken is now "2026-11-a"'],
  },
  'rotateToken carried out': {
    wants: { rotateToken: 'a' },
    has: { sched: sched({ rotateToken: 'a' }) },
    does: [],
  },
  'rotateToken taken away': { has: { sched: sched({ rotateToken: 'a' }) }, does: [] },
  'rotateToken changed, backing off': {
    wants: { rotateToken: 'b' },
    has: { sched: sched(failing) },
    does: ['hold 3 -> -: rotateToken is now "b"; set failed (unreachable, ECONNREFUSED), tried again in 45m'],
  },
  'a reader removed': {
    wants: { grace: day, schedule: schedule({ windows }) },
    has: {
      versions: {
        3: currentSince(day, { readers: [fingerprint(reconciler), 'fp:00000000000carol'].sort() }),
      },
    },
    does: ['rotate 3 -> 4 (reader-removed): reader removed: fp:00000000000carol, old valid 24h more'],
  },
  'a reader removed and another added': {
    wants: { readers: [bob] },
    has: {
      versions: {
        3: currentSince(day, { readers: [fingerprint(reconciler), 'fp:00000000000carol'].sort() }),
      },
    },
    does: ['rotate 3 -> 4 (reader-removed): reader removed: fp:00000000000carol'],
  },
  'a reader added': { wants: { readers: [bob] }, does: ['rekey 3 -> -: reader added: bob'] },
  'a reader added to a manual one': {
    wants: { readers: [bob], schedule: schedule({ auto: false }) },
    does: ['hold 3 -> -: manual only', 'rekey 3 -> -: reader added: bob'],
  },
  'a reader added while a rotation is held': {
    wants: { readers: [bob] },
    has: { versions: due, sched: sched(failing) },
    does: [
      'hold 3 -> -: due 3d ago (every 30d); set failed (unreachable, ECONNREFUSED), tried again in 45m',
      'rekey 3 -> -: reader added: bob',
    ],
  },
  'a reader added and a rotation due: the new version is for everybody': {
    wants: { readers: [bob] },
    has: { versions: due },
    does: ['rotate 3 -> 4 (due): due 3d ago (every 30d)'],
  },
  'a reconciler added': {
    wants: { readers: [bob] },
    has: { versions: { 3: currentSince(day, { readers: [fingerprint(bob.recipient)] }) } },
    does: ['rekey 3 -> -: reconciler added'],
  },
  moved: {
    wants: { movedFrom: 'old/app' },
    has: { name: 'old/app' },
    does: ['rekey 3 -> -: moved from old/app'],
  },
  'a record without any version': {
    has: { current: null, versions: {} },
    does: ['rotate new -> 1 (new): first version'],
  },
};
