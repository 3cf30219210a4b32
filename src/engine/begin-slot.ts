/** S1 without the push: read what the slots hold, and write down by what to know that one was renewed (protocol §4.4). */
import type { Desired, RotatedSecret } from '../manifests/model.ts';
import type { Change } from '../state/ledger.ts';
import type { SecretRecord } from '../state/model.ts';
import { claimed, nextVersion, pendingOf, takenOver, versionOf } from '../state/transitions.ts';
import { fingerprintOf, type Slot, type SlotDriver } from '../targets/slots.ts';
import { fulfilled, newClaim, nextUsername, withNews } from './begin.ts';
import type { IssuedBase } from './begin-issued.ts';
import type { Item, Prepared } from './prepare.ts';
import { baselineOf, type SlotAttempt, unread } from './slot-attempt.ts';
import { audienceNow, type World } from './world.ts';

export async function beginSlot(
  item: Item,
  record: SecretRecord,
  driver: SlotDriver,
  base: IssuedBase,
  desired: Desired,
  world: World,
): Promise<Prepared> {
  const { secret, action } = item;
  const known = world.ledger.record(record.uid);
  const v = nextVersion(record);
  world.emit({ kind: 'step', secret: secret.name, step: 'preflight', version: v });
  const slot = nextUsername(secret, record);
  const rotator = driver.rotator({ ...base, account: secret.account });
  const reading = await rotator.read();
  await rotator.close();
  if (reading.r !== 'read')
    return { r: 'not-now', record: known, keep: unread(reading, { left: 'unchanged' }) };
  const held = reading.slots.find(({ name }) => name === slot);
  if (!held) throw new Error(`${slot} was not read`);
  const next = claimed(record, {
    v,
    claim: { ...newClaim(world), attempt: 1 },
    why: action.why ?? 'due',
    uses: base.uses,
    baseline: baselineOf(record.uid, held),
    actor: 'target',
    retain: secret.account.usernames.length === 2,
    refusals: 0,
    username: slot,
    sealed: null,
    reason: action.reason,
  });
  const to = withNews(next, item, desired, world);
  const writes = fulfilled(secret.name, world);
  const change = { uid: record.uid, name: secret.name, from: known, to, writes };
  const warnings = await driftOf(record, reading.slots, world);
  return ready(change, to, secret, driver, base, false, desired, warnings, world);
}

/** A takeover: the same slot under a new claim. */
export async function resumeSlot(
  item: Item,
  record: SecretRecord,
  driver: SlotDriver,
  base: IssuedBase,
  desired: Desired,
  world: World,
): Promise<Prepared> {
  const to = takenOver(record, newClaim(world));
  const change = { uid: record.uid, name: item.secret.name, from: record, to, writes: [] };
  return ready(change, to, item.secret, driver, base, true, desired, [], world);
}

function ready(
  change: Change,
  record: SecretRecord,
  secret: RotatedSecret,
  driver: SlotDriver,
  base: IssuedBase,
  replay: boolean,
  desired: Desired,
  warnings: string[],
  world: World,
): Prepared {
  const { v } = pendingOf(record);
  const attempt: SlotAttempt = {
    machine: 'slots',
    secret,
    record,
    version: v,
    target: base.target,
    driver,
    rotator: driver.rotator({ ...base, account: secret.account }),
    slot: versionOf(record, v).username,
    readers: audienceNow(secret, record, desired, world).to,
    replay,
    claimedAt: world.clock.monotonic(),
  };
  return { r: 'ready', warnings, change, attempt };
}

/** Somebody renewed the slot in use by hand: a rotation mends it, and whoever reads the present value should know. */
async function driftOf(record: SecretRecord, slots: readonly Slot[], world: World): Promise<string[]> {
  if (record.current === null) return [];
  const { username } = versionOf(record, record.current);
  const live = slots.find(({ name }) => name === username);
  if (!live) return [];
  const { value } = await world.ledger.readVersion(record, record.current);
  return fingerprintOf(record.uid, value) === fingerprintOf(record.uid, live.value)
    ? []
    : [`${username} no longer holds v${record.current}: somebody renewed it`];
}
