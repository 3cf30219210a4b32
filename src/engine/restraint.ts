/**
 * What keeps a rotation that a secret needs from happening now, beyond its own record: a pause, what a target logs in
 * with, an adoption that failed. PURE: actions in, actions out.
 */
import { loginRefs } from '../manifests/logins.ts';
import type { Desired, RotatedSecret } from '../manifests/model.ts';
import type { SecretRecord } from '../state/model.ts';
import type { Action } from './model.ts';
import { relative } from './words.ts';
import { credentialSecrets } from './world.ts';

/** The action as a hold, with what it waits for. */
export const asHold = (action: Action, waitsFor: string): Action => ({
  ...action,
  verb: 'hold',
  to: null,
  why: null,
  reason: `${action.reason}; ${waitsFor}`,
});

/** `paused: true`: only a wish rotates. What an earlier run has begun goes on, and a grace still ends. */
export function pausedOr(
  actions: readonly Action[],
  secret: RotatedSecret,
  record: SecretRecord | undefined,
): Action[] {
  if (!secret.schedule.paused) return [...actions];
  const quiet = actions.map((action) =>
    action.verb === 'rotate' && action.why !== 'flagged' ? asHold(action, 'paused') : action,
  );
  if (quiet.length > 0 || !record) return quiet;
  const { name, target } = secret;
  const { uid, current } = record;
  return [{ verb: 'hold', secret: name, uid, target, from: current, to: null, why: null, reason: 'paused' }];
}

/** A value that the target refused to accept is not tried every hour: each attempt is a wrong password. */
export function adoptedLater(
  actions: readonly Action[],
  record: SecretRecord | undefined,
  now: Date,
): Action[] {
  const wait = record?.sched.nextAttemptAt ?? null;
  if (!record || wait === null || Date.parse(wait) <= now.getTime()) return [...actions];
  return actions.map((action) =>
    action.verb === 'adopt'
      ? asHold(
          action,
          `the target did not accept it, tried again ${relative(new Date(wait), now)}; keyturn unlock ${record.name} does not wait`,
        )
      : action,
  );
}

/**
 * What a target logs in with never rotates without an explicit yes, because a mistake there stops every secret of the
 * target. A schedule that stands in its own manifest is a standing one, for what is due, for a reader that was removed
 * and for drift; so is a changed `rotateToken`, which was reviewed. A wish is pushed by whoever may push: it needs
 * `assent`, which is `--yes`, or a terminal on which somebody is asked.
 */
export function withAssent(actions: readonly Action[], desired: Desired, assent: boolean): Action[] {
  if (assent) return [...actions];
  const credentials = credentialSecrets(desired);
  return actions.map((action) => {
    if (action.verb !== 'rotate' || !credentials.has(action.secret)) return action;
    const secret = desired.secrets.get(action.secret);
    const standing = secret?.ownSchedule === true && secret.schedule.auto;
    if (action.why === 'rotate-token' || (standing && action.why !== 'flagged')) return action;
    const users = [...desired.targets.values()]
      .filter((target) =>
        loginRefs(target).some(({ ref }) => 'secret' in ref && ref.secret === action.secret),
      )
      .map((target) => target.name);
    const way = action.why === 'flagged' ? '' : ', or a schedule of its own';
    return asHold(action, `it is what ${users.join(', ')} logs in with and needs --yes${way}`);
  });
}
