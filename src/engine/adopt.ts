/** Takes over a credential that exists: the target is asked by one login and never changed. */
import { KeyturnError } from '../errors.ts';
import type { Desired, RotatedSecret } from '../manifests/model.ts';
import type { Secret } from '../secret.ts';
import { hostsRebound, hostsSettled } from '../state/hosts.ts';
import { approvalsOf, named } from '../state/readers.ts';
import { adopted } from '../state/transitions.ts';
import { hostPointers } from '../state/version-file.ts';
import type { Probe, RotationJob } from '../targets/driver.ts';
import type { Driver } from '../targets/registry.ts';
import { keep } from './attempt.ts';
import { declaredFor } from './audience.ts';
import { base, notNow } from './conclude.ts';
import { admitted, at as alone } from './hosts.ts';
import { logIn, together } from './login.ts';
import type { Action } from './model.ts';
import { blank } from './prepare.ts';
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
  const handle = secret.initial?.handle;
  if (driver.machine === 'issued' && handle === undefined)
    throw new KeyturnError(secret.name, 'has no id of the access key to adopt', {
      hint: 'write initial: { accessKeyId: …, secretAccessKey: … } in its manifest',
    });
  const answers: { host: string; probe: Probe }[] = [];
  for (const host of admitted(secret, record)) {
    const there = desired.targets.get(host) ?? target;
    const { route } = await routeTo(world, desired, there);
    const login = {
      target: there,
      secret: alone(secret, host),
      username: name,
      value,
      handle,
      mark,
      ...route,
    };
    answers.push({ host, probe: await logIn(driver, login) });
  }
  const [only] = answers;
  const probe = secret.hosts === undefined && only ? only.probe : together(answers);
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
    { value, fields: { username: name, ...(await fieldsOf(driver, value, handle, mark)) } },
    audience.to.map((reader) => reader.recipient),
  );
  const at = world.clock.now().toISOString();
  const taken = adopted(record, {
    at,
    username: name,
    sealed,
    ...(driver.machine === 'issued' && handle !== undefined ? { handle } : {}),
    verified: { at, how: 'login' },
    rotateToken: secret.rotateToken ?? null,
    protected: secret.deleteProtection,
  });
  const bindings = answers.flatMap(({ host }) => {
    const there = desired.targets.get(host);
    return there ? [[host, driver.binding(there, secret.account)] as const] : [];
  });
  const next =
    secret.hosts === undefined
      ? taken
      : hostsSettled(
          hostsRebound(taken, new Map(bindings)),
          answers.map(({ host }) => host),
        );
  const declared = declaredFor(secret, desired.project.reconcilers, world.clock.now());
  const to = named(approvalsOf(next, declared, desired.project.trust === 'signed'), audience.to);
  return {
    action,
    change: {
      uid: record.uid,
      name: secret.name,
      from: known,
      to,
      writes: [write, world.ledger.pointer(secret.name, v), ...hostPointers(secret.name, known, to)],
    },
    result: { ...base(action), version: v, detail: 'logged in with it' },
  };
}

/** What readers may ask for beside the value. */
async function fieldsOf(
  driver: Driver,
  value: Secret,
  handle: string | undefined,
  mark: RotationJob['mark'],
): Promise<Record<string, string>> {
  if (driver.machine === 'chosen') return (await driver.describe?.(value, mark)) ?? {};
  return handle === undefined ? {} : { [driver.handleField]: handle };
}
