/** The first version of a secret, and the readers of any version that nobody has let in yet. PURE. */
import type { RotatedSecret } from '../manifests/model.ts';
import type { SecretRecord } from '../state/model.ts';
import type { Audience } from './audience.ts';
import type { Observed } from './decide.ts';
import type { Action } from './model.ts';

/** A record that was made for its approvals alone, or to note why the first version could not be made. */
export const isBlank = (record: SecretRecord): boolean => Object.keys(record.versions).length === 0;

export function begin(
  secret: RotatedSecret,
  record: SecretRecord | undefined,
  audience: Audience,
  observed: Observed,
): Action {
  const blank = { secret: secret.name, uid: record?.uid ?? '', target: secret.target, from: null, why: null };
  if (audience.to.length === 0)
    return { ...blank, verb: 'block', to: null, reason: 'nobody could read its first version' };
  const flagged = observed.wishes.get(secret.name);
  if (secret.initial)
    return { ...blank, verb: 'adopt', to: 1, reason: 'new here: records the initial value, changes nothing' };
  if (secret.rotator === 'storage-key')
    return { ...blank, verb: 'adopt', to: 1, reason: 'new here: reads the key as it is, changes nothing' };
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

/** Declared readers that wait for `keyturn approve`, as a line of the plan. */
export function waiting(
  secret: RotatedSecret,
  record: SecretRecord | undefined,
  audience: Audience,
): Action[] {
  if (audience.waiting.length === 0) return [];
  const names = [...new Set(audience.waiting.map((reader) => reader.name))].join(', ');
  return [
    {
      verb: 'hold',
      secret: secret.name,
      uid: record?.uid ?? '',
      target: secret.target,
      from: record?.current ?? null,
      to: null,
      why: null,
      reason: `not sealed to ${names} before keyturn approve ${secret.name}`,
    },
  ];
}
