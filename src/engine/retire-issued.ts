/**
 * R9: a former value is switched off when its grace is over, and removed when nobody has missed it. Which one it is
 * stands in the pushed record: `retiring` with its time, or retired with `removeAfter`.
 */
import type { RotatedSecret } from '../manifests/model.ts';
import { inUse, removed } from '../state/issued-transitions.ts';
import type { SecretRecord } from '../state/model.ts';
import { retired, versionOf } from '../state/transitions.ts';
import type { IssuedDriver, IssuedRotator } from '../targets/issued.ts';
import { base } from './conclude.ts';
import { keysOf } from './issued-attempt.ts';
import { isUsed } from './keys.ts';
import type { Action, Result } from './model.ts';
import { isOver } from './schedule.ts';
import type { Done } from './upkeep.ts';
import type { World } from './world.ts';

export async function retireIssued(
  action: Action,
  secret: RotatedSecret,
  record: SecretRecord,
  v: number,
  driver: IssuedDriver,
  rotator: IssuedRotator,
  world: World,
): Promise<Done> {
  const { handle, stage } = versionOf(record, v);
  const policy = keysOf(secret);
  const ended = (more: Partial<Result>): Done => ({
    action,
    change: null,
    result: { ...base(action), version: v, ...more },
  });
  if (handle === undefined || inUse(record, handle))
    return ended({ outcome: 'skipped', detail: 'it is in use' });
  const change = (to: SecretRecord) => ({ uid: record.uid, name: secret.name, from: record, to, writes: [] });
  const now = world.clock.now();
  const off = stage === 'retiring' && driver.disables !== false;
  if (off) {
    const use = await rotator.lastUsedAt(handle);
    if (isUsed(use, policy.stillInUseWindow, now)) {
      const words =
        use.r === 'unknown'
          ? `nobody can say whether ${handle} is still in use (${use.code})`
          : `${handle} was last used at ${use.at}`;
      if (policy.stillInUse === 'block')
        return ended({
          outcome: 'human',
          detail: words,
          hint: 'move its user to the current version, or write stillInUse: warn',
        });
      world.emit({
        kind: 'note',
        level: 'warning',
        secret: secret.name,
        text: `${words}; it is switched off now`,
      });
    }
  }
  await world.failpoint('retire.before');
  const result = off ? await rotator.disable(handle) : await rotator.remove(handle);
  await world.failpoint('retire.afterTarget');
  if (result.r === 'refused')
    return ended({ outcome: 'human', left: 'refused', detail: result.detail, hint: result.hint });
  if (result.r === 'unreachable')
    return ended({ outcome: 'waiting', left: 'unknown', detail: result.detail });
  const at = now.toISOString();
  const to = off
    ? retired(record, v, at, new Date(now.getTime() + policy.deleteAfter).toISOString())
    : removed(record, v, at);
  return {
    action,
    change: change(to),
    result: {
      ...base(action),
      version: v,
      left: 'changed',
      detail: off ? `${handle} is switched off` : `${handle} is deleted`,
    },
  };
}

/** Issued values whose time was over with the promotion itself: without grace nothing waits for the next run. */
export const endedBy = (rotations: readonly Action[], world: World): Action[] =>
  rotations.flatMap((action) => {
    const record = Object.values(world.ledger.state.records).find(({ name }) => name === action.secret);
    if (!record || record.pending) return [];
    const now = world.clock.now();
    const [over] = Object.entries(record.versions)
      .filter(
        ([, version]) => version.handle !== undefined && version.stage === 'retiring' && isOver(version, now),
      )
      .map(
        ([v]): Action => ({
          ...action,
          verb: 'retire',
          uid: record.uid,
          from: Number(v),
          to: null,
          why: null,
          reason: 'no grace',
        }),
      );
    return over ? [over] : [];
  });
