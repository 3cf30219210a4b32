/**
 * What one secret needs now. PURE. The first rule that answers wins, but retiring goes beside a rotation:
 *
 * | recorded                                  | desired / clock                 | action            |
 * |-------------------------------------------|---------------------------------|-------------------|
 * | a record                                  | no manifest                     | forget            |
 * | nothing                                   | `initial`                       | adopt             |
 * | nothing                                   | target can set it               | rotate (new)      |
 * | nothing                                   | only the account itself could   | block             |
 * | binding differs from the manifest         |                                 | block: rebind     |
 * | pending, owner alive / back-off / blocked |                                 | hold / hold / block |
 * | pending                                   |                                 | resume            |
 * | retiring, its time is over                |                                 | retire            |
 * | a recipient of current is no reader       |                                 | rotate            |
 * | flagged, `rotateToken` changed, due       | in a window, grace over, backed off | rotate        |
 * | readers added, or `movedFrom`             |                                 | rekey             |
 */

import { fingerprint } from '../age/fingerprint.ts';
import { formatDuration } from '../manifests/durations.ts';
import type { RotatedSecret } from '../manifests/model.ts';
import type { Binding, SecretRecord, Why } from '../state/model.ts';
import { nextVersion, versionOf } from '../state/transitions.ts';
import { bindingChange } from './binding.ts';
import type { Action, Verb } from './model.ts';
import { backoffUntil, describeSchedule, dueAt, isOver } from './schedule.ts';
import { inWindow, nextWindowStart } from './windows.ts';
import { relative } from './words.ts';
import { lease } from './world.ts';

export interface Observed {
  /** Where each secret's credential would be sent, by secret name: what its driver makes of the manifest. */
  bindings: ReadonlyMap<string, Binding>;
  /** Wishes to rotate, by secret name, with their reasons. */
  wishes: ReadonlyMap<string, string>;
  /** Claims whose owner is this runner or known to be dead. */
  deadClaims: ReadonlySet<string>;
  /** Rotate although back-off, grace or the minimal gap says wait. */
  force: boolean;
}

/** Beyond a claim's lease, for clocks that disagree (protocol §7.2). */
export const clockSkew = 5 * 60_000;

export function decide(
  secret: RotatedSecret,
  record: SecretRecord | undefined,
  reconcilers: readonly string[],
  now: Date,
  observed: Observed,
): Action[] {
  if (!record) return [begin(secret, observed)];
  const act = (verb: Verb, reason: string, more: Partial<Action> = {}): Action => ({
    verb,
    secret: secret.name,
    uid: record.uid,
    target: secret.target,
    from: record.current,
    to: null,
    why: null,
    reason,
    ...more,
  });

  const moved = bindingChange(record.binding, observed.bindings.get(secret.name));
  if (moved) return [act('block', `${moved}; run keyturn rebind ${secret.name} if that is right`)];
  if (record.pending) return [pendingAction(record, now, observed, act)];

  // one a run: the changes of a wave are each computed from the record as it was
  const actions = Object.entries(record.versions)
    .filter(([, version]) => isOver(version, now))
    .sort(([, a], [, b]) => Number(b.stage === 'retiring') - Number(a.stage === 'retiring'))
    .slice(0, 1)
    .map(([v, { stage }]) =>
      act(
        'retire',
        stage === 'retiring'
          ? `grace of ${formatDuration(secret.grace)} is over`
          : 'switched off, and nobody has missed it',
        { from: Number(v) },
      ),
    );
  const rotation = rotate(secret, record, reconcilers, now, observed, act);
  if (rotation) actions.push(rotation);
  const rekey = rotation?.verb === 'rotate' ? null : rekeyReason(secret, record, reconcilers);
  if (rekey) actions.push(act('rekey', rekey));
  return actions;
}

function begin(secret: RotatedSecret, observed: Observed): Action {
  const blank = { secret: secret.name, uid: '', target: secret.target, from: null, why: null };
  const flagged = observed.wishes.get(secret.name);
  if (secret.initial)
    return { ...blank, verb: 'adopt', to: 1, reason: 'new here: records the initial value, changes nothing' };
  if (secret.authenticateAs === 'user')
    return {
      ...blank,
      verb: 'block',
      to: null,
      reason: `the account changes its own password, but no value is known; set initial or run keyturn adopt ${secret.name}`,
    };
  if (!secret.schedule.auto && flagged === undefined)
    return {
      ...blank,
      verb: 'hold',
      to: null,
      reason: `manual only; keyturn rotate ${secret.name} makes the first version`,
    };
  return { ...blank, verb: 'rotate', to: 1, why: 'new', reason: 'first version' };
}

type Act = (verb: Verb, reason: string, more?: Partial<Action>) => Action;

function pendingAction(record: SecretRecord, now: Date, observed: Observed, act: Act): Action {
  const { pending, sched, health } = record;
  if (!pending) throw new Error('no pending version');
  const version = { from: pending.v, to: pending.v };
  const { claim } = pending;
  const expires = new Date(Date.parse(claim.at) + claim.lease + clockSkew);
  if (!observed.deadClaims.has(claim.id) && claim.lease > 0 && expires > now)
    return act(
      'hold',
      `claimed by ${claim.by.runner} ${relative(new Date(claim.at), now)}, its lease ends ${relative(expires, now)}`,
      version,
    );
  if (health === 'blocked' && !observed.force)
    return act(
      'block',
      `nobody knows which value is live; run keyturn reconcile or adopt ${record.name}`,
      version,
    );
  const wait = sched.nextAttemptAt === null ? null : new Date(sched.nextAttemptAt);
  if (wait && wait > now && !observed.force)
    return act('hold', `${failureWords(record)}, tried again ${relative(wait, now)}`, version);
  return act('resume', `interrupted ${relative(new Date(claim.at), now)} after the claim`, version);
}

