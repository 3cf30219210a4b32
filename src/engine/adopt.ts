/** Takes over a credential that exists: the target is asked by one login and never changed. */
import type { Desired, RotatedSecret } from '../manifests/model.ts';
import type { Secret } from '../secret.ts';
import { approvalsOf, named } from '../state/readers.ts';
import { adopted } from '../state/transitions.ts';
import { keep } from './attempt.ts';
import { declaredFor } from './audience.ts';
import { base, notNow } from './conclude.ts';
import type { Action } from './model.ts';
import { blank, keyed } from './prepare.ts';
import type { Done } from './upkeep.ts';
import { audienceNow, recordNamed, routeTo, type World } from './world.ts';

/** Records a value that the target accepts already. The target is asked by one login and never changed. */
export async function adopt(
  action: Action,
  secret: RotatedSecret,
  value: Secret,
  username: string | undefined,
  desired: Desired,
  world: World,
): Promise<Done> {
  const target = desired.targets.get(secret.target);
  if (!target) throw new Error(`${secret.name} has no target`);
  const driver = await world.driver(target.type);
  const record = recordNamed(world, desired, secret.name) ?? blank(secret, target, driver, world);
  const known = world.ledger.record(record.uid);
  const name = username ?? secret.account.usernames[0];
  world.emit({ kind: 'step', secret: secret.name, step: 'adopt', version: action.to ?? 1 });
  const mark = { uid: record.uid, version: action.to ?? 1 };
  const { route } = await routeTo(world, desired, target);
  const rotator = driver.rotator({
    target,
    username: name,
    host: secret.account.host,
    account: secret.account,
    actor: 'self',
    admin: undefined,
    current: value,
    retain: false,
    mark,
    ...keyed(secret),
    ...route,
  });
  const probe = await rotator.probe(value);
  await rotator.close();
  if (probe.r !== 'ok' && probe.r !== 'ok-restricted') {
    const human = probe.r === 'denied';
    const outcome = keep(
      'adopt',
      probe.r,
      { code: probe.code, detail: `the value to adopt was not accepted: ${probe.detail}` },
      {
        left: 'unchanged',
        outcome: human ? 'human' : 'waiting',
        hint: human
          ? 'correct the initial value, or remove it and let the target set the first version'
          : null,
      },
    );
    const ended = notNow(action, known ?? (human ? record : undefined), outcome, world.clock.now());
    return { action, ...ended, change: ended.change && { ...ended.change, from: known } };
  }
  const v = (action.to ?? 1) as number;
  const audience = audienceNow(secret, record, desired, world);
  const { write, sealed } = await world.ledger.seal(
    record,
    v,
    { value, fields: { username: name, ...(await driver.describe?.(value, mark)) } },
    audience.to.map((reader) => reader.recipient),
  );
  const at = world.clock.now().toISOString();
  const next = adopted(record, {
    at,
    username: name,
    sealed,
    verified: { at, how: 'login' },
    rotateToken: secret.rotateToken ?? null,
    protected: secret.deleteProtection,
  });
  const declared = declaredFor(secret, desired.project.reconcilers, world.clock.now());
  const to = named(approvalsOf(next, declared, desired.project.trust === 'signed'), audience.to);
  return {
    action,
    change: {
      uid: record.uid,
      name: secret.name,
      from: known,
      to,
      writes: [write, world.ledger.pointer(secret.name, v)],
    },
    result: { ...base(action), version: v, detail: 'logged in with it' },
  };
}
