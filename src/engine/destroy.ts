/** The end of a secret whose manifest is gone: at the target if asked, then in the state. */
import type { Desired, RotatedSecret, Target } from '../manifests/model.ts';
import type { Change } from '../state/ledger.ts';
import type { SecretRecord } from '../state/model.ts';
import { currentPath, hostPointers } from '../state/pointers.ts';
import { valuePath } from '../state/version-file.ts';
import type { Credentials } from '../targets/driver.ts';
import type { IssuedDriver } from '../targets/issued.ts';
import type { SlotDriver } from '../targets/slots.ts';
import { bindingChange } from './binding.ts';
import { standIn } from './orphans.ts';
import { keyed } from './prepare.ts';
import { routeTo, targetCredentials, type World } from './world.ts';

/** The record, every value, and the wishes for it leave the tree; the history of the branch keeps them. */
export const destroyed = (record: SecretRecord, world: World): Change => ({
  uid: record.uid,
  name: record.name,
  from: record,
  to: null,
  writes: [
    ...Object.keys(record.versions).map((v) => ({ path: valuePath(record.name, Number(v)), bytes: null })),
    ...(record.current === null ? [] : [{ path: currentPath(record.name), bytes: null }]),
    ...hostPointers(record.name, record, { ...record, hosts: {} }),
    ...(world.requests.get(record.name) ?? []).map((path) => ({ path, bytes: null })),
  ],
});

export type Ended =
  | { r: 'retired'; detail: string }
  /** The target was not asked, or said no: what it accepts is as it was. */
  | { r: 'left'; detail: string }
  /** No answer: asking again does no harm. */
  | { r: 'unreachable'; detail: string };

/** Asks the target to accept none of the account's values any more, with the target's own credentials. */
export async function endAtTarget(record: SecretRecord, desired: Desired, world: World): Promise<Ended> {
  const target = desired.targets.get(record.target);
  if (!target) return { r: 'left', detail: `there is no target ${record.target} any more` };
  const secret = standIn(record, 'target', target);
  const driver = await world.driver(target.type, secret.rotator);
  const moved = bindingChange(record.binding, driver.binding(target, secret.account));
  if (moved !== null) return { r: 'left', detail: `${record.target} is not where it was bound to: ${moved}` };
  const login = await targetCredentials(world, desired, target);
  if (login.r === 'unresolved') return { r: 'unreachable', detail: login.reason };
  if (driver.machine === 'slots') return endSlots(record, target, secret, driver, login.credentials);
  if (driver.machine === 'issued') return endIssued(record, target, secret, driver, login.credentials);
  if (!login.credentials) return { r: 'left', detail: `${record.target} has no credentials to do it with` };
  const { route } = await routeTo(world, desired, target);
  for (const username of secret.account.usernames) {
    const rotator = driver.rotator({
      target,
      username,
      host: secret.account.host,
      account: secret.account,
      actor: 'target',
      admin: login.credentials,
      current: undefined,
      retain: false,
      mark: { uid: record.uid, version: record.current ?? 1 },
      givenUp: true,
      ...keyed(secret),
      ...route,
    });
    const result = await rotator.retire(undefined).finally(() => rotator.close());
    if (result.r === 'refused') return { r: 'left', detail: result.detail };
    if (result.r === 'unreachable') return { r: 'unreachable', detail: result.detail };
  }
  return { r: 'retired', detail: `${record.target} accepts no value of it any more` };
}

/** Slots cannot be emptied: what this record knows of them stops working. */
async function endSlots(
  record: SecretRecord,
  target: Target,
  { account }: RotatedSecret,
  driver: SlotDriver,
  admin: Credentials | undefined,
): Promise<Ended> {
  const rotator = driver.rotator({ target, admin, account });
  try {
    const known = Object.values(record.versions).map(({ username }) => username);
    for (const slot of new Set(known.filter((name) => account.usernames.some((one) => one === name)))) {
      const result = await rotator.renew(slot);
      if (result.r === 'refused') return { r: 'left', detail: result.detail };
      if (result.r !== 'renewed') return { r: 'unreachable', detail: result.detail };
    }
  } finally {
    await rotator.close();
  }
  return { r: 'retired', detail: `${record.target} holds new values that nobody has read` };
}

/** Every value of the record goes; what the target holds besides is somebody else's. */
async function endIssued(
  record: SecretRecord,
  target: Target,
  { account }: RotatedSecret,
  driver: IssuedDriver,
  admin: Credentials | undefined,
): Promise<Ended> {
  const [username] = account.usernames;
  const rotator = driver.rotator({ target, username, actor: 'target', admin, login: undefined });
  try {
    const ours = new Set(Object.values(record.versions).map(({ handle }) => handle));
    const listing = await rotator.list();
    if (listing.r === 'refused') return { r: 'left', detail: listing.detail };
    if (listing.r === 'unreachable') return listing;
    for (const { handle } of listing.keys.filter((key) => ours.has(key.handle))) {
      const result = await rotator.remove(handle);
      if (result.r === 'refused') return { r: 'left', detail: result.detail };
      if (result.r === 'unreachable') return result;
    }
  } finally {
    await rotator.close();
  }
  return { r: 'retired', detail: `${record.target} holds no value of it any more` };
}
