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
 * | readers added to a blind secret           |                                 | rotate            |
 * | a session has ended                       | it asks for it, all quiet       | rotate            |
 * | an exclusive session goes on              | anything would touch the target | hold              |
 * | a host has another version than current   | as below                        | rotate            |
 * | flagged, `rotateToken` changed, due       | in a window, grace over, backed off | rotate        |
 * | readers added, or `movedFrom`             | claim not alive                 | rekey             |
 * | readers added, `trust: signed`            | not approved                    | hold              |
 */

import { formatDuration } from '../manifests/durations.ts';
import type { RotatedSecret } from '../manifests/model.ts';
import type { Binding, SecretRecord } from '../state/model.ts';
import type { SessionNote } from '../state/sessions.ts';
import { nextVersion } from '../state/transitions.ts';
import { type Audience, audienceOf, type Gate, readerChange, rekeyWords } from './audience.ts';
import { newPlaces } from './binding.ts';
import { expiryReason } from './expiry.ts';
import { begin, isBlank, waiting } from './first-version.ts';
import { admitted, comingAndGoing, movedPlace } from './hosts.ts';
import type { Act, Action } from './model.ts';
import { failureWords } from './retry.ts';
import { isOver } from './schedule.ts';
import { inUse } from './sessions.ts';
import { isClaimAlive, unfinished } from './unfinished.ts';
import { nextDue, wishToRotate } from './why.ts';
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
  /** Versions whose values are set again, by secret name: that rotation draws none. */
  restores?: ReadonlyMap<string, number>;
  /** Sessions of people, by secret name: those that go on, and the newest that have ended. */
  sessions?: ReadonlyMap<string, readonly SessionNote[]>;
  /** Somebody says yes to rotating what a target logs in with: `--yes`, or a terminal on which they are asked. */
  assent?: boolean;
  /** Rotate although back-off, grace or the minimal gap says wait. */
  force: boolean;
}

export function decide(
  secret: RotatedSecret,
  record: SecretRecord | undefined,
  reconcilers: readonly string[],
  now: Date,
  observed: Observed,
  gate: Gate = null,
): Action[] {
  const audience = audienceOf(secret, record, reconcilers, now, gate);
  if (!record) return [begin(secret, record, audience, observed), ...waiting(secret, record, audience)];
  const act: Act = (verb, reason, more) => ({
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

  const moved =
    movedPlace(secret, record, observed.bindings) ??
    newPlaces(record.binding, observed.bindings.get(secret.name));
  if (moved) return [act('block', `${moved}; run keyturn rebind ${secret.name} if that is right`)];
  if (isBlank(record))
    return [begin(secret, record, audience, observed), ...waiting(secret, record, audience)];
  const asked = [...waiting(secret, record, audience), ...comingAndGoing(secret, record, act)];
  const rekey = rekeyReason(secret, record, audience);
  if (record.pending) {
    const action = unfinished(secret, record, now, observed, act);
    const sealed = rekey === null || isClaimAlive(record, now) ? [] : [act('rekey', rekey)];
    return [action, ...sealed, ...asked];
  }

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
  const rotation = rotate(secret, record, audience, now, observed, act);
  if (rotation) actions.push(rotation);
  const end = rotation ? null : expiryReason(secret, record, nextDue(secret, record), now);
  if (end) actions.push(act('hold', end));
  if (rekey && rotation?.verb !== 'rotate') actions.push(act('rekey', rekey));
  return [...actions, ...asked];
}

function rotate(
  secret: RotatedSecret,
  record: SecretRecord,
  audience: Audience,
  now: Date,
  observed: Observed,
  act: Act,
): Action | null {
  const { schedule } = secret;
  const wish = wishToRotate(secret, record, audience, now, observed);
  if (!wish) return schedule.auto ? null : act('hold', 'manual only');
  const [why, words] = wish;
  if (audience.to.length === 0) return act('block', `${words}; nobody could read a new version`);
  const urgent = why === 'flagged' || why === 'rotate-token' || why === 'reader-removed' || why === 'session';
  const busy = inUse(secret, observed.sessions?.get(secret.name), now);
  if (busy !== null && !observed.force) return act('hold', `${words}; ${busy}`);

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
  const restore = observed.restores?.get(secret.name);
  const again = restore === undefined ? '' : `, the value of v${restore} again`;
  const where = secret.hosts === undefined ? '' : `, on ${admitted(secret, record).length} hosts`;
  return act('rotate', `${words}${again}${where}${kept}${cut}`, {
    to: nextVersion(record),
    why,
    ...(restore === undefined ? {} : { restore }),
  });
}

/** A secret rests for a lease after each claim: a suspended owner of the last one can do no harm then (protocol §2). */
const newestClaim = (record: SecretRecord): number =>
  Math.max(...Object.values(record.versions).map((version) => Date.parse(version.createdAt)));

/** Why the versions in use must be sealed anew, or null. */
function rekeyReason(secret: RotatedSecret, record: SecretRecord, audience: Audience): string | null {
  if (record.name !== secret.name) return `moved from ${record.name}`;
  const change = readerChange(record, audience);
  return change === null || change.fixed ? null : rekeyWords(change);
}
