/** What an attempt's outcome means for its record, and what a person is told. No effects. */

import { failed, sameFailure } from '../state/bookkeeping.ts';
import { hostsSettled } from '../state/hosts.ts';
import type { Change, Ledger } from '../state/ledger.ts';
import type { SecretRecord } from '../state/model.ts';
import { hostPointers } from '../state/pointers.ts';
import { abandoned, pendingOf, promoted, pruned } from '../state/transitions.ts';
import { valuePath } from '../state/version-file.ts';
import type { Attempt, Keep, Outcome } from './attempt.ts';
import type { Action, Result } from './model.ts';
import { rotatedNews } from './notices.ts';
import { retryAt } from './retry.ts';

/** Values that a target may refuse in one run before the secret waits (protocol §3.4). */
export const redraws = 3;

export interface Conclusion {
  /** null: nothing is written down. */
  change: Change | null;
  /** Holds once `change` is pushed. */
  result: Result;
  /** Another value must be drawn. */
  redraw: boolean;
}

export function conclude(
  action: Action,
  attempt: Pick<Attempt, 'secret' | 'record' | 'version' | 'retain'>,
  outcome: Outcome,
  ledger: Ledger,
  now: Date,
): Conclusion {
  const { secret, record, version } = attempt;
  const result = (more: Partial<Result>): Result => ({ ...base(action), version, ...more });
  const change = (to: SecretRecord, writes: Change['writes'] = []): Change => ({
    uid: record.uid,
    name: secret.name,
    from: record,
    to,
    writes,
  });
  switch (outcome.r) {
    case 'live': {
      const at = now.toISOString();
      const overlaps = attempt.retain || secret.account.usernames.length === 2;
      const next = promoted(record, {
        at,
        verified: { at, how: outcome.how },
        health: outcome.health,
        retireAfter: overlaps ? new Date(now.getTime() + secret.grace).toISOString() : null,
        specDigest: secret.specDigest,
        rotateToken: secret.rotateToken ?? null,
        protected: secret.deleteProtection,
      });
      const alone = secret.hosts === undefined ? hostsSettled(next, undefined) : next;
      const { record: kept, gone } = pruned(alone, secret.keep, now);
      const { claim, why } = pendingOf(record);
      const told = rotatedNews(kept, secret, { version, why, at, by: claim.by });
      const writes = [
        ledger.pointer(secret.name, version),
        ...(secret.hosts === undefined ? hostPointers(secret.name, record, kept) : []),
        ...gone.map((v) => ({ path: valuePath(secret.name, v), bytes: null })),
      ];
      const how = {
        login: 'logged in with it',
        witness: 'the target confirms it',
        acknowledged: 'not proven by a login',
      };
      return {
        change: change(told, writes),
        redraw: false,
        result: result({
          outcome: outcome.alarm === null ? 'done' : 'human',
          left: 'changed',
          detail: outcome.alarm ?? how[outcome.how],
        }),
      };
    }
    case 'refused':
      return {
        change: change(given(record, outcome, now)),
        redraw: true,
        result: result({
          outcome: 'failed',
          left: 'refused',
          detail: `the target refuses the value: ${outcome.detail}`,
          hint:
            action.restore === undefined
              ? "bring passwordPolicy in line with the target's own policy"
              : `the target does not take an earlier value back; keyturn rotate ${secret.name} makes a new one`,
        }),
      };
    case 'lost':
      return {
        change: null,
        redraw: false,
        result: result({ outcome: 'waiting', left: 'unknown', detail: outcome.detail }),
      };
    case 'keep':
      return {
        change: change(noted(record, outcome, now)),
        redraw: false,
        result: result(kept(outcome)),
      };
  }
}

/** Nothing that the target did: the next run need not wait. */
const ownDoing = new Set(['late', 'stopped']);

/**
 * A rotation that was not even claimed: noted only where that says something new (no commit per hour), and where only
 * a person can help once a day, so that it is tried once a day.
 */
export function notNow(
  action: Action,
  record: SecretRecord | undefined,
  outcome: Keep,
  now: Date,
): Conclusion {
  const wait = record?.sched.nextAttemptAt ?? null;
  const due = wait === null || Date.parse(wait) <= now.getTime();
  const news = record && (!sameFailure(record, outcome.failure) || (outcome.outcome === 'human' && due));
  const say = record && news && outcome.failure.class !== 'in-use';
  return {
    change: say
      ? { uid: record.uid, name: record.name, from: record, to: noted(record, outcome, now), writes: [] }
      : null,
    redraw: false,
    result: { ...base(action), ...kept(outcome) },
  };
}

export const base = (action: Action): Result => ({
  secret: action.secret,
  target: action.target,
  verb: action.verb,
  outcome: 'done',
  version: action.to ?? action.from,
  detail: '',
  hint: null,
  left: 'unchanged',
});

export const kept = (outcome: Keep): Pick<Result, 'outcome' | 'left' | 'detail' | 'hint'> => ({
  outcome: outcome.outcome,
  left: outcome.left,
  detail: outcome.detail,
  hint: outcome.hint,
});

/** The refused value leaves the way; after the last one of a run the policy waits for a human. */
function given(record: SecretRecord, { code }: Extract<Outcome, { r: 'refused' }>, now: Date): SecretRecord {
  const last = (record.pending?.refusals ?? 0) + 1 >= redraws;
  const free = abandoned(record, now.toISOString());
  return last
    ? failed(free, {
        failure: { class: 'policy', code, step: 'set' },
        nextAttemptAt: retryAt(free, true, now),
      })
    : free;
}

export const noted = (record: SecretRecord, outcome: Keep, now: Date): SecretRecord =>
  failed(record, {
    failure: outcome.failure,
    nextAttemptAt: ownDoing.has(outcome.failure.class)
      ? null
      : retryAt(record, outcome.outcome === 'human', now),
    ...(outcome.health ? { health: outcome.health } : {}),
    ...(outcome.probeAfter ? { probeAfter: outcome.probeAfter } : {}),
    ...(outcome.tried === undefined ? {} : { tried: outcome.tried }),
  });
