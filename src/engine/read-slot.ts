/** Takes over what a slot holds, by reading it: for the first version, and wherever record and target differ. */
import type { Desired, RotatedSecret } from '../manifests/model.ts';
import type { Change } from '../state/ledger.ts';
import type { SecretRecord } from '../state/model.ts';
import { isBlind, named } from '../state/readers.ts';
import { adopted, nextVersion, versionOf } from '../state/transitions.ts';
import { fingerprintOf, type Reading, type SlotDriver } from '../targets/slots.ts';
import { base, notNow } from './conclude.ts';
import type { Action } from './model.ts';
import { blank } from './prepare.ts';
import { unread } from './slot-attempt.ts';
import type { Done } from './upkeep.ts';
import { audienceNow, recordNamed, targetCredentials, type World } from './world.ts';

/** Records what the slot in use holds, of a new secret the first of its slots. The target is not changed. */
export async function adoptSlot(
  action: Action,
  secret: RotatedSecret,
  driver: SlotDriver,
  desired: Desired,
  world: World,
): Promise<Done> {
  const target = desired.targets.get(secret.target);
  if (!target) throw new Error(`${secret.name} has no target`);
  const record = recordNamed(world, desired, secret.name) ?? blank(secret, target, driver, world);
  const known = world.ledger.record(record.uid);
  world.emit({ kind: 'step', secret: secret.name, step: 'adopt', version: nextVersion(record) });
  const reading = await readSlots(secret, driver, desired, world);
  if (reading.r !== 'read') {
    const problem = unread(reading, { left: 'unchanged' });
    return { action, ...notNow(action, known, problem, world.clock.now()) };
  }
  const change = await takeOver(record, known, secret, reading, driver, desired, world);
  const result = { ...base(action), version: change.v, detail: `read ${change.slot} as it is` };
  return { action, change: change.change, result };
}

/** For the target to show what it made just now. */
const showing = 5_000;

/**
 * After a claim changed hands: a former owner may have renewed the slot once more. What it holds now becomes a version,
 * so that whoever reads the record has what the target accepts. True where that was needed. `before`: the fingerprint
 * of what the slot held before the claim, which no slot holds again.
 */
export async function reread(
  secret: RotatedSecret,
  driver: SlotDriver,
  before: string | undefined,
  desired: Desired,
  world: World,
): Promise<boolean> {
  for (let tries = 0; tries < 3; tries += 1) {
    await world.ledger.refresh();
    const record = recordNamed(world, desired, secret.name);
    // whoever holds the claim looks again when it is done
    if (!record || record.current === null || record.pending) return false;
    const reading = await readSlots(secret, driver, desired, world);
    if (reading.r !== 'read' || (await isHeld(record, record.current, reading, world))) return false;
    if (await isLate(record, record.current, reading, before, world)) {
      await world.clock.sleep(showing);
      continue;
    }
    const { change } = await takeOver(record, record, secret, reading, driver, desired, world);
    const subject = `keyturn: read ${secret.name} again`;
    const outcome = await world.ledger.commit([change], subject, [], ['adopt']);
    if (outcome.r === 'committed' && outcome.lost.length === 0) {
      const { commit, serial } = outcome;
      world.emit({ kind: 'pushed', subject, serial, commit, secrets: [secret.name] });
      return true;
    }
    if (outcome.r === 'refused') return false;
  }
  return false;
}

/** Whether the slot of version `v` holds its value. */
export async function isHeld(
  record: SecretRecord,
  v: number,
  { slots }: Extract<Reading, { r: 'read' }>,
  world: World,
): Promise<boolean> {
  const live = slots.find(({ name }) => name === versionOf(record, v).username);
  if (!live) return false;
  const { value } = await world.ledger.readVersion(record, v);
  return fingerprintOf(record.uid, value) === fingerprintOf(record.uid, live.value);
}

/** Whether the slot of version `v` is shown with a value that it had before: the target shows late what was made. */
async function isLate(
  record: SecretRecord,
  v: number,
  { slots }: Extract<Reading, { r: 'read' }>,
  before: string | undefined,
  world: World,
): Promise<boolean> {
  const { username } = versionOf(record, v);
  const live = slots.find(({ name }) => name === username);
  const print = live && fingerprintOf(record.uid, live.value);
  if (print !== undefined && print === before) return true;
  for (const [number, version] of Object.entries(record.versions)) {
    const one = Number(number);
    if (one === v || version.username !== username || version.file === null || isBlind(record, one)) continue;
    const { value } = await world.ledger.readVersion(record, one);
    if (fingerprintOf(record.uid, value) === print) return true;
  }
  return false;
}

export async function readSlots(
  secret: RotatedSecret,
  driver: SlotDriver,
  desired: Desired,
  world: World,
): Promise<Reading> {
  const target = desired.targets.get(secret.target);
  if (!target) throw new Error(`${secret.name} has no target`);
  const login = await targetCredentials(world, desired, target);
  if (login.r === 'unresolved') return { r: 'unreachable', code: 'target', detail: login.reason };
  const rotator = driver.rotator({ target, admin: login.credentials, account: secret.account });
  return rotator.read().finally(() => rotator.close());
}

async function takeOver(
  record: SecretRecord,
  known: SecretRecord | undefined,
  secret: RotatedSecret,
  { slots }: Extract<Reading, { r: 'read' }>,
  driver: SlotDriver,
  desired: Desired,
  world: World,
): Promise<{ change: Change; v: number; slot: string }> {
  const target = desired.targets.get(secret.target);
  const inUse = record.current === null ? undefined : versionOf(record, record.current).username;
  const found = slots.find(({ name }) => name === inUse) ?? slots[0];
  if (!target || !found) throw new Error(`${secret.name} has no slot`);
  const v = nextVersion(record);
  const audience = audienceNow(secret, record, desired, world);
  const { write, sealed } = await world.ledger.seal(
    record,
    v,
    { value: found.value, fields: { username: found.name, ...driver.describe(target, found.name) } },
    audience.to.map((reader) => reader.recipient),
  );
  const at = world.clock.now().toISOString();
  const next = adopted(record, {
    at,
    username: found.name,
    sealed,
    verified: { at, how: 'witness' },
    rotateToken: secret.rotateToken ?? null,
    protected: secret.deleteProtection,
  });
  const to = named(next, audience.to);
  const writes = [write, world.ledger.pointer(secret.name, v)];
  return { change: { uid: record.uid, name: secret.name, from: known, to, writes }, v, slot: found.name };
}
