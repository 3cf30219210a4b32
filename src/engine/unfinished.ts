/** What a rotation that began and did not end needs now, and for how long a claim keeps others away. PURE. */
import type { RotatedSecret } from '../manifests/model.ts';
import type { SecretRecord } from '../state/model.ts';
import type { Observed } from './decide.ts';
import { progress } from './hosts.ts';
import type { Act, Action } from './model.ts';
import { failureWords } from './retry.ts';
import { inUse } from './sessions.ts';
import { relative } from './words.ts';

/** Beyond a claim's lease, for clocks that disagree (protocol §7.2). */
export const clockSkew = 5 * 60_000;

/** Somebody may be rotating it right now, and every change of the record would get in the way. */
export const isClaimAlive = ({ pending }: SecretRecord, now: Date): boolean =>
  pending !== null && Date.parse(pending.claim.at) + pending.claim.lease + clockSkew > now.getTime();

export function unfinished(
  secret: RotatedSecret,
  record: SecretRecord,
  now: Date,
  observed: Observed,
  decided: Act,
): Action {
  const { pending, sched, health } = record;
  if (!pending) throw new Error('no pending version');
  const version = { from: pending.v, to: pending.v };
  const far = progress(secret, record);
  const act: Act = (verb, reason, more) => decided(verb, far === null ? reason : `${far}; ${reason}`, more);
  const { claim } = pending;
  const expires = new Date(Date.parse(claim.at) + claim.lease + clockSkew);
  if (!observed.deadClaims.has(claim.id) && claim.lease > 0 && expires > now)
    return act(
      'hold',
      `claimed by ${claim.by.runner} ${relative(new Date(claim.at), now)}, its lease ends ${relative(expires, now)}; keyturn unlock ${record.name} if it is certainly gone`,
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
  const busy = inUse(secret, observed.sessions?.get(secret.name), now);
  if (busy !== null && !observed.force) return act('hold', `interrupted; ${busy}`, version);
  return act('resume', `interrupted ${relative(new Date(claim.at), now)} after the claim`, version);
}
