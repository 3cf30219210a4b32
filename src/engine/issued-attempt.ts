/** One secret whose target makes the value, on its way from its claim to its outcome. */
import type { KeyPolicy, Reader, RotatedSecret } from '../manifests/model.ts';
import type { SecretRecord } from '../state/model.ts';
import type { IssuedDriver, IssuedRotator } from '../targets/issued.ts';
import type { Keep, Lost } from './attempt.ts';
import type { UnderWay } from './fence.ts';

export interface IssuedAttempt extends UnderWay {
  machine: 'issued';
  driver: IssuedDriver;
  rotator: IssuedRotator;
  policy: KeyPolicy;
  /** Everybody the value will be sealed to. */
  readers: Reader[];
  /** What this run has removed: a list that lags may still show it. */
  gone: Set<string>;
  /** Values that this run has asked for. */
  asked: number;
  /** Wall time of the last question that was not answered. */
  lostAt?: number;
}

export type IssuedOutcome =
  /** Recorded and proven: promote. */
  | { r: 'live' }
  /** Recorded, but no longer at the target: abandon it, the next rotation makes another. */
  | { r: 'gone'; detail: string }
  | Keep
  | Lost;

const day = 86_400_000;

/** Also what a rotation without a manifest ends by: nothing is touched that is not ours for certain. */
export const cautious: KeyPolicy = {
  graceful: false,
  exclusive: false,
  deleteAfter: 7 * day,
  stillInUseWindow: day,
  stillInUse: 'block',
};

export const keysOf = (secret: RotatedSecret): KeyPolicy => secret.keys ?? cautious;

/** The record as the remote has it, where this attempt still owns it. */
export const pendingOf = (record: SecretRecord): NonNullable<SecretRecord['pending']> => {
  if (!record.pending) throw new Error(`${record.name} has no pending version`);
  return record.pending;
};
