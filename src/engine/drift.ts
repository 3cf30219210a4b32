/** Looking for drift, and what follows from it. PURE: what the plan of one secret says beside its rotation. */
import { formatDuration } from '../manifests/durations.ts';
import type { RotatedSecret } from '../manifests/model.ts';
import type { SecretRecord } from '../state/model.ts';
import { nextVersion, versionOf } from '../state/transitions.ts';
import type { Action } from './model.ts';
import { relative } from './words.ts';

/**
 * `actions` with what `verify` and `drift` ask for. While the target is known to refuse the current version:
 * `reset` rotates, `adopt` takes the value of `initial`, `alarm` blocks until a person has decided. A rotation with the
 * target's credentials settles drift anyway and goes on; one with the account's own value would only be a wrong login.
 */
export function withDrift(
  actions: readonly Action[],
  secret: RotatedSecret,
  record: SecretRecord | undefined,
  now: Date,
  force: boolean,
): Action[] {
  if (!record || record.current === null || record.pending) return [...actions];
  const rotation = actions.find((action) => action.verb === 'rotate');
  const blocked = actions.some((action) => action.verb === 'block');
  if (blocked) return [...actions];
  const { driftAt } = record.sched;
  if (driftAt === undefined)
    return rotation || !isCheckDue(secret, record, now)
      ? [...actions]
      : [...actions, check(secret, record, now)];
  const own = secret.authenticateAs === 'user' || secret.rotator === 'target';
  if (rotation && !own) return [...actions];
  const others = actions.filter((action) => action.verb !== 'rotate' && action.verb !== 'hold');
  return [...others, answer(secret, record, new Date(driftAt), now, force)];
}

/** When the next login is due that looks for drift; null when none is. */
export function nextCheck(secret: RotatedSecret, record: SecretRecord): Date | null {
  if (secret.verifyEvery === undefined || secret.blind || record.current === null) return null;
  const { verified, promotedAt } = versionOf(record, record.current);
  const last = Math.max(
    ...[record.sched.checkedAt, verified?.at, promotedAt].map((at) =>
      at === undefined ? 0 : Date.parse(at),
    ),
  );
  return new Date(last + secret.verifyEvery);
}

function isCheckDue(secret: RotatedSecret, record: SecretRecord, now: Date): boolean {
  const due = nextCheck(secret, record);
  const { probeAfter } = record.sched;
  const locked = probeAfter !== null && Date.parse(probeAfter) > now.getTime();
  return due !== null && due <= now && !locked;
}

const act = (
  secret: RotatedSecret,
  record: SecretRecord,
  more: Pick<Action, 'verb' | 'reason'> & Partial<Action>,
): Action => ({
  secret: secret.name,
  uid: record.uid,
  target: secret.target,
  from: record.current,
  to: null,
  why: null,
  ...more,
});

function check(secret: RotatedSecret, record: SecretRecord, now: Date): Action {
  const due = nextCheck(secret, record) ?? now;
  const every = formatDuration(secret.verifyEvery ?? 0);
  return act(secret, record, { verb: 'verify', reason: `login due ${relative(due, now)} (every ${every})` });
}

function answer(secret: RotatedSecret, record: SecretRecord, since: Date, now: Date, force: boolean): Action {
  const found = `the target does not accept v${record.current}, found ${relative(since, now)}`;
  const wait = record.sched.nextAttemptAt;
  const waits = wait !== null && Date.parse(wait) > now.getTime() && !force;
  const then = waits ? `; tried again ${relative(new Date(wait), now)}` : '';
  if (secret.drift === 'reset')
    return waits
      ? act(secret, record, { verb: 'hold', reason: `${found}${then}` })
      : act(secret, record, {
          verb: 'rotate',
          to: nextVersion(record),
          why: 'drift',
          reason: `${found}; drift: reset`,
        });
  const shown = secret.rotator === 'storage-key';
  if (secret.drift === 'adopt' && (secret.initial || shown))
    return waits
      ? act(secret, record, { verb: 'hold', reason: `${found}${then}` })
      : act(secret, record, {
          verb: 'adopt',
          to: nextVersion(record),
          reason: shown
            ? `${found}; drift: adopt reads what is there`
            : `${found}; drift: adopt takes the initial value if the target accepts it`,
        });
  return act(secret, record, {
    verb: 'block',
    reason: `${found}; keyturn reconcile ${secret.name} sets a new value, keyturn adopt ${secret.name} takes the one that is live, keyturn unlock ${secret.name} if it was put right at the target`,
  });
}
