/** Why a secret should have a new version now, the most pressing reason first. PURE. */
import type { RotatedSecret } from '../manifests/model.ts';
import type { SecretRecord, Why } from '../state/model.ts';
import { versionOf } from '../state/transitions.ts';
import { type Audience, readerChange, rekeyWords } from './audience.ts';
import type { Observed } from './decide.ts';
import { straggling } from './hosts.ts';
import { describeSchedule, dueAt } from './schedule.ts';
import { afterSession } from './sessions.ts';
import { relative } from './words.ts';

export function wishToRotate(
  secret: RotatedSecret,
  record: SecretRecord,
  audience: Audience,
  now: Date,
  observed: Observed,
): [Why, string] | null {
  const flagged = observed.wishes.get(secret.name);
  if (flagged !== undefined) return ['flagged', flagged === '' ? 'asked for' : `asked for: ${flagged}`];
  const change = readerChange(record, audience);
  if (!change) return ['new', 'no version is current'];
  if (change.removed.length > 0) return ['reader-removed', `reader removed: ${change.removed.join(', ')}`];
  const rekey = rekeyWords(change);
  if (rekey && change.fixed)
    return ['reader-added', `${rekey}, and nobody else can seal the old value for them`];
  if (secret.rotateToken !== undefined && secret.rotateToken !== record.sched.rotateToken)
    return ['rotate-token', `rotateToken is now "${secret.rotateToken}"`];
  const left = afterSession(secret, record, observed.sessions?.get(secret.name), now);
  if (left !== null) return ['session', left];
  const behind = straggling(secret, record);
  if (behind !== null) return ['drift', behind];
  const due = nextDue(secret, record);
  if (due && due <= now) return ['due', `due ${relative(due, now)} (${describeSchedule(secret.schedule)})`];
  return null;
}

/** When the current version falls due by its schedule; null when it never does by itself. */
export function nextDue(secret: RotatedSecret, record: SecretRecord): Date | null {
  if (record.current === null) return null;
  const base = versionOf(record, record.current).promotedAt;
  if (base === undefined) return null;
  return dueAt(secret.schedule, new Date(base), { uid: record.uid, version: record.current });
}
