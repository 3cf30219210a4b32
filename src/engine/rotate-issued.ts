/**
 * The machine for values that the target makes and shows once (protocol §4): intent -> fence and clean -> slot ->
 * issue -> spool -> issued -> verify -> promote. The intent is pushed before this file is entered and the promotion
 * after it is left; nothing that works is touched in between, so whatever is lost is only a value nobody uses.
 */
import { KeyturnError } from '../errors.ts';
import type { Issued, Issuing } from '../targets/issued.ts';
import { type Keep, keep, type Lost } from './attempt.ts';
import { fence, say } from './fence.ts';
import { type IssuedAttempt, type IssuedOutcome, pendingOf } from './issued-attempt.ts';
import { believable, makeRoom } from './make-room.ts';
import { type Receiving, recordIssued, spoolKey } from './record-issued.ts';
import type { World } from './world.ts';

/** An answer may get lost, or the account be full after all, this often in one run. */
const tries = 3;
/** For a list to show what was made or removed just now. */
const settling = 5_000;
/** New values come and go at first: this many logins in a row are proof. */
const inARow = 3;
const verifyPauses = [
  2_000, 2_000, 2_000, 2_000, 4_000, 4_000, 8_000, 8_000, 15_000, 15_000, 30_000, 30_000, 60_000,
];

export async function rotateIssued(attempt: IssuedAttempt, world: World): Promise<IssuedOutcome> {
  if (pendingOf(attempt.record).phase === 'issued')
    return verify(attempt, await recorded(attempt, world), world);
  const kept = attempt.replay ? await leftBehind(attempt, world) : null;
  if (kept && 'r' in kept) return kept;
  if (kept) return (await recordIssued(attempt, kept, world)) ?? verify(attempt, kept, world);
  for (let failed = 0; ; ) {
    const stopped = (await makeRoom(attempt, world)) ?? (await fence(attempt, world));
    if (stopped) return stopped;
    say(attempt, world, 'issue');
    await world.failpoint('create.beforeSend');
    const result = await attempt.rotator.issue(asking(attempt, world));
    await world.failpoint('create.afterReply');
    if (result.r === 'issued')
      return (await recordIssued(attempt, result.issued, world)) ?? verify(attempt, result.issued, world);
    if (result.r === 'not-sent')
      return keep('issue', 'unreachable', result, { left: attempt.replay ? 'unknown' : 'unchanged' });
    if (result.r === 'refused' && result.why !== 'limit')
      return keep('issue', result.why, result, {
        left: attempt.replay ? 'unknown' : 'refused',
        outcome: 'human',
        hint: result.hint,
      });
    failed += 1;
    if (result.r === 'ambiguous') {
      attempt.replay = true;
      attempt.lostAt = world.clock.now().getTime();
    }
    if (failed >= tries) return keep('issue', result.r === 'refused' ? 'slot' : 'ambiguous', result);
    await world.clock.sleep(settling);
  }
}

const day = 86_400_000;

/** The end is a safety net, far behind the next rotation: a value that nobody removes dies one day (protocol §4.3). */
function asking(attempt: IssuedAttempt, world: World): Issuing {
  const { record, secret } = attempt;
  attempt.asked += 1;
  const until = world.clock.now().getTime() + (2 * secret.schedule.everyDays + 30) * day;
  return {
    uid: record.uid,
    claim: pendingOf(record).claim.id,
    n: attempt.asked,
    until: new Date(until).toISOString(),
  };
}

const recorded = async (attempt: IssuedAttempt, world: World): Promise<Issued> => ({
  handle: attempt.record.versions[attempt.version]?.handle ?? '',
  value: (await world.ledger.readVersion(attempt.record, attempt.version)).value,
});

/** A value that an earlier run of this very rotation kept on this disk, or on a ref of its own. */
export async function leftBehind(attempt: Receiving, world: World): Promise<Issued | Keep | Lost | null> {
  const { record, version, driver } = attempt;
  const fenced = await fence(attempt, world);
  if (fenced) return fenced;
  const key = spoolKey(attempt, world);
  const claim = pendingOf(record).claim.id;
  const bytes = (await world.spool.take(key, claim)) ?? (await world.spill.find(key));
  if (bytes === null) return null;
  try {
    const { value, fields } = await world.ledger.openSealed(record, version, bytes, 'spool');
    const handle = fields[driver.handleField] ?? '';
    const spent =
      handle === '' ||
      pendingOf(record).victims.includes(handle) ||
      Object.values(record.versions).some((other) => other.handle === handle);
    const { username, ...others } = fields;
    if (!spent) return { handle, value, fields: others, ...(username === undefined ? {} : { username }) };
  } catch (error) {
    if (!(error instanceof KeyturnError)) throw error;
    world.emit({
      kind: 'note',
      level: 'warning',
      secret: record.name,
      text: `what an earlier run kept of v${version} cannot be used: ${error.what}`,
    });
  }
  await world.spool.drop(key, claim);
  return null;
}

/** R7. */
async function verify(attempt: IssuedAttempt, issued: Issued, world: World): Promise<IssuedOutcome> {
  say(attempt, world, 'verify');
  await world.failpoint('verify.before');
  let accepted = 0;
  let last = await attempt.rotator.verify(issued);
  for (const pause of verifyPauses) {
    accepted = last.r === 'ok' ? accepted + 1 : 0;
    if (accepted >= inARow) {
      await world.failpoint('verify.after');
      return { r: 'live' };
    }
    if (last.r === 'inconclusive' && last.code === 'WRONG_ACCOUNT')
      return keep('verify', 'wrong-account', last, {
        outcome: 'human',
        hint: 'correct accountId or username',
      });
    await (world.standAside ?? world.clock.sleep)(pause);
    last = await attempt.rotator.verify(issued);
  }
  return last.r === 'denied' ? refusedForGood(attempt, issued, last, world) : keep('verify', last.r, last);
}

/** Somebody may have removed it, or switched it off; or it takes longer than usual. */
async function refusedForGood(
  attempt: IssuedAttempt,
  { handle }: Issued,
  denied: { code: string; detail: string },
  world: World,
): Promise<IssuedOutcome> {
  const createdAt = attempt.record.versions[attempt.version]?.createdAt ?? '';
  const listing = await attempt.rotator.list();
  if (listing.r !== 'listed') return keep('verify', 'denied', denied);
  const key = listing.keys.find((one) => one.handle === handle);
  if (key === undefined && world.clock.now().getTime() - Date.parse(createdAt) > believable)
    return { r: 'gone', detail: `somebody removed ${handle} at the target before it was ever used` };
  if (key?.active === false)
    return keep(
      'verify',
      'switched-off',
      { code: 'INACTIVE', detail: `somebody switched ${handle} off` },
      {
        outcome: 'human',
        hint: 'switch it on again, or delete it; the next run goes on',
      },
    );
  return keep('verify', 'denied', denied);
}
