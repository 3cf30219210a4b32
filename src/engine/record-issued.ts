/**
 * R5 and R6: from the moment the target has issued a value until the remote holds it. Nobody can ask for it again,
 * so it is on disk first, then in the branch; where the branch does not take it, on a ref of its own, or, at last,
 * encrypted in the log.
 */
import type { Write } from '../git/contract.ts';
import type { Reader } from '../manifests/model.ts';
import { issued } from '../state/issued-transitions.ts';
import type { SecretRecord } from '../state/model.ts';
import { named } from '../state/readers.ts';
import type { Issued, IssuedDriver, IssuedRotator } from '../targets/issued.ts';
import { type Keep, keep, type Lost } from './attempt.ts';
import type { UnderWay } from './fence.ts';
import { pendingOf } from './issued-attempt.ts';
import type { SpoolKey } from './spool.ts';
import { togetherOf, type World } from './world.ts';

/** Between two pushes that nobody answered; about five minutes in all (protocol §7.4). */
const pauses = [1_000, 4_000, 15_000, 40_000, 80_000, 160_000];

/** A rotation whose value comes from the target, as far as keeping that is concerned. */
export interface Receiving extends UnderWay {
  driver: Pick<IssuedDriver, 'handleField'>;
  rotator: Pick<IssuedRotator, 'remove'>;
  /** Everybody the value will be sealed to. */
  readers: Reader[];
  /** It can be neither asked for again nor taken back: whoever has the claim now may need what we were given. */
  onlyCopy?: boolean;
}

export const spoolKey = (attempt: Pick<UnderWay, 'record' | 'version'>, world: World): SpoolKey => ({
  repo: world.ledger.repo,
  uid: attempt.record.uid,
  v: attempt.version,
});

/** Null once the remote holds the value as the pending version's. */
export async function recordIssued(
  attempt: Receiving,
  made: Issued,
  world: World,
): Promise<Keep | Lost | null> {
  const { record, secret, driver, version } = attempt;
  const claim = pendingOf(record).claim.id;
  const username = made.username ?? record.versions[version]?.username ?? '';
  const fields = { ...made.fields, username, [driver.handleField]: made.handle };
  const { write, sealed } = await world.ledger.seal(
    record,
    version,
    { value: made.value, fields },
    attempt.readers.map((reader) => reader.recipient),
  );
  await world.failpoint('create.beforeSpool');
  const spooled = await world.spool.put(spoolKey(attempt, world), claim, bytesOf(write)).then(
    () => true,
    () => false,
  );
  await world.failpoint('create.afterSpool');
  let detail = '';
  for (const pause of [...pauses, null]) {
    const at = world.clock.now().toISOString();
    const to = named(issued(record, { ...made, username, sealed, at }), attempt.readers);
    await world.failpoint('issued.beforePush');
    const change = { uid: record.uid, name: secret.name, from: record, to, writes: [write] };
    const what = `${secret.name} v${version}`;
    const outcome = await togetherOf(world).commit({ change, verb: 'record', what, step: 'issued' });
    if (outcome.r === 'committed') {
      await world.failpoint('issued.afterPush');
      const now = world.ledger.record(record.uid);
      if (outcome.lost.length === 0 || isRecorded(now, attempt, made.handle)) {
        attempt.record = outcome.lost.length === 0 ? to : (now ?? to);
        await world.spool.drop(spoolKey(attempt, world), claim);
        if (attempt.replay) await world.spill.drop(spoolKey(attempt, world));
        return null;
      }
      return fencedOut(attempt, made.handle, bytesOf(write), now, world);
    }
    detail = outcome.detail;
    if (outcome.r === 'refused' || pause === null) break;
    await world.clock.sleep(pause);
  }
  return unrecorded(attempt, bytesOf(write), spooled, detail, world);
}

/** An answer was lost, the push was not. */
const isRecorded = (now: SecretRecord | undefined, { record, version }: Receiving, handle: string): boolean =>
  now?.pending?.claim.id === pendingOf(record).claim.id && now.versions[version]?.handle === handle;

/**
 * Somebody else owns the claim. What the record names is theirs to decide about, and so is what they took out of
 * our spool; otherwise nobody but us knows this value, and it goes.
 */
async function fencedOut(
  attempt: Receiving,
  handle: string,
  bytes: Uint8Array,
  now: SecretRecord | undefined,
  world: World,
): Promise<Lost> {
  if (attempt.onlyCopy) {
    const where = await besideBranch(attempt, bytes, world);
    return {
      r: 'lost',
      detail: `another run took the claim over; what this one was given is ${where.words}`,
    };
  }
  const named =
    now?.pending?.victims.includes(handle) === true ||
    Object.values(now?.versions ?? {}).some((version) => version.handle === handle);
  const claim = pendingOf(attempt.record).claim.id;
  const alone = await world.spool.drop(spoolKey(attempt, world), claim);
  if (!named && alone) await attempt.rotator.remove(handle);
  return { r: 'lost', detail: 'another run took the claim over' };
}

async function unrecorded(
  attempt: Receiving,
  bytes: Uint8Array,
  spooled: boolean,
  detail: string,
  world: World,
): Promise<Keep> {
  const { words, spilled } = await besideBranch(attempt, bytes, world);
  const where = [...(spooled ? ["in this machine's spool"] : []), words].join(' and ');
  return keep(
    'record',
    'unrecorded',
    { code: 'push', detail: `the new value could not be pushed (${detail}); it is ${where}` },
    {
      hint: spilled
        ? 'let this job push to the branch; the next run finds the value'
        : `the next run here finds it; elsewhere, save that part of the log and run keyturn recover --from FILE`,
    },
  );
}

/** On a ref of its own, or, where that is refused too, in the log. */
async function besideBranch(
  attempt: Receiving,
  bytes: Uint8Array,
  world: World,
): Promise<{ spilled: boolean; words: string }> {
  const { secret, version, record } = attempt;
  const refused = await world.spill.put(spoolKey(attempt, world), pendingOf(record).claim.id, bytes);
  if (refused === null) return { spilled: true, words: 'on a ref of its own' };
  world.emit({ kind: 'last-resort', secret: secret.name, version, bytes });
  return { spilled: false, words: 'encrypted in this log' };
}

function bytesOf({ bytes }: Write): Uint8Array {
  if (bytes === null) throw new Error('a sealed version without bytes');
  return bytes;
}
