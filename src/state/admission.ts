/** Whom the next file of the state is sealed to (protocol A6). Pure. */
import { fingerprint } from '../age/fingerprint.ts';
import type { Folded } from './journal.ts';
import { approvalsAreOn } from './readers.ts';

/**
 * Which recipients that the newest file of the state is not sealed to are let in: `all`; with `known` none of them,
 * until a signer does; `as recorded` is `known` once the records hold approvals.
 */
export type Admits = 'all' | 'known' | 'as recorded';

/** Those of `recipients` that the newest file of the state is not sealed to. */
export function newcomers({ tail, state }: Folded, recipients: readonly string[]): string[] {
  if (state.serial === 0) return [];
  return recipients.filter((one) => !tail.readers.includes(fingerprint(one)));
}

export function admitted(folded: Folded, recipients: readonly string[], admits: Admits): string[] {
  const open = admits === 'as recorded' && !approvalsAreOn(Object.values(folded.state.records));
  if (admits === 'all' || open) return [...recipients];
  const out = new Set(newcomers(folded, recipients));
  return recipients.filter((recipient) => !out.has(recipient));
}
