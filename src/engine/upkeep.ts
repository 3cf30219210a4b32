/** Everything but rotations: adopt what exists, retire what is over, re-encrypt for changed readers. No claim needed. */
import pLimit from 'p-limit';
import type { Desired, RotatedSecret } from '../manifests/model.ts';
import type { Secret } from '../secret.ts';
import type { Change } from '../state/ledger.ts';
import type { SecretRecord } from '../state/model.ts';
import { adopted, rekeyed, retired, type Sealed, versionOf } from '../state/transitions.ts';
import { currentPath, valuePath } from '../state/version-file.ts';
import type { ChosenRotator, RotationJob } from '../targets/driver.ts';
import { keep } from './attempt.ts';
import { base, notNow } from './conclude.ts';
import { recipientsOf } from './decide.ts';
import type { Action, Result } from './model.ts';
import { blank, changesItself } from './prepare.ts';
import { failureResult } from './trouble.ts';
import { fenceFreshness, recordNamed, targetCredentials, type World } from './world.ts';

interface Done {
  action: Action;
  change: Change | null;
  result: Result;
}

export async function upkeep(actions: readonly Action[], desired: Desired, world: World): Promise<Result[]> {
  const limit = pLimit(8);
  const done = await Promise.all(actions.map((action) => limit(() => one(action, desired, world))));
  const changes = done.flatMap(({ change }) => (change ? [change] : []));
  if (changes.length === 0) return done.map(({ result }) => result);
  const verbs = [...new Set(done.filter((d) => d.change).map((d) => d.action.verb))];
  const subject = `keyturn: ${verbs.join(', ')} ${changes.length === 1 ? changes[0]?.name : `${changes.length} secrets`}`;
  for (const verb of verbs) await world.failpoint(`${verb}.beforeCommit`);
  const outcome = await world.ledger.commit(changes, subject, [], verbs);
  for (const verb of verbs) await world.failpoint(`${verb}.afterPush`);
  if (outcome.r === 'committed') {
    const secrets = changes.filter((change) => !outcome.lost.includes(change)).map((change) => change.name);
    world.emit({ kind: 'pushed', subject, serial: outcome.serial, commit: outcome.commit, secrets });
  }
  return done.map(({ change, result }): Result => {
    if (!change || result.outcome !== 'done') return result;
    if (outcome.r !== 'committed')
      return {
        ...result,
        outcome: outcome.r === 'refused' ? 'failed' : 'waiting',
        detail: `could not be pushed: ${outcome.detail}`,
      };
    return outcome.lost.includes(change)
      ? { ...result, outcome: 'waiting', detail: 'another run changed it meanwhile' }
      : result;
  });
}

