/** A new claim: look at the target, draw the value, seal it for its readers. Nothing is pushed or sent here. */
import type { Desired, RotatedSecret } from '../manifests/model.ts';
import { drawPassword, strengthen } from '../password.ts';
import type { Secret } from '../secret.ts';
import type { Change } from '../state/ledger.ts';
import type { Claim, SecretRecord } from '../state/model.ts';
import { approvalsOf, named } from '../state/readers.ts';
import { claimed, nextVersion, versionOf } from '../state/transitions.ts';
import type { ChosenDriver, ChosenRotator, Preflight, RotationJob } from '../targets/driver.ts';
import { attemptOf, currentValue, type Keep, keep } from './attempt.ts';
import { declaredFor } from './audience.ts';
import { removedNews } from './notices.ts';
import type { Base, Item, Prepared } from './prepare.ts';
import { clockSkew } from './unfinished.ts';
import { audienceNow, lease, mutationDeadline, type World } from './world.ts';

export async function begin(
  item: Item,
  record: SecretRecord,
  driver: ChosenDriver,
  base: Base,
  desired: Desired,
  world: World,
): Promise<Prepared> {
  const { secret } = item;
  const known = world.ledger.record(record.uid);
  const v = nextVersion(record);
  world.emit({ kind: 'step', secret: secret.name, step: 'preflight', version: v });
  const username = nextUsername(secret, record);
  const straggler = mayBeLocked(record, username, world);
  if (straggler) return { r: 'not-now', record: known, keep: straggler };
  const seen = await look(record, driver, base, { username, v }, world);
  if (seen.r === 'unfit') return { r: 'not-now', record: known, keep: seen.keep };
  const { job, rotator, preflight } = seen;
  const { to, value, recipients, writes } = await claim(item, record, driver, base, seen, desired, world);
  return {
    r: 'ready',
    warnings: preflight.warnings,
    change: { uid: record.uid, name: secret.name, from: known, to, writes },
    attempt: attemptOf({ secret, record: to, value, job, driver, rotator, recipients, replay: false, world }),
  };
}

export type Seen = Extract<Awaited<ReturnType<typeof look>>, { r: 'fit' }>;

/** Asks one target whether the rotation could be done there. Changes nothing. */
export async function look(
  record: SecretRecord,
  driver: ChosenDriver,
  base: Base,
  { username, v }: { username: string; v: number },
  world: World,
): Promise<
  | {
      r: 'fit';
      job: RotationJob;
      rotator: ChosenRotator;
      preflight: Extract<Preflight, { r: 'ready' }>;
    }
  | { r: 'unfit'; keep: Keep }
> {
  const current = await currentValue(record, username, world);
  const job = { ...base, username, current, mark: { uid: record.uid, version: v } };
  const rotator = driver.rotator(job);
  const preflight = await rotator.preflight();
  // The claims of a wave, which is wider than the target's `concurrency`, are pushed now: no more connections than that
  // wait meanwhile, as spare ones.
  await rotator.close();
  if (preflight.r !== 'ready') return { r: 'unfit', keep: unfit(preflight, base) };
  const stale = rolledBack(preflight, record);
  return stale ? { r: 'unfit', keep: stale } : { r: 'fit', job, rotator, preflight };
}

