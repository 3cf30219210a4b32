/** P0 and P1 without the push: look at the target, draw the value, seal it, make the claim. */
import type { Desired, RotatedSecret, Target } from '../manifests/model.ts';
import { drawPassword, strengthen } from '../password.ts';
import type { Secret } from '../secret.ts';
import type { Change } from '../state/ledger.ts';
import type { Claim, SecretRecord } from '../state/model.ts';
import { claimed, newRecord, nextVersion, takenOver, versionOf } from '../state/transitions.ts';
import type { ChosenDriver, ChosenRotator, Preflight, RotationJob } from '../targets/driver.ts';
import { type Attempt, type Keep, keep } from './attempt.ts';
import { recipientsOf } from './decide.ts';
import type { Action } from './model.ts';
import { lease, recordNamed, targetCredentials, type World } from './world.ts';

export interface Item {
  action: Action;
  secret: RotatedSecret;
  /** Values that the target has refused in this run already. */
  refusals: number;
}

export type Prepared =
  /** `attempt.record` is `change.to`: enter the machine once it is pushed. */
  | { r: 'ready'; attempt: Attempt; change: Change; warnings: string[] }
  /** Nothing was claimed; `record` is what a failure is noted in, if there is one. */
  | { r: 'not-now'; record: SecretRecord | undefined; keep: Keep };

export async function prepare(item: Item, desired: Desired, world: World): Promise<Prepared> {
  const { secret, action } = item;
  const target = desired.targets.get(secret.target);
  if (!target) throw new Error(`${secret.name} has no target`);
  const driver = await world.driver(target.type);
  const record = recordNamed(world, desired, secret.name) ?? blank(secret, target, driver, world);
  const known = world.ledger.record(record.uid);

  const login = await targetCredentials(world, desired, target);
  const own = secret.rotator === 'target' || secret.authenticateAs === 'user';
  if (login.r === 'unresolved' && !own)
    return {
      r: 'not-now',
      record: known,
      keep: keep(
        'preflight',
        'target-unresolved',
        { code: 'target', detail: login.reason },
        { left: 'unchanged' },
      ),
    };
  const busy = own && usedBy(secret.name, world);
  if (busy)
    return {
      r: 'not-now',
      record: undefined,
      keep: keep(
        'preflight',
        'in-use',
        { code: 'claimed', detail: `${busy} is being rotated with it` },
        { left: 'unchanged' },
      ),
    };

  const base = {
    target,
    host: secret.account.host,
    account: secret.account,
    actor: own ? ('self' as const) : ('target' as const),
    admin: login.r === 'resolved' && !own ? login.credentials : undefined,
    retain: secret.grace > 0 && record.current !== null && driver.overlap(secret.account) === 'dual',
  };
  const uses = login.r === 'resolved' && !own ? login.uses : [];
  return action.verb === 'resume'
    ? resume(item, record, driver, base, world)
    : begin(item, record, driver, base, uses, desired.project.reconcilers, world);
}

type Base = Pick<RotationJob, 'target' | 'host' | 'account' | 'actor' | 'admin' | 'retain'>;

async function begin(
  item: Item,
  record: SecretRecord,
  driver: ChosenDriver,
  base: Base,
  uses: string[],
  reconcilers: readonly string[],
  world: World,
): Promise<Prepared> {
  const { secret, action } = item;
  const known = world.ledger.record(record.uid);
  const v = nextVersion(record);
  world.emit({ kind: 'step', secret: secret.name, step: 'preflight', version: v });
  const username = nextUsername(secret, record);
  const current = await currentValue(record, username, world);
  const job = { ...base, username, current, mark: { uid: record.uid, version: v } };
  const rotator = driver.rotator(job);
  const preflight = await rotator.preflight();
  const no = preflight.r === 'ready' ? rolledBack(preflight, record) : preflightProblem(preflight);
  if (no || preflight.r !== 'ready') {
    await rotator.close();
    return { r: 'not-now', record: known, keep: no ?? preflightProblem(preflight) };
  }
  const constraints = driver.constraints(base.target);
  const policy = strengthen(secret.passwordPolicy, item.refusals, constraints);
  const value = drawPassword(policy, constraints, world.random);
  const { write, sealed } = await world.ledger.seal(
    record,
    v,
    { value, fields: { username } },
    recipientsOf(secret, reconcilers),
  );
  const claim: Claim = { ...newClaim(world), attempt: 1 };
  const to = claimed(record, {
    v,
    claim,
    why: item.refusals > 0 ? 'policy-refused' : (action.why ?? 'due'),
    uses,
    baseline: preflight.baseline,
    refusals: item.refusals,
    username,
    sealed,
  });
  return {
    r: 'ready',
    warnings: preflight.warnings,
    change: {
      uid: record.uid,
      name: secret.name,
      from: known,
      to,
      writes: [write, ...fulfilled(secret.name, world)],
    },
    attempt: attemptOf(
      item,
      to,
      value,
      current,
      rotator,
      (other) => driver.rotator({ ...job, current: other }),
      base,
      false,
      world,
    ),
  };
}

