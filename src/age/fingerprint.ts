import { createHash } from 'node:crypto';

/** Public, stable id of an age recipient, for records: age files do not name their recipients. */
export const fingerprint = (recipient: string): string =>
  `fp:${createHash('sha256').update(recipient).digest('hex').slice(0, 16)}`;
