/** Takes over a credential that exists: the target is asked by one login and never changed. */
import { KeyturnError } from '../errors.ts';
import type { Desired, RotatedSecret, Target } from '../manifests/model.ts';
import type { Secret } from '../secret.ts';
import { hostsRebound, hostsSettled } from '../state/hosts.ts';
import { hostPointers } from '../state/pointers.ts';
import { approvalsOf, named } from '../state/readers.ts';
import { adopted } from '../state/transitions.ts';
import type { Probe, RotationJob } from '../targets/driver.ts';
import type { Issued, IssuedDriver } from '../targets/issued.ts';
import type { Driver } from '../targets/registry.ts';
import { keep } from './attempt.ts';
import { declaredFor } from './audience.ts';
import { base, notNow } from './conclude.ts';
import { admitted, at as alone } from './hosts.ts';
import { logIn, together } from './login.ts';
import type { Action } from './model.ts';
import { blank, changesItself } from './prepare.ts';
import { adoptSlot } from './read-slot.ts';
import type { Done } from './upkeep.ts';
import { audienceNow, recordNamed, routeTo, targetCredentials, type World } from './world.ts';

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
  const driver = await world.driver(target.type, secret.rotator);
  if (driver.machine === 'slots') return adoptSlot(action, secret, driver, desired, world);
  const record = recordNamed(world, desired, secret.name) ?? blank(secret, target, driver, world);
  const known = world.ledger.record(record.uid);
  const name = username ?? secret.account.usernames[0];
  world.emit({ kind: 'step', secret: secret.name, step: 'adopt', version: action.to ?? 1 });
  const mark = { uid: record.uid, version: action.to ?? 1 };
  const handle = secret.initial?.handle;
  if (driver.machine === 'issued' && handle === undefined)
    throw new KeyturnError(secret.name, `has no ${driver.handleField} of the value to adopt`, {
      hint: `write initial: { ${driver.handleField}: …, … } in its manifest`,
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
  const listed =
    driver.machine === 'issued' && driver.marks && handle !== undefined
      ? await listedAs({ handle, value }, driver, target, secret, desired, world)
      : {};
  if (listed === null) {
    const detail = `the application has no ${driver.machine === 'issued' ? driver.handleField : ''} ${handle}`;
    const outcome = keep(
      'adopt',
      'unknown-handle',
      { code: 'NOT_LISTED', detail },
      { left: 'unchanged', outcome: 'human', hint: 'correct it: the value belongs to another one' },
    );
    return { action, ...notNow(action, known, outcome, world.clock.now()) };
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
    ...(driver.machine === 'issued' && handle !== undefined ? { handle, ...listed } : {}),
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

/** What the target says of the value by its name, as far as anybody may ask; null where it lists no such value. */
async function listedAs(
  login: Issued,
  driver: IssuedDriver,
  target: Target,
  secret: RotatedSecret,
  desired: Desired,
  world: World,
): Promise<{ expiresAt?: string } | null> {
  const [username] = secret.account.usernames;
  const given = changesItself(secret) ? null : await targetCredentials(world, desired, target);
  if (given?.r === 'unresolved') return {};
  const actor = given === null ? 'self' : 'target';
  const rotator = driver.rotator({ target, username, actor, admin: given?.credentials, login });
  const listing = await rotator.list().finally(() => rotator.close());
  if (listing.r !== 'listed') return {};
  const key = listing.keys.find(({ handle }) => handle === login.handle);
  return key ? { ...(key.expiresAt === undefined ? {} : { expiresAt: key.expiresAt }) } : null;
}

/** What readers may ask for beside the value. */
async function fieldsOf(
  driver: Driver,
  value: Secret,
  handle: string | undefined,
  mark: RotationJob['mark'],
): Promise<Record<string, string>> {
  if (driver.machine === 'chosen') return (await driver.describe?.(value, mark)) ?? {};
  if (driver.machine === 'slots') return {};
  return handle === undefined ? {} : { [driver.handleField]: handle };
}
