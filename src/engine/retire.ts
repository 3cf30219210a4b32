/** P6: the target stops accepting a version whose grace is over. `retiring` in the pushed state is its journal. */
import type { Desired, RotatedSecret } from '../manifests/model.ts';
import type { Secret } from '../secret.ts';
import type { SecretRecord } from '../state/model.ts';
import { isBlind } from '../state/readers.ts';
import { retired, versionOf } from '../state/transitions.ts';
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
  const driver = await world.driver(target.type);
  const own = changesItself(secret);
  const login = own ? null : await targetCredentials(world, desired, target);
  if (login?.r === 'unresolved') return ended({ outcome: 'waiting', detail: login.reason });

  if (driver.machine === 'issued') {
    const rotator = driver.rotator({
      target,
      username: secret.account.usernames[0],
      actor: own ? 'self' : 'target',
      admin: login?.credentials,
      login: own ? await currentLogin(record, world) : undefined,
    });
    return retireIssued(action, secret, record, v, rotator, world).finally(() => rotator.close());
  }
  const { username } = versionOf(record, v);
  const current = versionOf(record, record.current);
  const live = current.username === username ? await readValue(record, record.current, world) : undefined;
  const asked = secret.keyType !== undefined || secret.custom !== undefined;
  const ends = asked ? await readValue(record, v, world) : undefined;
  const { route } = await routeTo(world, desired, target);
  const rotator = driver.rotator({
    target,
    username,
    host: secret.account.host,
    account: secret.account,
    actor: own ? 'self' : 'target',
    admin: login?.credentials,
    current: live,
    retain: driver.overlap(secret.account, secret.keyType, secret.custom) === 'dual',
    mark: { uid: record.uid, version: record.current },
    ...keyed(secret),
    ...(ends === undefined ? {} : { ends }),
    ...route,
  });
  await world.failpoint('retire.before');
  const result = await rotator.retire(live).finally(() => rotator.close());
  await world.failpoint('retire.afterTarget');
  if (result.r === 'refused') return ended({ outcome: 'human', left: 'refused', detail: result.detail });
  if (result.r === 'unreachable')
    return ended({ outcome: 'waiting', left: 'unknown', detail: result.detail });
  const to = retired(record, v, world.clock.now().toISOString());
  return {
    action,
    change: { uid: record.uid, name: secret.name, from: record, to, writes: [] },
    result: { ...base(action), version: v, left: 'changed', detail: result.detail },
  };
}

const readValue = async (record: SecretRecord, v: number, world: World): Promise<Secret | undefined> =>
  isBlind(record, v) ? undefined : (await world.ledger.readVersion(record, v)).value;
