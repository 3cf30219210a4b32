/** A new claim, or a takeover, of a rotation whose value the rotator makes: only the intent can be pushed. */
import type { Desired } from '../manifests/model.ts';
import type { Change } from '../state/ledger.ts';
import type { SecretRecord } from '../state/model.ts';
import { claimed, nextVersion, takenOver, versionOf } from '../state/transitions.ts';
import type { ChosenDriver, RotationJob } from '../targets/driver.ts';
import { fulfilled, newClaim, unfit, withNews } from './begin.ts';
import type { GivenAttempt } from './given-attempt.ts';
import { pendingOf } from './issued-attempt.ts';
import type { Base, Item, Prepared } from './prepare.ts';
import { audienceNow, type World } from './world.ts';

export async function beginGiven(
  item: Item,
  record: SecretRecord,
  driver: ChosenDriver,
  base: Base,
  desired: Desired,
  world: World,
): Promise<Prepared> {
  const { secret, action } = item;
  const known = world.ledger.record(record.uid);
  const v = nextVersion(record);
  world.emit({ kind: 'step', secret: secret.name, step: 'preflight', version: v });
  await world.spool.check();
  const job = await jobOf(item, record, v, base, world);
  const rotator = driver.rotator(job);
  const preflight = await rotator.preflight().finally(() => rotator.close());
  if (preflight.r !== 'ready') return { r: 'not-now', record: known, keep: unfit(preflight, base) };
  const next = claimed(record, {
    v,
    claim: { ...newClaim(world), attempt: 1 },
    why: action.why ?? 'due',
    uses: base.uses,
    baseline: preflight.baseline,
    actor: base.actor,
    retain: base.retain,
    refusals: 0,
    username: job.username,
    sealed: null,
    reason: action.reason,
  });
  const to = withNews(next, item, desired, world);
  const change = {
    uid: record.uid,
    name: secret.name,
    from: known,
    to,
    writes: fulfilled(secret.name, world),
  };
  return ready(item, change, to, driver, job, false, desired, preflight.warnings, world);
}

export async function resumeGiven(
  item: Item,
  record: SecretRecord,
  driver: ChosenDriver,
  base: Base,
  desired: Desired,
  world: World,
): Promise<Prepared> {
  const to = takenOver(record, newClaim(world));
  const { v, claim } = pendingOf(to);
  const job = { ...(await jobOf(item, record, v, base, world)), attempt: claim.attempt };
  const change = { uid: record.uid, name: item.secret.name, from: record, to, writes: [] };
  return ready(item, change, to, driver, job, true, desired, [], world);
}

/** The account that is current now, whose name may have changed with the last rotation. */
async function jobOf(
  { secret }: Item,
  record: SecretRecord,
  v: number,
  base: Base,
  world: World,
): Promise<RotationJob> {
  const mark = { uid: record.uid, version: v };
  if (record.current === null)
    return { ...base, username: secret.account.usernames[0], current: undefined, mark };
  const { value, fields } = await world.ledger.readVersion(record, record.current);
  const { username } = versionOf(record, record.current);
  return {
    ...base,
    username,
    current: value,
    mark,
    ...(fields.id === undefined ? {} : { currentId: fields.id }),
  };
}

function ready(
  { secret }: Item,
  change: Change,
  record: SecretRecord,
  driver: ChosenDriver,
  job: RotationJob,
  replay: boolean,
  desired: Desired,
  warnings: string[],
  world: World,
): Prepared {
  const rotator = driver.rotator(job);
  const { obtain } = rotator;
  if (obtain === undefined) throw new Error(`${job.target.type} makes no values`);
  const attempt: GivenAttempt = {
    machine: 'given',
    secret,
    record,
    version: job.mark.version,
    driver: { handleField: 'operation' },
    // nothing to take back: the successor of a run that lost its claim is given the same, or replaces it
    rotator: { ...rotator, obtain, remove: async () => ({ r: 'done' }) },
    named: (username) => driver.rotator({ ...job, username }),
    current: job.current,
    actor: job.actor,
    retain: job.retain,
    readers: audienceNow(secret, record, desired, world).to,
    onlyCopy: job.actor === 'self' && secret.custom?.replays !== true,
    replay,
    claimedAt: world.clock.monotonic(),
  };
  return { r: 'ready', warnings, change, attempt };
}
