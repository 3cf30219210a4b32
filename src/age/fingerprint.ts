import { createHash } from 'node:crypto';

const known = new Map<string, string>();

/** Public, stable id of an age recipient, for records: age files do not name their recipients. */
export function fingerprint(recipient: string): string {
  const found = known.get(recipient);
  if (found !== undefined) return found;
  const made = `fp:${createHash('sha256').update(recipient).digest('hex').slice(0, 16)}`;
  // a few recipients, asked for once a secret
  known.set(recipient, made);
  return made;
}
