/** R0 and R1 without the push: look at what the target holds, and write down what was there before. */
import type { Desired, RotatedSecret } from '../manifests/model.ts';
import type { Change } from '../state/ledger.ts';
import type { Pending, SecretRecord } from '../state/model.ts';
import { claimed, nextVersion, takenOver, versionOf } from '../state/transitions.ts';
import type { Credentials } from '../targets/driver.ts';
import type { Issued, IssuedDriver, IssuedJob, IssuedKey, IssuedPreflight } from '../targets/issued.ts';
import type { SpareLogins } from '../targets/spare.ts';
import { type Keep, keep } from './attempt.ts';
import { fulfilled, newClaim, withNews } from './begin.ts';
import { type IssuedAttempt, keysOf } from './issued-attempt.ts';
import { baseline, fromLater, standing } from './keys.ts';
import { noRoom } from './make-room.ts';
import type { Item, Prepared } from './prepare.ts';
import { audienceNow, type World } from './world.ts';

/** What is the same for every step of one rotation. */
export interface IssuedBase {
  target: IssuedJob['target'];
  actor: 'self' | 'target';
  admin: Credentials | undefined;
  spare?: SpareLogins;
  /** Target credentials used, `name@version`. */
  uses: string[];
}

export async function beginIssued(
  item: Item,
  record: SecretRecord,
  driver: IssuedDriver,
  base: IssuedBase,
  desired: Desired,
  world: World,
): Promise<Prepared> {
  const { secret, action } = item;
  const known = world.ledger.record(record.uid);
  const no = (problem: Keep): Prepared => ({ r: 'not-now', record: known, keep: problem });
  world.emit({ kind: 'step', secret: secret.name, step: 'preflight', version: nextVersion(record) });
  await world.spool.check();
  const job = await jobOf(secret, record, base, world);
  const rotator = driver.rotator(job);
  const preflight = await rotator.preflight();
  await rotator.close();
  if (preflight.r !== 'ready') return no(unfit(preflight));
  const later = driver.marks && fromLater(record, preflight.keys);
  if (later)
    return no(
      keep(
        'preflight',
        'rolled-back',
        {
          code: 'rolled-back',
          detail: `the target holds ${later.handle}, which this secret got after everything that the state knows: the state was rolled back`,
        },
        {
          outcome: 'human',
          left: 'unchanged',
          hint: 'restore the newest state from the history of the branch',
        },
      ),
    );
  const before = baseline(record, preflight.keys);
  const full = driver.marks ? null : noPlace(record, preflight.keys, before, secret, driver.limit);
  if (full) return no(full);
  const next = claimed(record, {
    v: nextVersion(record),
    claim: { ...newClaim(world), attempt: 1 },
    why: action.why ?? 'due',
    uses: base.uses,
    baseline: preflight.at === null ? {} : { at: preflight.at },
    actor: base.actor,
    retain: true,
    refusals: 0,
    username: job.username,
    sealed: null,
    before,
    reason: action.reason,
  });
  const to = withNews(next, item, desired, world);
  const change = {
    uid: record.uid,
    name: secret.name,
    from: known,
    to,
    writes: fulfilled(secret.name, world),
  };
  return ready(change, to, secret, driver, job, false, desired, preflight.warnings, world);
}

/** A takeover: the same intent under a new claim. */
export async function resumeIssued(
  item: Item,
  record: SecretRecord,
  driver: IssuedDriver,
  base: IssuedBase,
  desired: Desired,
  world: World,
): Promise<Prepared> {
  const { secret } = item;
  const job = await jobOf(secret, record, base, world);
  const to = takenOver(record, newClaim(world));
  const change = { uid: record.uid, name: secret.name, from: record, to, writes: [] };
  return ready(change, to, secret, driver, job, true, desired, [], world);
}

function ready(
  change: Change,
  record: SecretRecord,
  secret: RotatedSecret,
  driver: IssuedDriver,
  job: IssuedJob,
  replay: boolean,
  desired: Desired,
  warnings: string[],
  world: World,
): Prepared {
  const audience = audienceNow(secret, record, desired, world);
  const attempt: IssuedAttempt = {
    machine: 'issued',
    secret,
    record,
    version: (record.pending as Pending).v,
    driver,
    rotator: driver.rotator(job),
    policy: keysOf(secret),
    readers: audience.to,
    replay,
    claimedAt: world.clock.monotonic(),
    gone: new Set(),
    asked: 0,
  };
  return { r: 'ready', warnings, change, attempt };
}

async function jobOf(
  secret: RotatedSecret,
  record: SecretRecord,
  { target, actor, admin, spare }: IssuedBase,
  world: World,
): Promise<IssuedJob> {
  const [username] = secret.account.usernames;
  const login = actor === 'self' ? await currentLogin(record, world) : undefined;
  return { target, username, actor, admin, login, ...(spare === undefined ? {} : { spare }) };
}

/** The value that the account itself signs with. */
export async function currentLogin(record: SecretRecord, world: World): Promise<Issued | undefined> {
  if (record.current === null) return undefined;
  const { handle } = versionOf(record, record.current);
  if (handle === undefined) return undefined;
  return { handle, value: (await world.ledger.readVersion(record, record.current)).value };
}

/** Two keys of which one is foreign: said before anything is claimed, so that nothing is written. */
function noPlace(
  record: SecretRecord,
  keys: readonly IssuedKey[],
  before: readonly string[],
  secret: RotatedSecret,
  limit: number,
): Keep | null {
  if (keys.length < limit || keysOf(secret).exclusive) return null;
  const foreign = keys.filter(
    (key) => standing(record, key) === 'unexplained' && before.includes(key.handle),
  );
  const may =
    keys.some((key) => standing(record, key) === 'former') ||
    foreign.length < keys.length - inUseOf(record, keys);
  return may
    ? null
    : noRoom(
        foreign.map((key) => key.handle),
        limit,
      );
}

const inUseOf = (record: SecretRecord, keys: readonly IssuedKey[]): number =>
  keys.filter((key) => standing(record, key) === 'in use').length;

const unfit = (preflight: Exclude<IssuedPreflight, { r: 'ready' }>): Keep =>
  preflight.r === 'unreachable'
    ? keep('preflight', 'unreachable', preflight, { left: 'unchanged' })
    : keep('preflight', preflight.why, preflight, {
        left: 'unchanged',
        outcome: 'human',
        hint: preflight.hint,
        ...(preflight.why === 'bad-login' ? { health: 'drift' as const } : {}),
      });
