/**
 * R2 and R3: removes what an interrupted run of ours left at the target, then frees a place for the new value.
 * Each victim is pushed by name before it is touched, looked at for use before it is switched off, and switched
 * off before it is removed. Nothing in use and nothing foreign is ever a victim.
 */
import { condemned } from '../state/issued-transitions.ts';
import type { IssuedKey, RemoveResult } from '../targets/issued.ts';
import { type Keep, keep, type Lost } from './attempt.ts';
import { fence, say } from './fence.ts';
import type { IssuedAttempt } from './issued-attempt.ts';
import { firstToGo, isNew, isUsed, neverUsed, standing } from './keys.ts';
import { togetherOf, type World } from './world.ts';

/** More than any account holds: a list that never comes to rest is no reason to go on. */
const rounds = 24;
/** A list that lacks what a lost answer may have made is read this often, with a pause before each time. */
const waits = 3;
const settling = 5_000;
/** From when on a list that lacks a value can be believed. */
export const believable = 10 * 60_000;

/** Null when a value may be issued now; the fence was passed a moment ago. */
export async function makeRoom(attempt: IssuedAttempt, world: World): Promise<Keep | Lost | null> {
  say(attempt, world, 'clear');
  for (let round = 0; round < rounds; round += 1) {
    const fenced = await fence(attempt, world);
    if (fenced) return fenced;
    const listing = await attempt.rotator.list();
    if (listing.r === 'unreachable') return keep('list', 'unreachable', listing);
    if (listing.r === 'refused')
      return keep('list', listing.why, listing, { outcome: 'human', hint: listing.hint });
    const keys = listing.keys.filter(({ handle }) => !attempt.gone.has(handle));
    const victim = await nextVictim(attempt, keys, world);
    if (victim === null) {
      if (!mayLag(attempt, world)) return null;
      if (round >= waits) return unsettled;
      await world.clock.sleep(settling);
      continue;
    }
    if ('r' in victim) return victim;
    const stopped = await remove(attempt, victim.key, victim.named, world);
    if (stopped) return stopped;
  }
  return keep('clear', 'slot', {
    code: 'restless',
    detail: 'what was removed at the target keeps coming back',
  });
}

type Victim = { key: IssuedKey; named: boolean };

/** An answer was lost a short while ago, and what it made, if it made something, has not been seen yet. */
function mayLag({ driver, replay, record, gone, lostAt }: IssuedAttempt, world: World): boolean {
  if (!driver.marks || !replay || gone.size > 0) return false;
  const claimedAt = Date.parse(record.versions[record.pending?.v ?? 0]?.createdAt ?? '');
  return world.clock.now().getTime() - Math.max(claimedAt, lostAt ?? 0) < believable;
}

const unsettled = keep('list', 'unsettled', {
  code: 'LAG',
  detail: 'an answer was lost, and the target may not list yet what it made',
});

async function nextVictim(
  attempt: IssuedAttempt,
  keys: readonly IssuedKey[],
  world: World,
): Promise<Victim | Keep | null> {
  const { record, policy, driver, rotator } = attempt;
  const condemnedKey = keys.find((key) => standing(record, key) === 'condemned');
  if (condemnedKey) return { key: condemnedKey, named: true };
  const foreign: string[] = [];
  const orphan = keys.find((key) => standing(record, key, driver.marks) === 'orphan');
  if (orphan) return { key: orphan, named: false };
  for (const key of keys.filter((k) => standing(record, k, driver.marks) === 'unexplained')) {
    if (policy.exclusive) return (await spared(attempt, key, world)) ?? { key, named: false };
    if (isNew(record, key, keys) && neverUsed(await rotator.lastUsedAt(key.handle)))
      return { key, named: false };
    foreign.push(key.handle);
  }
  if (keys.filter((key) => standing(record, key, driver.marks) !== 'foreign').length < driver.limit)
    return null;
  const former = firstToGo(record, keys);
  if (former)
    return (former.active && (await spared(attempt, former, world))) || { key: former, named: false };
  return noRoom(foreign, driver.limit);
}

/** Kept as `foreign-key` with their ids for a code, so that people are told which, once. */
export const noRoom = (foreign: readonly string[], limit: number): Keep => {
  const ids = [...foreign].sort().join(' ');
  return keep(
    'clear',
    ids === '' ? 'slot' : 'foreign-key',
    {
      code: ids === '' ? 'LimitExceeded' : ids,
      detail:
        ids === ''
          ? `the account holds ${limit} keys or more, and none of them may go`
          : `the account holds ${limit} keys or more, and keyturn does not know ${ids.replaceAll(' ', ', ')}`,
    },
    {
      left: 'unchanged',
      outcome: 'human',
      hint: "delete the key that nobody needs, or write exclusive: true where every key of this user is keyturn's",
    },
  );
};

/** Who still uses it is told, or, where the manifest says so, decides. */
async function spared(attempt: IssuedAttempt, key: IssuedKey, world: World): Promise<Keep | null> {
  const { policy, rotator, secret, driver } = attempt;
  if (!key.active || driver.disables === false) return null;
  const use = await rotator.lastUsedAt(key.handle);
  if (!isUsed(use, policy.stillInUseWindow, world.clock.now())) return null;
  const words =
    use.r === 'unknown'
      ? `nobody can say whether ${key.handle} is still in use (${use.code})`
      : `${key.handle} was last used at ${use.at}`;
  if (policy.stillInUse === 'warn') {
    world.emit({ kind: 'note', level: 'warning', secret: secret.name, text: `${words}; it goes now` });
    return null;
  }
  return keep(
    'clear',
    'still-in-use',
    { code: 'IN_USE', detail: words },
    {
      left: 'unchanged',
      outcome: 'human',
      hint: 'move its user to the current version, or write stillInUse: warn',
    },
  );
}

async function remove(
  attempt: IssuedAttempt,
  key: IssuedKey,
  named: boolean,
  world: World,
): Promise<Keep | Lost | null> {
  const { handle } = key;
  if (!named) {
    const problem = await journal(attempt, handle, world);
    if (problem) return problem;
  }
  if (key.active && attempt.driver.disables !== false) {
    const disabled = await attempt.rotator.disable(handle);
    await world.failpoint('victim.afterDisable');
    if (disabled.r !== 'done') return undone(disabled);
  }
  const removed = await attempt.rotator.remove(handle);
  await world.failpoint('victim.afterDelete');
  if (removed.r !== 'done') return undone(removed);
  attempt.gone.add(handle);
  return null;
}

/** Rule 5: the victim's name is in the remote before it is touched. */
async function journal(attempt: IssuedAttempt, handle: string, world: World): Promise<Keep | Lost | null> {
  const { record, secret } = attempt;
  const to = condemned(record, handle);
  await world.failpoint('victim.beforeCommit');
  const change = { uid: record.uid, name: secret.name, from: record, to, writes: [] };
  const words = { verb: 'name what goes of', what: secret.name };
  const outcome = await togetherOf(world).commit({ change, ...words, step: 'victim' });
  if (outcome.r !== 'committed') return keep('clear', 'push', { code: outcome.r, detail: outcome.detail });
  if (outcome.lost.length > 0) return { r: 'lost', detail: 'another run took the claim over' };
  attempt.record = to;
  await world.failpoint('victim.afterPush');
  return null;
}

const undone = (result: Exclude<RemoveResult, { r: 'done' }>): Keep =>
  result.r === 'unreachable'
    ? keep('clear', 'unreachable', result)
    : keep('clear', result.why, result, { outcome: 'human', hint: result.hint });
