/** P0 and P1 without the push: who changes it, with which login; then a new claim, or a takeover of an old one. */
import { KeyturnError } from '../errors.ts';
import type { Desired, RotatedSecret, Target } from '../manifests/model.ts';
import type { Change } from '../state/ledger.ts';
import type { Pending, SecretRecord } from '../state/model.ts';
import { isBlind } from '../state/readers.ts';
import { abandoned, newRecord, takenOver, versionOf } from '../state/transitions.ts';
import type { ChosenDriver, RotationJob } from '../targets/driver.ts';
import type { Driver } from '../targets/registry.ts';
import { type Attempt, attemptOf, currentValue, type Keep, keep } from './attempt.ts';
import { begin, newClaim } from './begin.ts';
import { beginGiven, resumeGiven } from './begin-given.ts';
import { prepareHosts } from './begin-hosts.ts';
import { beginIssued, resumeIssued } from './begin-issued.ts';
import { beginSlot, resumeSlot } from './begin-slot.ts';
import { boundTo } from './binding.ts';
import type { GivenAttempt } from './given-attempt.ts';
import type { HostsAttempt } from './hosts-attempt.ts';
import type { IssuedAttempt } from './issued-attempt.ts';
import type { Action } from './model.ts';
import type { SlotAttempt } from './slot-attempt.ts';
import { audienceNow, recordNamed, routeTo, targetCredentials, type World } from './world.ts';

export interface Item {
  action: Action;
  secret: RotatedSecret;
  /** Values that the target has refused in this run already. */
  refusals: number;
}

export type Prepared =
  /** `attempt.record` is `change.to`: enter the machine once it is pushed. */
  | {
      r: 'ready';
      attempt: Attempt | GivenAttempt | HostsAttempt | IssuedAttempt | SlotAttempt;
      change: Change;
      warnings: string[];
    }
  /** Nothing was claimed; `record` is what a failure is noted in, if there is one. */
  | { r: 'not-now'; record: SecretRecord | undefined; keep: Keep };

/** What is the same for every step of one rotation. */
export type Base = Pick<
  RotationJob,
  | 'target'
  | 'host'
  | 'account'
  | 'actor'
  | 'admin'
  | 'retain'
  | 'keyType'
  | 'login'
  | 'jump'
  | 'custom'
  | 'caller'
  | 'spare'
> & {
  /** Target credentials used, `name@version`. */
  uses: string[];
};

export async function prepare(item: Item, desired: Desired, world: World): Promise<Prepared> {
  const { secret } = item;
  const target = desired.targets.get(secret.target);
  if (!target) throw new Error(`${secret.name} has no target`);
  const driver = await world.driver(target.type, secret.rotator);
  const record = recordNamed(world, desired, secret.name) ?? blank(secret, target, driver, world);
  const pending = item.action.verb === 'resume' ? record.pending : null;
  const actor = pending?.actor ?? (changesItself(secret) ? 'self' : 'target');
  const notNow = (kind: string, code: string, detail: string): Prepared => ({
    r: 'not-now',
    record: world.ledger.record(record.uid),
    keep: keep('preflight', kind, { code, detail }, { left: pending ? 'unknown' : 'unchanged' }),
  });

  if (overtaken(item, record))
    return notNow('in-use', 'overtaken', 'another run has been here since the plan');
  const user = actor === 'self' && usedBy(secret.name, world);
  if (user) return notNow('in-use', 'claimed', `${user} is being rotated with it`);
  if (secret.hosts !== undefined && driver.machine === 'chosen')
    return prepareHosts(item, { secret, record, actor, driver }, desired, world);
  const login = actor === 'target' ? await targetCredentials(world, desired, target) : null;
  if (login?.r === 'unresolved') return notNow('target-unresolved', 'target', login.reason);
  const { route, uses } = await routeTo(world, desired, target);
  if (driver.machine === 'issued') {
    const whole = {
      ...{ target, actor, admin: login?.credentials, uses: login?.uses ?? [] },
      ...spareLogins(world),
    };
    const enter = pending ? resumeIssued : beginIssued;
    return enter(item, record, driver, whole, desired, world);
  }
  if (driver.machine === 'slots') {
    const whole = { target, actor, admin: login?.credentials, uses: login?.uses ?? [] };
    const enter = pending ? resumeSlot : beginSlot;
    return enter(item, record, driver, whole, desired, world);
  }
  const base: Base = {
    ...basics(secret, record, target, driver, actor),
    admin: login?.credentials,
    uses: [...(login?.uses ?? []), ...uses],
    ...route,
    ...spareLogins(world),
  };
  if (secret.custom?.generate === 'rotator') {
    const enter = pending ? resumeGiven : beginGiven;
    return enter(item, record, driver, base, desired, world);
  }
  if (pending && isBlind(record, pending.v))
    return replace(item, record, pending, driver, base, desired, world);
  return pending
    ? resume(item, record, pending, driver, base, desired, world)
    : begin(item, record, driver, base, desired, world);
}

const spareLogins = ({ spare }: World): Pick<Base, 'spare'> => (spare === undefined ? {} : { spare });

