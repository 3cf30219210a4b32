/** What sessions of people ask of a rotation. PURE. */
import type { RotatedSecret } from '../manifests/model.ts';
import type { SecretRecord } from '../state/model.ts';
import type { SessionNote } from '../state/sessions.ts';
import { versionOf } from '../state/transitions.ts';
import { relative } from './words.ts';

const person = ({ by }: SessionNote): string => by.replace(/ *<[^>]*>$/, '') || by;

/** Who keeps everybody else away, rotations included; null when nobody does. */
export function inUse(
  secret: RotatedSecret,
  sessions: readonly SessionNote[] | undefined,
  now: Date,
): string | null {
  if (secret.access?.exclusive !== true) return null;
  const open = sessions?.find(({ endedAt, exclusive }) => endedAt === undefined && exclusive);
  return open === undefined
    ? null
    : `${person(open)} has an exclusive session, begun ${relative(new Date(open.openedAt), now)}; --force does not wait`;
}

/** Why a session that has ended means a rotation now; null where none does, or it is not quiet for long enough. */
export function afterSession(
  secret: RotatedSecret,
  record: SecretRecord,
  sessions: readonly SessionNote[] | undefined,
  now: Date,
): string | null {
  const quiet = secret.access?.rotateAfter ?? null;
  if (quiet === null || sessions === undefined || record.current === null) return null;
  const { createdAt } = versionOf(record, record.current);
  const ended = sessions.filter(
    ({ endedAt, unused }) => endedAt !== undefined && unused !== true && endedAt > createdAt,
  );
  const last = ended.toSorted((a, b) => ((a.endedAt ?? '') < (b.endedAt ?? '') ? 1 : -1))[0];
  if (last?.endedAt === undefined) return null;
  const open = sessions.some(({ endedAt }) => endedAt === undefined);
  const endedAt = new Date(last.endedAt);
  if (quiet > 0 && (open || endedAt.getTime() + quiet > now.getTime())) return null;
  const how = last.end === 'left' ? 'ended' : 'ended without a word';
  return `the session of ${person(last)} ${how} ${relative(endedAt, now)}`;
}
