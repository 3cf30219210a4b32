/**
 * Rotations in waves, the secrets of a wave side by side. One push carries a wave's claims together with what the wave
 * before it concluded (G7); while it is under way, the next wave looks at its targets and seals its values, which
 * changes nothing anywhere.
 */
import type { Clock } from '../clock.ts';
import type { Desired } from '../manifests/model.ts';
import type { Change } from '../state/ledger.ts';
import type { SecretRecord } from '../state/model.ts';
import { after, type Carried, type Concluded, carryOut } from './carry-out.ts';
import { base, notNow, redraws } from './conclude.ts';
import type { Action, Result } from './model.ts';
import { Places } from './places.ts';
import { type Item, type Prepared, prepare } from './prepare.ts';
import { claimProblem, push, told } from './push.ts';
import { failureResult } from './trouble.ts';
import { fenceFreshness, type World } from './world.ts';

interface Looked {
  item: Item;
  prepared?: Prepared;
  trouble?: Result;
}

interface Claiming {
  item: Item;
  attempt: Carried;
  change: Change;
}

/** `size` claims in one push; those of a phase of one at a time may depend on each other, and nothing is prepared ahead. */
export async function rotateAll(
  actions: readonly Action[],
  size: number,
  desired: Desired,
  world: World,
  done: (result: Result) => void,
): Promise<void> {
  const queue: Item[] = actions.flatMap((action) => {
    const secret = desired.secrets.get(action.secret);
    return secret ? [{ action, secret, refusals: 0 }] : [];
  });
  const places = new Map([...desired.targets.values()].map((t) => [t.name, new Places(t.concurrency)]));
  const sideBySide = <T>(target: string, work: (world: World) => Promise<T>): Promise<T> =>
    (places.get(target) ?? new Places(1)).within(work, world);
  const look = (): Promise<Looked[]> =>
    Promise.all(
      queue
        .splice(0, size)
        .map((item) => sideBySide(item.secret.target, () => prepareSafely(item, desired, world))),
    );

  let ahead: Promise<Looked[]> | undefined;
  let concluded: Concluded[] = [];
  try {
    while (queue.length > 0 || ahead !== undefined || concluded.length > 0) {
      if (world.stopping()) for (const item of queue.splice(0)) done(stopped(item.action));
      const looked = await (ahead ?? look());
      ahead = undefined;
      const ready: Claiming[] = [];
      for (const { item, prepared: p, trouble } of looked) {
        if (trouble) done(trouble);
        else if (p?.r === 'ready' && world.stopping()) {
          done(stopped(item.action));
          await p.attempt.rotator.close();
        } else if (p?.r === 'ready') ready.push({ item, attempt: p.attempt, change: p.change });
        else if (p) concluded.push({ item, ...notNow(item.action, p.record, p.keep, world.clock.now()) });
      }
      const wave = ready.map((one) => dated(one, world.clock));
      if (size > 1 && queue.length > 0 && !world.stopping()) ahead = look();
      const outcome = await push(
        wave.map((one) => one.change),
        concluded,
        world,
      );
      for (const { item, result, redraw, change, again } of concluded) {
        const pushed = outcome ? told(result, change, outcome) : result;
        const settled =
          again && (again.always || pushed !== result) ? await after(pushed, again.look) : pushed;
        if (redraw && settled === result && item.refusals + 1 < redraws && item.action.restore === undefined)
          queue.push({
            ...item,
            refusals: item.refusals + 1,
            action: { ...item.action, verb: 'rotate' },
          });
        else done(settled);
      }
      concluded = [];
      const mine = wave.filter(({ change, attempt, item }) => {
        const problem = outcome && claimProblem(outcome, change);
        if (problem) {
          done({ ...base(item.action), ...problem });
          void attempt.rotator.close();
        }
        return !problem;
      });
      // after a push that took long every fence would look again: one look does for all of them
      if (mine.length > 0 && world.ledger.age() > fenceFreshness)
        await world.ledger.refresh().catch(() => undefined);
      concluded = await Promise.all(
        mine.map(({ item, attempt }) =>
          sideBySide(item.secret.target, (inPlace) => carryOut(item, attempt, desired, inPlace)),
        ),
      );
    }
  } finally {
    for (const { prepared } of (await ahead) ?? [])
      if (prepared?.r === 'ready') await prepared.attempt.rotator.close();
  }
}

async function prepareSafely(item: Item, desired: Desired, world: World): Promise<Looked> {
  try {
    const prepared = await prepare(item, desired, world);
    if (prepared.r === 'ready')
      for (const text of prepared.warnings)
        world.emit({ kind: 'note', level: 'warning', secret: item.secret.name, text });
    return { item, prepared };
  } catch (error) {
    return { item, trouble: failureResult(item.action, error) };
  }
}

/** Leases run from the push of a claim, not from the look at the target, which may have been a whole wave earlier. */
function dated({ item, attempt, change }: Claiming, clock: Clock): Claiming {
  const at = clock.now().toISOString();
  const now = (record: SecretRecord): SecretRecord =>
    record.pending
      ? { ...record, pending: { ...record.pending, claim: { ...record.pending.claim, at } } }
      : record;
  const record = now(attempt.record);
  const claimedAt = clock.monotonic();
  const claimed: Carried =
    attempt.machine === 'hosts'
      ? {
          ...attempt,
          record,
          hosts: attempt.hosts.map(({ host, attempt: one }) => ({
            host,
            attempt: { ...one, record: now(one.record), claimedAt },
          })),
        }
      : { ...attempt, record, claimedAt };
  return { item, attempt: claimed, change: { ...change, to: record } };
}

const stopped = (action: Action): Result => ({
  ...base(action),
  outcome: 'waiting',
  detail: 'the run was asked to stop',
});
