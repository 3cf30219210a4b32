/** Takes over a credential that exists: the target is asked by one login and never changed. */
import { KeyturnError } from '../errors.ts';
import type { Desired, RotatedSecret, Target } from '../manifests/model.ts';
import type { Secret } from '../secret.ts';
import { adopted } from '../state/transitions.ts';
import type { Probe } from '../targets/driver.ts';
import type { Driver } from '../targets/registry.ts';
import { keep } from './attempt.ts';
import { base, notNow } from './conclude.ts';
import { recipientsOf } from './decide.ts';
import type { Action } from './model.ts';
import { blank } from './prepare.ts';
import type { Done } from './upkeep.ts';
import { recordNamed, type World } from './world.ts';

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
  const handle = secret.initial?.handle;
  if (driver.machine === 'issued' && handle === undefined)
    throw new KeyturnError(secret.name, 'has no id of the access key to adopt', {
      hint: 'write initial: { accessKeyId: …, secretAccessKey: … } in its manifest',
    });
  const probe = await tryOnce(driver, target, secret, record.uid, action.to ?? 1, name, value, handle);
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
    return { action, ...notNow(action, known, outcome, world.clock.now()) };
  }
  const v = (action.to ?? 1) as number;
  const { write, sealed } = await world.ledger.seal(
    record,
    v,
    {
      value,
      fields: {
        username: name,
        ...(driver.machine === 'issued' && handle !== undefined ? { [driver.handleField]: handle } : {}),
      },
    },
    recipientsOf(secret, desired.project.reconcilers),
  );
  const at = world.clock.now().toISOString();
  const to = adopted(record, {
    at,
    username: name,
    sealed,
    ...(driver.machine === 'issued' && handle !== undefined ? { handle } : {}),
    verified: { at, how: 'login' },
    rotateToken: secret.rotateToken ?? null,
  });
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

/** One login with the value, as itself. */
export async function tryOnce(
  driver: Driver,
  target: Target,
  secret: RotatedSecret,
  uid: string,
  version: number,
  username: string,
  value: Secret,
  handle: string | undefined,
): Promise<Probe> {
  if (driver.machine === 'issued') {
    const login = { handle: handle ?? '', value };
    const rotator = driver.rotator({ target, username, actor: 'self', admin: undefined, login });
    return rotator.verify(login).finally(() => rotator.close());
  }
  const rotator = driver.rotator({
    target,
    username,
    host: secret.account.host,
    account: secret.account,
    actor: 'self',
    admin: undefined,
    current: value,
    retain: false,
    mark: { uid, version },
  });
  return rotator.probe(value).finally(() => rotator.close());
}
