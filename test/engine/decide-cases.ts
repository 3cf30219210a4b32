import type { Observed } from '../../src/engine/decide.ts';
import { clockSkew } from '../../src/engine/unfinished.ts';
import type { RotatedSecret, ValueRef } from '../../src/manifests/model.ts';
import type { SecretRecord } from '../../src/state/model.ts';
import { day, hour, minute, schedule } from './schedules.ts';
import { ago, ahead, binding, currentSince, pendingOn, sched, version } from './wishes-and-records.ts';

export interface Case {
  wants?: Partial<RotatedSecret>;
  has?: Partial<SecretRecord> | null;
  sees?: Partial<Observed>;
  /** `verb from -> to (why): reason`, one for each action. */
  does: string[];
}

export const initial: { password: ValueRef; username: undefined } = {
  password: { env: 'APP' },
  username: undefined,
};
export const due = { 3: currentSince(33 * day) };
export const failing = {
  failures: 2,
  nextAttemptAt: ahead(45 * minute),
  lastError: { class: 'unreachable', code: 'ECONNREFUSED', step: 'set' },
};
export const leftBy = (claimedAgo: number, more: Partial<SecretRecord> = {}): Partial<SecretRecord> => ({
  versions: { 3: currentSince(33 * day), 4: version({ stage: 'pending', createdAt: ago(claimedAgo) }) },
  pending: pendingOn(4, claimedAgo),
  ...more,
});
export const retiring = (ends: string, current = 10 * day): Partial<SecretRecord> => ({
  versions: { 2: version({ stage: 'retiring', retireAfter: ends }), 3: currentSince(current) },
});
export const windows = [{ days: ['sat'], from: '02:00', to: '04:00', timezone: 'UTC' }];
export const flagged = (reason = 'leaked'): Partial<Observed> => ({ wishes: new Map([['app', reason]]) });

