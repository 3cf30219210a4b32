/** One secret whose rotator makes the value and can be asked for it again, on its way from its claim to its outcome. */
import type { Secret } from '../secret.ts';
import type { SecretRecord } from '../state/model.ts';
import type { ChosenRotator, GivenResult } from '../targets/driver.ts';
import type { Attempt } from './attempt.ts';
import type { Receiving } from './record-issued.ts';

export interface GivenAttempt extends Receiving {
  machine: 'given';
  rotator: ChosenRotator & Receiving['rotator'] & { obtain(key: string): Promise<GivenResult> };
  /** The value recorded as current. */
  current: Secret | undefined;
  actor: 'self' | 'target';
  retain: boolean;
  record: SecretRecord;
  /** The same account under another name, which a rotation may give it. */
  named: (username: string) => ChosenRotator;
}

/** The same, once the value is known: what proves and promotes it is the same for every value. */
export function withValue(attempt: GivenAttempt, value: Secret): Attempt {
  const before = attempt.rotator;
  const after = attempt.named(attempt.record.versions[attempt.version]?.username ?? '');
  return {
    machine: 'chosen',
    secret: attempt.secret,
    record: attempt.record,
    version: attempt.version,
    value,
    current: attempt.current,
    older: async () => null,
    actor: attempt.actor,
    retain: attempt.retain,
    rotator: { ...before, probe: (asked) => (asked === attempt.current ? before : after).probe(asked) },
    recipients: attempt.readers.map((reader) => reader.recipient),
    withCurrent: () => before,
    replay: attempt.replay,
    claimedAt: attempt.claimedAt,
  };
}
