/** What `keyturn reconcile` plans: the secret's rotation, but with the target's credentials. PURE. */
import { KeyturnError } from '../errors.ts';
import type { Desired } from '../manifests/model.ts';
import type { SecretRecord } from '../state/model.ts';
import { nextVersion } from '../state/transitions.ts';
import { placesOf } from './hosts.ts';
import type { Action, Plan } from './model.ts';
import { labelOf } from './plan.ts';

export interface Repair {
  /** The same wishes, with this one secret set by its target. */
  desired: Desired;
  plan: (now: Plan) => Plan;
}

export function makeRepair(desired: Desired, record: SecretRecord): Repair {
  const secret = desired.secrets.get(record.name);
  const target = secret && desired.targets.get(secret.target);
  if (!secret || !target)
    throw new KeyturnError(record.name, 'has no manifest', { hint: 'restore it first' });
  // a custom rotator that needs no current value sets one whatever is live
  const asked = secret.authenticateAs === 'target';
  const bare = placesOf(secret)
    .map((place) => desired.targets.get(place))
    .some((place) => !place?.credentials && !place?.aws && !place?.azure && !(place?.web && asked));
  if (bare || secret.rotator === 'target')
    throw new KeyturnError(
      record.name,
      `nobody else may set it: ${secret.rotator === 'target' ? 'it is what the target logs in with' : 'the target has no credentials'}`,
      {
        hint: `set it by hand at the target, then keyturn adopt ${record.name}`,
        exit: 3,
      },
    );
  const action: Action = {
    verb: record.pending ? 'resume' : 'rotate',
    secret: record.name,
    uid: record.uid,
    target: target.name,
    from: record.current,
    to: record.pending?.v ?? nextVersion(record),
    why: 'drift',
    reason: 'reconciled with the credentials of the target',
  };
  return {
    desired: {
      ...desired,
      secrets: new Map(desired.secrets).set(secret.name, { ...secret, authenticateAs: 'target' }),
    },
    plan: (now) => ({
      ...now,
      unsafe: [],
      groups: [
        {
          target: target.name,
          label: labelOf(target),
          warnings: [],
          actions: [action],
        },
      ],
    }),
  };
}
