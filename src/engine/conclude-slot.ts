/** What a slot's outcome means for its record, and what a person is told. No effects. */

import { filled } from '../state/issued-transitions.ts';
import type { Ledger } from '../state/ledger.ts';
import { named } from '../state/readers.ts';
import { pendingOf, promoted, pruned, versionOf } from '../state/transitions.ts';
import { valuePath } from '../state/version-file.ts';
import { base, type Conclusion, kept, noted } from './conclude.ts';
import type { Action, Result } from './model.ts';
import { rotatedNews } from './notices.ts';
import type { SlotAttempt, SlotOutcome } from './slot-attempt.ts';

export function concludeSlot(
  action: Action,
  { secret, record, version, readers }: SlotAttempt,
  outcome: SlotOutcome,
  ledger: Ledger,
  now: Date,
): Conclusion {
  const at = now.toISOString();
  const result = (more: Partial<Result>): Result => ({ ...base(action), version, ...more });
  const change = { uid: record.uid, name: secret.name, from: record };
  switch (outcome.r) {
    case 'live': {
      const next = promoted(named(filled(record, outcome.sealed), readers), {
        at,
        verified: { at, how: 'witness' },
        health: 'ok',
        // of a pair the former one lives on in its own slot
        retireAfter: secret.account.usernames.length === 2 ? 'next' : null,
        specDigest: secret.specDigest,
        rotateToken: secret.rotateToken ?? null,
        protected: secret.deleteProtection,
      });
      const { record: to, gone } = pruned(next, secret.keep, now);
      const { claim, why } = pendingOf(record);
      const files = gone.filter((v) => versionOf(next, v).file !== null);
      const writes = [
        outcome.write,
        ledger.pointer(secret.name, version),
        ...files.map((v) => ({ path: valuePath(secret.name, v), bytes: null })),
      ];
      return {
        change: { ...change, to: rotatedNews(to, secret, { version, why, at, by: claim.by }), writes },
        redraw: false,
        result: result({ left: 'changed', detail: 'the target shows it' }),
      };
    }
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