export const beforeRotating: Record<string, Case> = {
  'nothing recorded, an initial value': {
    wants: { initial },
    has: null,
    does: ['adopt new -> 1: new here: records the initial value, changes nothing'],
  },
  'nothing recorded, the target can set it': { has: null, does: ['rotate new -> 1 (new): first version'] },
  'nothing recorded, only the account could': {
    wants: { authenticateAs: 'user' },
    has: null,
    does: [
      'block new -> -: the account changes its own password, but no value is known; set initial or run keyturn adopt app',
    ],
  },
  'nothing recorded, an initial value for an account that changes itself': {
    wants: { authenticateAs: 'user', initial },
    has: null,
    does: ['adopt new -> 1: new here: records the initial value, changes nothing'],
  },
  'nothing recorded, manual': {
    wants: { schedule: schedule({ auto: false }) },
    has: null,
    does: ['hold new -> -: manual only; keyturn rotate app makes the first version'],
  },
  'nothing recorded, manual, asked for': {
    wants: { schedule: schedule({ auto: false }) },
    has: null,
    sees: flagged(),
    does: ['rotate new -> 1 (new): first version'],
  },
  'all well': { does: [] },
  'manual and all well': {
    wants: { schedule: schedule({ auto: false }) },
    does: ['hold 3 -> -: manual only'],
  },
  'another host': {
    sees: { bindings: new Map([['app', { ...binding, host: 'evil.example' }]]) },
    does: [
      'block 3 -> -: host changed from db.internal to evil.example; run keyturn rebind app if that is right',
    ],
  },
  'another host, port, account and tls': {
    sees: {
      bindings: new Map([['app', { type: 'mysql', host: 'h', port: 1, account: 'x@%', tls: 'disabled' }]]),
    },
    does: [
      'block 3 -> -: host changed from db.internal to h, port changed from 3306 to 1, account changed from app@% to x@%, tls changed from system to disabled; run keyturn rebind app if that is right',
    ],
  },
  'another host while a version is pending': {
    has: leftBy(2 * hour),
    sees: { bindings: new Map([['app', { ...binding, port: 3307 }]]) },
    does: ['block 3 -> -: port changed from 3306 to 3307; run keyturn rebind app if that is right'],
  },
  'no binding to compare with': { sees: { bindings: new Map() }, does: [] },
  'pending, its owner at work': {
    has: leftBy(4 * minute),
    does: [
      'hold 4 -> 4: claimed by ci:deploy 4m ago, its lease ends in 21m; keyturn unlock app if it is certainly gone',
    ],
  },
  'pending, its owner at work, forced': {
    has: leftBy(4 * minute),
    sees: { force: true },
    does: [
      'hold 4 -> 4: claimed by ci:deploy 4m ago, its lease ends in 21m; keyturn unlock app if it is certainly gone',
    ],
  },
  'pending, the last moment of lease and skew': {
    has: leftBy(20 * minute + clockSkew - 1000),
    does: [
      'hold 4 -> 4: claimed by ci:deploy 24m ago, its lease ends in 1s; keyturn unlock app if it is certainly gone',
    ],
  },
  'pending, lease and skew just over': {
    has: leftBy(20 * minute + clockSkew),
    does: ['resume 4 -> 4: interrupted 25m ago after the claim'],
  },
  'pending, claimed by a clock that is ahead': {
    has: leftBy(-10 * minute),
    does: [
      'hold 4 -> 4: claimed by ci:deploy in 10m, its lease ends in 35m; keyturn unlock app if it is certainly gone',
    ],
  },
  'pending, its owner known to be dead': {
    has: leftBy(4 * minute),
    sees: { deadClaims: new Set(['CLAIM']) },
    does: ['resume 4 -> 4: interrupted 4m ago after the claim'],
  },
  'pending, unlocked by a person': {
    has: leftBy(4 * minute, {
      pending: pendingOn(4, 4 * minute, {
        claim: {
          id: 'CLAIM',
          by: { runner: 'ci:deploy', pid: 7 },
          at: ago(4 * minute),
          lease: 0,
          attempt: 1,
        },
      }),
    }),
    does: ['resume 4 -> 4: interrupted 4m ago after the claim'],
  },
  'pending, nobody knows what is live': {
    has: leftBy(2 * hour, { health: 'blocked' }),
    does: ['block 4 -> 4: nobody knows which value is live; run keyturn reconcile or adopt app'],
  },
  'pending, nobody knows what is live, forced': {
    has: leftBy(2 * hour, { health: 'blocked' }),
    sees: { force: true },
    does: ['resume 4 -> 4: interrupted 2h ago after the claim'],
  },
  'pending, backing off': {
    has: leftBy(2 * hour, { sched: sched(failing) }),
    does: ['hold 4 -> 4: set failed (unreachable, ECONNREFUSED), tried again in 45m'],
  },
  'pending, backing off without a reason': {
    has: leftBy(2 * hour, { sched: sched({ nextAttemptAt: ahead(hour) }) }),
    does: ['hold 4 -> 4: failed, tried again in 1h'],
  },
  'pending, backing off, forced': {
    has: leftBy(2 * hour, { sched: sched(failing) }),
    sees: { force: true },
    does: ['resume 4 -> 4: interrupted 2h ago after the claim'],
  },
  'pending, back-off over': {
    has: leftBy(2 * hour, { sched: sched({ ...failing, nextAttemptAt: ago(0) }) }),
    does: ['resume 4 -> 4: interrupted 2h ago after the claim'],
  },
  'pending outside of its window, with a grace to retire and a wish': {
    wants: { schedule: schedule({ windows }) },
    has: {
      ...leftBy(2 * hour),
      versions: {
        2: version({ stage: 'retiring', retireAfter: ago(hour) }),
        3: currentSince(33 * day),
        4: version({ stage: 'pending' }),
      },
    },
    sees: flagged(),
    does: ['resume 4 -> 4: interrupted 2h ago after the claim'],
  },
};
