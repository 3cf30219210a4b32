/** One secret on its way through the machine, from its claim to its outcome. */
import type { RotatedSecret } from '../manifests/model.ts';
import type { Secret } from '../secret.ts';
import type { Failure } from '../state/bookkeeping.ts';
import type { Health, SecretRecord, VersionRecord } from '../state/model.ts';
import { isBlind } from '../state/readers.ts';
import { versionOf } from '../state/transitions.ts';
import type { ChosenDriver, ChosenRotator, RotationJob } from '../targets/driver.ts';
import type { World } from './world.ts';

export interface Attempt {
  machine: 'chosen';
  secret: RotatedSecret;
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
  /** Who a value of this rotation is sealed to. */
  recipients: string[];
  /** The same rotation, logging in with another value than the recorded current one. */
  withCurrent: (value: Secret) => ChosenRotator;
  /** The value may have been sent already, by an earlier run or with no answer in this one: look before acting. */
  replay: boolean;
  /** Monotonic time of the claim: with the claim's wall time the two clocks that G6 asks for. */
  claimedAt: number;
}

export function attemptOf(of: {
  secret: RotatedSecret;
  record: SecretRecord;
  value: Secret;
  job: RotationJob;
  driver: ChosenDriver;
  rotator?: ChosenRotator;
  recipients: string[];
  replay: boolean;
  world: World;
}): Attempt {
  const { secret, record, value, job, driver, recipients, replay, world } = of;
  return {
    machine: 'chosen',
    secret,
    record,
    version: job.mark.version,
    value,
    current: job.current,
    older: () => olderValue(record, world),
    actor: job.actor,
    retain: job.retain,
    rotator: of.rotator ?? driver.rotator(job),
    recipients,
    withCurrent: (current) => driver.rotator({ ...job, current }),
    replay,
    claimedAt: world.clock.monotonic(),
  };
}

/** The value that the target should accept for `username` now, if it is the one in use. */
export async function currentValue(
  record: SecretRecord,
  username: string,
  world: World,
): Promise<Secret | undefined> {
  if (record.current === null || versionOf(record, record.current).username !== username) return undefined;
  if (isBlind(record, record.current)) return undefined;
  return (await world.ledger.readVersion(record, record.current)).value;
}

/** The newest abandoned, then the newest former version that was not tried in this rotation. */
async function olderValue(record: SecretRecord, world: World): Promise<{ v: number; value: Secret } | null> {
  const candidates = Object.entries(record.versions)
    .map(([v, version]) => ({ v: Number(v), stage: version.stage }))
    .filter(
      ({ v, stage }) =>
        stage !== 'pending' &&
        stage !== 'current' &&
        !record.pending?.tried.includes(v) &&
        !isBlind(record, v),
    )
    .sort((a, b) => Number(b.stage === 'abandoned') - Number(a.stage === 'abandoned') || b.v - a.v);
  const [best] = candidates;
  return best ? { v: best.v, value: (await world.ledger.readVersion(record, best.v)).value } : null;
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
  | Lost;

export interface Lost {
  r: 'lost';
  detail: string;
}

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
