/** P6: the target stops accepting a version whose grace is over. `retiring` in the pushed state is its journal. */
import type { Desired, RotatedSecret, Target } from '../manifests/model.ts';
import type { Secret } from '../secret.ts';
import { hostsOf } from '../state/hosts.ts';
import type { SecretRecord } from '../state/model.ts';
import { isBlind } from '../state/readers.ts';
import { retired, versionOf } from '../state/transitions.ts';
import type { ChosenDriver, Credentials, RetireResult } from '../targets/driver.ts';
import { currentLogin } from './begin-issued.ts';
import { base } from './conclude.ts';
import type { Action, Result } from './model.ts';
import { changesItself, keyed } from './prepare.ts';
import { retireIssued } from './retire-issued.ts';
import { isOver } from './schedule.ts';
import type { Done } from './upkeep.ts';
import { fenceFreshness, recordNamed, routeTo, targetCredentials, type World } from './world.ts';

export async function retire(
  action: Action,
  secret: RotatedSecret,
  desired: Desired,
  world: World,
): Promise<Done> {
  const ended = (more: Partial<Result>): Done => ({
    action,
    change: null,
    result: { ...base(action), ...more },
  });
  if (world.ledger.age() > fenceFreshness) await world.ledger.refresh();
  const record = recordNamed(world, desired, secret.name);
  const target = desired.targets.get(secret.target);
  const v = action.from;
  const version = v === null ? undefined : record?.versions[v];
  const is = version?.stage === 'retiring' || (version !== undefined && isOver(version, world.clock.now()));
  if (v === null || !record || !is || !target || record.current === null || record.pending)
    return ended({ outcome: 'skipped', detail: 'another run has been here' });
  world.emit({ kind: 'step', secret: secret.name, step: 'retire', version: v });
  const driver = await world.driver(target.type, secret.rotator);
  const own = changesItself(secret);
  const login = own ? null : await targetCredentials(world, desired, target);
  if (login?.r === 'unresolved') return ended({ outcome: 'waiting', detail: login.reason });

  if (driver.machine === 'slots') return ended({ outcome: 'skipped', detail: 'its slot is renewed next' });
  let detail = '';
  if (driver.machine === 'issued') {
    const rotator = driver.rotator({
      target,
      username: secret.account.usernames[0],
      actor: own ? 'self' : 'target',
      admin: login?.credentials,
      login: own ? await currentLogin(record, world) : undefined,
    });
    return retireIssued(action, secret, record, v, driver, rotator, world).finally(() => rotator.close());
  }
  for (const place of retiringAt(secret, record)) {
    const one = desired.targets.get(place);
    if (!one) return ended({ outcome: 'waiting', detail: `there is no target ${place} any more` });
    const told = secret.hosts === undefined ? '' : `${place}: `;
    const admin = own || one === target ? login : await targetCredentials(world, desired, one);
    if (admin?.r === 'unresolved') return ended({ outcome: 'waiting', detail: `${told}${admin.reason}` });
    const result = await retireAt(one, secret, record, v, admin?.credentials, driver, desired, world);
    if (result.r === 'refused')
      return ended({ outcome: 'human', left: 'refused', detail: `${told}${result.detail}` });
    if (result.r === 'unreachable')
      return ended({ outcome: 'waiting', left: 'unknown', detail: `${told}${result.detail}` });
    detail = result.detail;
  }
  const to = retired(record, v, world.clock.now().toISOString());
  return {
    action,
    change: { uid: record.uid, name: secret.name, from: record, to, writes: [] },
    result: { ...base(action), version: v, left: 'changed', detail },
  };
}

/** Of several hosts those that have the current version; one that is new never had the old. */
function retiringAt(secret: RotatedSecret, record: SecretRecord): string[] {
  const known = hostsOf(record);
  return secret.hosts === undefined
    ? [secret.target]
    : secret.hosts.filter((host) => known[host]?.v === record.current);
}

async function retireAt(
  target: Target,
  secret: RotatedSecret,
  record: SecretRecord,
  v: number,
  admin: Credentials | undefined,
  driver: ChosenDriver,
  desired: Desired,
  world: World,
): Promise<RetireResult> {
  const { username } = versionOf(record, v);
  const now = record.current ?? v;
  const live = versionOf(record, now).username === username ? await readValue(record, now, world) : undefined;
  const asked = secret.keyType !== undefined || secret.custom !== undefined;
  const ends = asked ? await readValue(record, v, world) : undefined;
  const { route } = await routeTo(world, desired, target);
  const rotator = driver.rotator({
    target,
    username,
    host: secret.account.host,
    account: secret.account,
    actor: changesItself(secret) ? 'self' : 'target',
    admin,
    current: live,
    retain: driver.overlap(secret.account, secret.keyType, secret.custom) === 'dual',
    mark: { uid: record.uid, version: now },
    ...keyed(secret),
    ...(ends === undefined ? {} : { ends }),
    ...route,
  });
  await world.failpoint('retire.before');
  const result = await rotator.retire(live).finally(() => rotator.close());
  await world.failpoint('retire.afterTarget');
  return result;
}

const readValue = async (record: SecretRecord, v: number, world: World): Promise<Secret | undefined> =>
  isBlind(record, v) ? undefined : (await world.ledger.readVersion(record, v)).value;
