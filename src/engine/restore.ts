/** Whether an earlier value may be set again as a new version. PURE. */

import { fingerprint } from '../age/fingerprint.ts';
import { KeyturnError } from '../errors.ts';
import type { RotatedSecret } from '../manifests/model.ts';
import type { SecretRecord } from '../state/model.ts';
import { isBlind, knownBy, nameOf } from '../state/readers.ts';
import type { Audience } from './audience.ts';

/**
 * Throws KeyturnError that says why not: a value that was never proven, that is gone, that nobody here can read, or that
 * somebody knows who may not know the new version. Whether the target takes it, only the target can say.
 */
export function refuseRestore(
  secret: RotatedSecret,
  record: SecretRecord | undefined,
  audience: Audience,
  v: number,
): void {
  const no = (what: string, hint: string): KeyturnError => new KeyturnError(secret.name, what, { hint });
  if (secret.custom?.generate === 'rotator')
    throw no('has values that its rotator makes', `keyturn rotate ${secret.name} asks for a new one`);
  const version = record?.versions[v];
  const fresh = `keyturn rotate ${secret.name} makes a new value`;
  if (!record || !version)
    throw no(`has no version ${v}, or keeps it no longer`, `keyturn show ${secret.name} lists what is kept`);
  if (record.current === v) throw no(`v${v} is the current version`, fresh);
  if (version.promotedAt === undefined)
    throw no(`v${v} was never current: nobody knows that it works`, fresh);
  if (isBlind(record, v)) throw no(`v${v} is blind: only its readers can decrypt it`, fresh);
  const allowed = new Set(audience.to.map((reader) => fingerprint(reader.recipient)));
  const strangers = knownBy(version).filter((fp) => !allowed.has(fp));
  if (strangers.length > 0) {
    const names = [...new Set(strangers.map((fp) => nameOf(record, fp)))].join(', ');
    throw no(`v${v} is known to ${names}, who may not read it any more`, fresh);
  }
}