function rotate(
  secret: RotatedSecret,
  record: SecretRecord,
  reconcilers: readonly string[],
  now: Date,
  observed: Observed,
  act: Act,
): Action | null {
  const { schedule } = secret;
  const wish = wishToRotate(secret, record, reconcilers, now, observed);
  if (!wish) return schedule.auto ? null : act('hold', 'manual only');
  const [why, words] = wish;
  const urgent = why === 'flagged' || why === 'rotate-token' || why === 'reader-removed';

  const wait = record.sched.nextAttemptAt === null ? null : new Date(record.sched.nextAttemptAt);
  if (wait && wait > now && !observed.force && why !== 'flagged')
    return act('hold', `${words}; ${failureWords(record)}, tried again ${relative(wait, now)}`);
  const claimedAt = newestClaim(record);
  if (claimedAt + lease > now.getTime() && !observed.force)
    return act(
      'hold',
      `${words}; its last claim is from ${relative(new Date(claimedAt), now)}, --force does not wait`,
    );
  const retiring = Object.entries(record.versions).find(
    ([, v]) => v.stage === 'retiring' && Date.parse(v.retireAfter ?? '') > now.getTime(),
  );
  if (retiring && !urgent && !observed.force) {
    const end = new Date(retiring[1].retireAfter ?? '');
    return act('hold', `${words}; v${retiring[0]} is in its grace, which ends ${relative(end, now)}`);
  }
  if (!urgent && !observed.force && !inWindow(schedule, now)) {
    const opens = nextWindowStart(schedule, now);
    return act('hold', `${words}; its window opens ${opens ? relative(opens, now) : 'never'}`);
  }
  const kept =
    record.current === null
      ? ''
      : secret.keys?.graceful === true
        ? ', old valid until the next rotation'
        : secret.grace > 0
          ? `, old valid ${formatDuration(secret.grace)} more`
          : '';
  const cut = retiring ? `; v${retiring[0]}, still in its grace, stops working` : '';
  return act('rotate', `${words}${kept}${cut}`, { to: nextVersion(record), why });
}

function wishToRotate(
  secret: RotatedSecret,
  record: SecretRecord,
  reconcilers: readonly string[],
  now: Date,
  observed: Observed,
): [Why, string] | null {
  const flagged = observed.wishes.get(secret.name);
  if (flagged !== undefined) return ['flagged', flagged === '' ? 'asked for' : `asked for: ${flagged}`];
  if (record.current === null) return ['new', 'no version is current'];
  const current = versionOf(record, record.current);
  const allowed = new Set(recipientsOf(secret, reconcilers).map(fingerprint));
  const gone = current.readers.filter((reader) => !allowed.has(reader));
  if (gone.length > 0) return ['reader-removed', `reader removed: ${gone.join(', ')}`];
  if (secret.rotateToken !== undefined && secret.rotateToken !== record.sched.rotateToken)
    return ['rotate-token', `rotateToken is now "${secret.rotateToken}"`];
  const due = nextDue(secret, record);
  if (due && due <= now) return ['due', `due ${relative(due, now)} (${describeSchedule(secret.schedule)})`];
  return null;
}

/** A secret rests for a lease after each claim: a suspended owner of the last one can do no harm then (protocol §2). */
const newestClaim = (record: SecretRecord): number =>
  Math.max(...Object.values(record.versions).map((version) => Date.parse(version.createdAt)));

/** When the current version falls due by its schedule; null when it never does by itself. */
export function nextDue(secret: RotatedSecret, record: SecretRecord): Date | null {
  if (record.current === null) return null;
  const base = versionOf(record, record.current).promotedAt;
  if (base === undefined) return null;
  return dueAt(secret.schedule, new Date(base), { uid: record.uid, version: record.current });
}

/** Everybody a version of the secret is sealed to. */
export function recipientsOf(secret: RotatedSecret, reconcilers: readonly string[]): string[] {
  return [...new Set([...reconcilers, ...secret.readers.map((reader) => reader.recipient)])].sort();
}

function rekeyReason(
  secret: RotatedSecret,
  record: SecretRecord,
  reconcilers: readonly string[],
): string | null {
  if (record.name !== secret.name) return `moved from ${record.name}`;
  if (record.current === null) return null;
  const sealedTo = new Set(versionOf(record, record.current).readers);
  const added = secret.readers.filter((reader) => !sealedTo.has(fingerprint(reader.recipient)));
  const keys = reconcilers.filter((recipient) => !sealedTo.has(fingerprint(recipient)));
  if (added.length > 0) return `reader added: ${added.map((reader) => reader.name).join(', ')}`;
  return keys.length > 0 ? 'reconciler added' : null;
}

const failureWords = (record: SecretRecord): string => {
  const { lastError } = record.sched;
  return lastError ? `${lastError.step} failed (${lastError.class}, ${lastError.code})` : 'failed';
};

/** The back-off of protocol §10, or a day where only a human can help. */
export const retryAt = (record: SecretRecord, human: boolean, now: Date): string =>
  (human ? new Date(now.getTime() + 86_400_000) : backoffUntil(record.sched.failures, now)).toISOString();