/** Draws the value and seals it for its readers: the record as claimed, and the files that go with it. */
export async function claim(
  item: Item,
  record: SecretRecord,
  driver: ChosenDriver,
  base: Base,
  { job, preflight }: Seen,
  desired: Desired,
  world: World,
): Promise<{ to: SecretRecord; value: Secret; recipients: string[]; writes: Change['writes'] }> {
  const { secret, action } = item;
  const { username, mark } = job;
  const v = mark.version;
  const constraints = driver.constraints(base.target);
  const policy = strengthen(secret.passwordPolicy, item.refusals, constraints);
  const draw = async (): Promise<Secret> =>
    (secret.keyType && (await driver.generate?.(secret.keyType, mark))) ??
    drawPassword(policy, constraints, world.random);
  const value =
    action.restore === undefined
      ? await draw()
      : (await world.ledger.readVersion(record, action.restore)).value;
  const described = secret.keyType === undefined ? {} : await driver.describe?.(value, mark);
  const audience = audienceNow(secret, record, desired, world);
  const recipients = audience.to.map((reader) => reader.recipient);
  const fields = { username, ...described };
  const { write, sealed } = await world.ledger.seal(record, v, { value, fields }, recipients);
  const next = claimed(record, {
    v,
    claim: { ...newClaim(world), attempt: 1 },
    why: item.refusals > 0 ? 'policy-refused' : (action.why ?? 'due'),
    uses: base.uses,
    baseline: preflight.baseline,
    actor: base.actor,
    retain: base.retain,
    refusals: item.refusals,
    username,
    sealed,
    reason: action.reason,
  });
  const to = named(withNews(next, item, desired, world), audience.to);
  return { to, value, recipients, writes: [write, ...fulfilled(secret.name, world)] };
}

/** What a new claim changes of a record besides its versions: approvals without effect any more, and whom to tell. */
export function withNews(
  record: SecretRecord,
  { secret, action: { why, reason, from } }: Item,
  { project }: Desired,
  { clock, owner }: World,
): SecretRecord {
  const declared = declaredFor(secret, project.reconcilers, clock.now());
  const told =
    why === 'reader-removed'
      ? removedNews(record, secret, { version: from, reason, at: clock.now().toISOString(), by: owner })
      : record;
  return approvalsOf(told, declared, project.trust === 'signed');
}

/** The wishes that this claim takes up. */
export const fulfilled = (name: string, world: World): Change['writes'] =>
  (world.requests.get(name) ?? []).map((path) => ({ path, bytes: null }));

export const newClaim = (world: World): Omit<Claim, 'attempt'> => ({
  id: world.ulid(),
  by: world.owner,
  at: world.clock.now().toISOString(),
  lease,
});

/** Of an alternating pair the one not in use; a crash never touches the user that consumers log in with. */
export function nextUsername(secret: RotatedSecret, record: SecretRecord): string {
  const [first, second] = secret.account.usernames;
  if (second === undefined || record.current === null) return first;
  return versionOf(record, record.current).username === first ? second : first;
}

/**
 * Retiring a user of a pair locks it, and nobody claims that: another run that saw its grace end may be about to,
 * or still at it, and would lock out the value that this rotation makes current (I5).
 */
function mayBeLocked(record: SecretRecord, username: string, world: World): Keep | null {
  const now = world.clock.now().getTime();
  const inUse = record.current !== null && versionOf(record, record.current).username === username;
  const version = Object.values(record.versions).find(
    ({ username: of, stage, retireAfter, retiredAt }) =>
      of === username &&
      ((stage === 'retiring' && Date.parse(retireAfter ?? '') <= now + clockSkew) ||
        (stage === 'retired' &&
          retireAfter !== undefined &&
          Date.parse(retiredAt ?? '') > now - mutationDeadline)),
  );
  if (!version || inUse) return null;
  return keep(
    'preflight',
    'in-use',
    { code: 'retiring', detail: `${username} was retired moments ago or is about to be` },
    { left: 'unchanged' },
  );
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

export function unfit(preflight: Exclude<Preflight, { r: 'ready' }>, base: Base): Keep {
  if (preflight.r !== 'refused') return keep('preflight', preflight.r, preflight, { left: 'unchanged' });
  const drifted = preflight.why === 'bad-current' && base.actor === 'self';
  return keep('preflight', preflight.why, preflight, {
    left: 'unchanged',
    outcome: preflight.why === 'readonly' || preflight.why === 'too-soon' ? 'waiting' : 'human',
    hint: preflight.hint,
    ...(drifted ? { health: 'drift' as const } : {}),
  });
}