async function one(action: Action, desired: Desired, world: World): Promise<Done> {
  const secret = desired.secrets.get(action.secret);
  if (!secret)
    return { action, change: null, result: { ...base(action), outcome: 'skipped', detail: 'no manifest' } };
  try {
    switch (action.verb) {
      case 'adopt': {
        if (!secret.initial) throw new Error('adopt without an initial value');
        const { password, username } = secret.initial;
        if ('secret' in password) throw new Error('an initial value that is a rotated secret');
        return await adopt(
          action,
          secret,
          await world.resolve(password, secret.name),
          username,
          desired,
          world,
        );
      }
      case 'retire':
        return await retire(action, secret, desired, world);
      case 'rekey':
        return await rekey(action, secret, desired, world);
      default:
        throw new Error(`${action.verb} is no upkeep`);
    }
  } catch (error) {
    return { action, change: null, result: failureResult(action, error) };
  }
}

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
  const rotator = driver.rotator(jobFor(secret, target, name, value, record.uid, action.to ?? 1));
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
    return { action, ...notNow(action, known, outcome, world.clock.now()) };
  }
  const v = (action.to ?? 1) as number;
  const { write, sealed } = await world.ledger.seal(
    record,
    v,
    { value, fields: { username: name } },
    recipientsOf(secret, desired.project.reconcilers),
  );
  const at = world.clock.now().toISOString();
  const to = adopted(record, {
    at,
    username: name,
    sealed,
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

async function retire(action: Action, secret: RotatedSecret, desired: Desired, world: World): Promise<Done> {
  if (world.ledger.age() > fenceFreshness) await world.ledger.refresh();
  const record = recordNamed(world, desired, secret.name);
  const target = desired.targets.get(secret.target);
  const v = action.from;
  if (
    !record ||
    !target ||
    v === null ||
    record.current === null ||
    record.pending ||
    versionOf(record, v).stage !== 'retiring'
  )
    return {
      action,
      change: null,
      result: { ...base(action), outcome: 'skipped', detail: 'another run has been here' },
    };
  world.emit({ kind: 'step', secret: secret.name, step: 'retire', version: v });
  const driver = await world.driver(target.type);
  const own = changesItself(secret);
  const login = await targetCredentials(world, desired, target);
  if (!own && login.r === 'unresolved')
    return { action, change: null, result: { ...base(action), outcome: 'waiting', detail: login.reason } };
  const { value } = await world.ledger.readVersion(record, record.current);
  const username = versionOf(record, v).username;
  const inUse = versionOf(record, record.current).username === username;
  const job = jobFor(secret, target, username, inUse ? value : undefined, record.uid, record.current);
  const rotator = driver.rotator({
    ...job,
    actor: own ? 'self' : 'target',
    admin: !own && login.r === 'resolved' ? login.credentials : undefined,
    retain: driver.overlap(secret.account) === 'dual',
  });
  await world.failpoint('retire.before');
  const result = await retireAt(rotator, inUse ? value : undefined);
  await world.failpoint('retire.afterTarget');
  if (result.r !== 'retired') {
    const human = result.r === 'refused';
    const outcome = keep('retire', result.r, result, {
      left: human ? 'refused' : 'unknown',
      outcome: human ? 'human' : 'waiting',
    });
    return { action, ...notNow(action, record, outcome, world.clock.now()) };
  }
  const to = retired(record, v, world.clock.now().toISOString());
  return {
    action,
    change: { uid: record.uid, name: secret.name, from: record, to, writes: [] },
    result: { ...base(action), version: v, left: 'changed', detail: result.detail },
  };
}

async function retireAt(
  rotator: ChosenRotator,
  live: Secret | undefined,
): ReturnType<ChosenRotator['retire']> {
  try {
    return await rotator.retire(live);
  } finally {
    await rotator.close();
  }
}

/** The same numbers, sealed anew: what may still be asked for goes to today's readers, history stays as it was. */
async function rekey(action: Action, secret: RotatedSecret, desired: Desired, world: World): Promise<Done> {
  const record = recordNamed(world, desired, secret.name);
  if (!record) throw new Error('rekey without a record');
  const moved = record.name !== secret.name;
  const renamed: SecretRecord = { ...record, name: secret.name };
  const sealed = new Map<number, Sealed>();
  const writes: Change['writes'] = [];
  const recipients = recipientsOf(secret, desired.project.reconcilers);
  for (const v of Object.keys(record.versions).map(Number)) {
    const { stage } = versionOf(record, v);
    if (!moved && stage !== 'current' && stage !== 'retiring') continue;
    const { value, fields } = await world.ledger.readVersion(record, v);
    const made = await world.ledger.seal(renamed, v, { value, fields }, recipients);
    sealed.set(v, made.sealed);
    writes.push(made.write);
    if (moved) writes.push({ path: valuePath(record.name, v), bytes: null });
    world.emit({ kind: 'step', secret: secret.name, step: 'rekey', version: v });
  }
  if (moved && record.current !== null)
    writes.push(
      { path: currentPath(record.name), bytes: null },
      world.ledger.pointer(secret.name, record.current),
    );
  const to = rekeyed(record, secret.name, sealed);
  return {
    action,
    change: { uid: record.uid, name: secret.name, from: record, to, writes },
    result: {
      ...base(action),
      detail: `${sealed.size} ${sealed.size === 1 ? 'version' : 'versions'} re-encrypted`,
    },
  };
}

const jobFor = (
  secret: RotatedSecret,
  target: RotationJob['target'],
  username: string,
  current: Secret | undefined,
  uid: string,
  version: number,
): RotationJob => ({
  target,
  username,
  host: secret.account.host,
  account: secret.account,
  actor: 'self',
  admin: undefined,
  current,
  retain: false,
  mark: { uid, version },
});