/** A takeover: the same value under a new claim. No preflight: its login could be the one wrong attempt too many. */
async function resume(
  item: Item,
  record: SecretRecord,
  driver: ChosenDriver,
  base: Base,
  world: World,
): Promise<Prepared> {
  const { pending } = record;
  if (!pending) throw new Error(`${record.name} has nothing pending`);
  const { username } = versionOf(record, pending.v);
  const { value } = await world.ledger.readVersion(record, pending.v);
  const current = await currentValue(record, username, world);
  const job = { ...base, username, current, mark: { uid: record.uid, version: pending.v } };
  const to = takenOver(record, newClaim(world));
  return {
    r: 'ready',
    warnings: [],
    change: { uid: record.uid, name: item.secret.name, from: record, to, writes: [] },
    attempt: attemptOf(
      item,
      to,
      value,
      current,
      driver.rotator(job),
      (other) => driver.rotator({ ...job, current: other }),
      base,
      true,
      world,
    ),
  };
}

function attemptOf(
  item: Item,
  record: SecretRecord,
  value: Secret,
  current: Secret | undefined,
  rotator: ChosenRotator,
  withCurrent: (value: Secret) => ChosenRotator,
  base: Base,
  replay: boolean,
  world: World,
): Attempt {
  return {
    secret: item.secret,
    target: base.target,
    record,
    version: record.pending?.v ?? 0,
    value,
    current,
    older: () => olderValue(record, world),
    actor: base.actor,
    retain: base.retain,
    rotator,
    withCurrent,
    replay,
    claimedAt: world.clock.monotonic(),
  };
}

const fulfilled = (name: string, world: World): Change['writes'] =>
  (world.requests.get(name) ?? []).map((path) => ({ path, bytes: null }));

export const blank = (
  secret: RotatedSecret,
  target: Target,
  driver: ChosenDriver,
  world: World,
): SecretRecord =>
  newRecord({
    uid: world.ulid(),
    name: secret.name,
    rotator: `${target.type}/${secret.rotator}`,
    target: target.name,
    binding: driver.binding(target, secret.account),
    specDigest: secret.specDigest,
  });

const newClaim = (world: World): Omit<Claim, 'attempt'> => ({
  id: world.ulid(),
  by: world.owner,
  at: world.clock.now().toISOString(),
  lease,
});

/** Of an alternating pair the one not in use; a crash never touches the user that consumers log in with. */
function nextUsername(secret: RotatedSecret, record: SecretRecord): string {
  const [first, second] = secret.account.usernames;
  if (second === undefined || record.current === null) return first;
  return versionOf(record, record.current).username === first ? second : first;
}

/** The value that the target should accept for `username` now, if it is the one in use. */
async function currentValue(
  record: SecretRecord,
  username: string,
  world: World,
): Promise<Secret | undefined> {
  if (record.current === null || versionOf(record, record.current).username !== username) return undefined;
  return (await world.ledger.readVersion(record, record.current)).value;
}

/** The newest abandoned, then the newest former version that was not tried in this rotation. */
async function olderValue(record: SecretRecord, world: World): Promise<{ v: number; value: Secret } | null> {
  const candidates = Object.entries(record.versions)
    .map(([v, version]) => ({ v: Number(v), stage: version.stage }))
    .filter(
      ({ v, stage }) => stage !== 'pending' && stage !== 'current' && !record.pending?.tried.includes(v),
    )
    .sort((a, b) => Number(b.stage === 'abandoned') - Number(a.stage === 'abandoned') || b.v - a.v);
  const [best] = candidates;
  return best ? { v: best.v, value: (await world.ledger.readVersion(record, best.v)).value } : null;
}

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

function rolledBack(preflight: Extract<Preflight, { r: 'ready' }>, record: SecretRecord): Keep | null {
  const newest = nextVersion(record) - 1;
  if (preflight.markedVersion === null || preflight.markedVersion <= newest) return null;
  return keep(
    'preflight',
    'rolled-back',
    {
      code: 'rolled-back',
      detail: `the target carries v${preflight.markedVersion}, but the state ends at v${newest}: the state was rolled back`,
    },
    { outcome: 'human', left: 'unchanged', hint: 'restore the newest state from the history of the branch' },
  );
}

function preflightProblem(preflight: Preflight): Keep {
  switch (preflight.r) {
    case 'unreachable':
    case 'blocked':
      return keep('preflight', preflight.r, preflight, { left: 'unchanged' });
    case 'refused':
      return keep('preflight', preflight.why, preflight, {
        left: 'unchanged',
        outcome: preflight.why === 'readonly' ? 'waiting' : 'human',
        hint: preflight.hint,
        ...(preflight.why === 'bad-current' ? { health: 'drift' as const } : {}),
      });
    case 'ready':
      throw new Error('a ready preflight is no problem');
  }
}
