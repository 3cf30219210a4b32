/** Values that die by themselves: said before they do, because nothing else would. PURE. */
import type { RotatedSecret } from '../manifests/model.ts';
import type { SecretRecord } from '../state/model.ts';
import { versionOf } from '../state/transitions.ts';
import { relative } from './words.ts';

/** From when on the end of a value that nobody is to replace is said. */
const soon = 30 * 86_400_000;

/** Why somebody should look at the current version's end, or null. `due`: when it is to be replaced, if ever. */
export function expiryReason(
  { name, schedule }: RotatedSecret,
  record: SecretRecord,
  due: Date | null,
  now: Date,
): string | null {
  if (record.current === null) return null;
  const { expiresAt } = versionOf(record, record.current);
  if (expiresAt === undefined) return null;
  const end = new Date(expiresAt);
  const inTime = due === null ? now.getTime() + soon : due.getTime() + schedule.overdueAfter;
  if (end.getTime() > inTime) return null;
  const words = `v${record.current} ends by itself ${relative(end, now)}`;
  return due === null
    ? `${words}, and nothing is to replace it; keyturn rotate ${name}`
    : `${words}, its next rotation is due ${relative(due, now)}; shorten schedule.every, or keyturn rotate ${name}`;
}