/** What a driver is told of a rotation besides how it gets in. */
function basics(
  secret: RotatedSecret,
  record: SecretRecord,
  target: Target,
  driver: ChosenDriver,
  actor: 'self' | 'target',
): Omit<Base, 'uses' | 'admin'> {
  const dual = driver.overlap(secret.account, secret.keyType, secret.custom) === 'dual';
  return {
    target,
    host: secret.account.host,
    account: secret.account,
    actor,
    retain: record.pending?.retain ?? (secret.grace > 0 && record.current !== null && dual),
    ...keyed(secret),
  };
}

/** How one of several hosts is reached and set; a reason where that is not known now. */
export async function baseAt(
  host: string,
  { secret, record, driver, actor }: Whole,
  desired: Desired,
  world: World,
): Promise<{ r: 'base'; base: Base } | { r: 'unresolved'; reason: string }> {
  const target = desired.targets.get(host);
  if (!target) return { r: 'unresolved', reason: `there is no target ${host} any more` };
  const login = actor === 'target' ? await targetCredentials(world, desired, target) : null;
  if (login?.r === 'unresolved') return login;
  try {
    const { route, uses } = await routeTo(world, desired, target);
    const base = {
      ...basics(secret, record, target, driver, actor),
      admin: login?.credentials,
      uses: [...(login?.uses ?? []), ...uses],
      ...route,
      ...spareLogins(world),
    };
    return { r: 'base', base };
  } catch (error) {
    if (!(error instanceof KeyturnError)) throw error;
    return { r: 'unresolved', reason: error.message };
  }
}

/** One rotation on several hosts. */
export interface Whole {
  secret: RotatedSecret;
  record: SecretRecord;
  driver: ChosenDriver;
  actor: 'self' | 'target';
}

/** Somebody else claimed, finished or replaced what the plan was about: the next plan looks at it again. */
function overtaken({ action, refusals }: Item, record: SecretRecord): boolean {
  if (action.verb === 'resume') return record.pending?.v !== action.to;
  return record.pending !== null || (refusals === 0 && record.current !== action.from);
}

/** What a driver is told of a value that is a key pair, or somebody else's business, or proven in a way of its own. */
export const keyed = (secret: RotatedSecret): Pick<RotationJob, 'keyType' | 'login' | 'custom'> => {
  const { keyType, verifyBy, custom, name: itemName, passwordPolicy: policy } = secret;
  return {
    ...(keyType === undefined ? {} : { keyType }),
    ...(verifyBy === undefined ? {} : { login: verifyBy }),
    ...(custom === undefined ? {} : { custom: { ...custom, itemName, policy } }),
  };
};

/** No other login changes it: its own is what the value must be right for, and what a lost value would cost. */
export const changesItself = (secret: RotatedSecret): boolean =>
  secret.rotator === 'target' || secret.authenticateAs === 'user';

/** A takeover: the same value under a new claim. No preflight: its login could be the one wrong attempt too many. */
async function resume(
  item: Item,
  record: SecretRecord,
  pending: Pending,
  driver: ChosenDriver,
  base: Base,
  desired: Desired,
  world: World,
): Promise<Prepared> {
  const { username } = versionOf(record, pending.v);
  const { value } = await world.ledger.readVersion(record, pending.v);
  const current = await currentValue(record, username, world);
  const job = { ...base, username, current, mark: { uid: record.uid, version: pending.v } };
  const to = takenOver(record, newClaim(world));
  const attempt = to.pending?.claim.attempt ?? 1;
  return {
    r: 'ready',
    warnings: [],
    change: { uid: record.uid, name: item.secret.name, from: record, to, writes: [] },
    attempt: attemptOf({
      secret: item.secret,
      record: to,
      value,
      job: { ...job, attempt },
      driver,
      recipients: audienceNow(item.secret, record, desired, world).to.map((reader) => reader.recipient),
      replay: true,
      world,
    }),
  };
}

/** Nobody here can read a blind pending value: it stays with its readers, and another takes its place (protocol §9.1). */
function replace(
  { action, ...item }: Item,
  record: SecretRecord,
  pending: Pending,
  driver: ChosenDriver,
  base: Base,
  desired: Desired,
  world: World,
): Promise<Prepared> {
  const free = abandoned(record, world.clock.now().toISOString());
  return begin({ ...item, action: { ...action, why: pending.why } }, free, driver, base, desired, world);
}

export const blank = (secret: RotatedSecret, target: Target, driver: Driver, world: World): SecretRecord =>
  newRecord({
    uid: world.ulid(),
    name: secret.name,
    rotator: `${target.type}/${secret.rotator}`,
    target: target.name,
    binding: boundTo(driver, target, secret),
    specDigest: secret.specDigest,
    protected: secret.deleteProtection,
  });

/** A secret whose unexpired claim logs in with `name` (protocol §4.5); null when there is none. */
function usedBy(name: string, world: World): string | null {
  const now = world.clock.now().getTime();
  const user = Object.values(world.ledger.state.records).find(
    ({ pending }) =>
      pending?.uses.some((use) => use.startsWith(`${name}@`)) === true &&
      Date.parse(pending.claim.at) + pending.claim.lease > now,
  );
  return user?.name ?? null;
}
