/** One secret on its way through the machine, from its claim to its outcome. */
import type { RotatedSecret, Target } from '../manifests/model.ts';
import type { Secret } from '../secret.ts';
import type { Health, SecretRecord, VersionRecord } from '../state/model.ts';
import type { Failure } from '../state/transitions.ts';
import type { ChosenRotator } from '../targets/driver.ts';
import { lease, type World } from './world.ts';

export interface Attempt {
  secret: RotatedSecret;
  target: Target;
  /** As claimed by us and pushed. */
  record: SecretRecord;
  version: number;
  value: Secret;
  /** The value recorded as current, where this process may read it. */
  current: Secret | undefined;
  /** Retained values that may be live if neither is, newest first. */
  older: () => Promise<{ v: number; value: Secret } | null>;
  actor: 'self' | 'target';
  retain: boolean;
  rotator: ChosenRotator;
  /** The same rotation, logging in with another value than the recorded current one. */
  withCurrent: (value: Secret) => ChosenRotator;
  /** An earlier run may have sent the value already: look before acting. */
  replay: boolean;
  /** Monotonic time of the claim: with the claim's wall time the two clocks that G6 asks for. */
  claimedAt: number;
}

export type Verified = NonNullable<VersionRecord['verified']>;

export type Outcome =
  /** The value is live: promote. An alarm tells a person what is not as it should be. */
  | { r: 'live'; how: Verified['how']; health: Health; alarm: string | null }
  /** Proven not live and refused by the target: abandon it, draw another. */
  | { r: 'refused'; code: string; detail: string }
  /** Keep it pending. */
  | Keep
  /** Somebody else owns the claim now: touch nothing, write nothing. */
  | { r: 'lost'; detail: string };

export interface Keep {
  r: 'keep';
  failure: Failure;
  /** `waiting`: a rerun recovers. `human`: it does not. */
  outcome: 'waiting' | 'human';
  left: 'unchanged' | 'refused' | 'unknown';
  detail: string;
  hint: string | null;
  health?: Health;
  /** ISO time before which nobody may probe this account. */
  probeAfter?: string;
  /** A retained version that was tried in vain. */
  tried?: number;
}

export const keep = (
  step: string,
  kind: string,
  { code, detail }: { code: string; detail: string },
  more: Partial<Keep> = {},
): Keep => ({
  r: 'keep',
  failure: { class: kind, code, step },
  outcome: 'waiting',
  left: 'unknown',
  detail,
  hint: null,
  ...more,
});

/** The older of the claim's two ages: a suspended machine stops one clock, a stepped clock the other. */
export function claimAge(attempt: Attempt, world: World): number {
  const claim = attempt.record.pending?.claim;
  const wall = claim ? world.clock.now().getTime() - Date.parse(claim.at) : lease;
  return Math.max(wall, world.clock.monotonic() - attempt.claimedAt);
}
