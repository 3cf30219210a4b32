/** What an issued value's outcome means for its record, and what a person is told. No effects. */
import type { Ledger } from '../state/ledger.ts';
import { abandoned, promoted, pruned, versionOf } from '../state/transitions.ts';
import { valuePath } from '../state/version-file.ts';
import { base, type Conclusion, kept, noted } from './conclude.ts';
import { type IssuedAttempt, type IssuedOutcome, pendingOf } from './issued-attempt.ts';
import type { Action, Result } from './model.ts';
import { rotatedNews } from './notices.ts';

export function concludeIssued(
  action: Action,
  attempt: IssuedAttempt,
  outcome: IssuedOutcome,
  ledger: Ledger,
  now: Date,
): Conclusion {
  const { secret, record, version, policy } = attempt;
  const at = now.toISOString();
  const result = (more: Partial<Result>): Result => ({ ...base(action), version, ...more });
  const change = { uid: record.uid, name: secret.name, from: record };
  switch (outcome.r) {
    case 'live': {
      const next = promoted(record, {
        at,
        verified: { at, how: 'login' },
        health: 'ok',
        retireAfter: policy.graceful ? 'next' : new Date(now.getTime() + secret.grace).toISOString(),
        specDigest: secret.specDigest,
        rotateToken: secret.rotateToken ?? null,
        protected: secret.deleteProtection,
      });
      const { record: left, gone } = pruned(next, secret.keep, now);
      const { claim, why } = pendingOf(record);
      const to = rotatedNews(left, secret, { version, why, at, by: claim.by });
      const files = gone.filter((v) => versionOf(next, v).file !== null);
      const writes = [
        ledger.pointer(secret.name, version),
        ...files.map((v) => ({ path: valuePath(secret.name, v), bytes: null })),
      ];
      return {
        change: { ...change, to, writes },
        redraw: false,
        result: result({ left: 'changed', detail: 'logged in with it three times in a row' }),
      };
    }
    case 'gone':
      return {
        change: { ...change, to: abandoned(record, at), writes: [] },
        redraw: false,
        result: result({ outcome: 'waiting', left: 'unchanged', detail: outcome.detail }),
      };
    case 'lost':
      return {
        change: null,
        redraw: false,
        result: result({ outcome: 'waiting', left: 'unknown', detail: outcome.detail }),
      };
    case 'keep':
      return {
        change: { ...change, to: noted(record, outcome, now), writes: [] },
        redraw: false,
        result: result(kept(outcome)),
      };
  }
}
