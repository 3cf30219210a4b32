import { readerChange } from '../engine/audience.ts';
import type { Action } from '../engine/model.ts';
import { recordOf } from '../engine/plan.ts';
import { isClaimAlive } from '../engine/unfinished.ts';
import { audienceNow } from '../engine/world.ts';
import type { RotatedSecret } from '../manifests/model.ts';
import { applyPlan, makePlan, refuseUnpublished, type Session } from '../run.ts';
import { worst } from './apply.ts';
import { confirm } from './confirm.ts';
import { type Command, sessionWithProgress } from './context.ts';

/**
 * `keyturn rekey [NAME…]`: the versions in use, sealed to the reconcilers and readers of now; no target is touched. A
 * reconciler that is gone had another key before: a person says so by running it. A member that was removed stays
 * known to the record, so the next apply still rotates.
 */
export const rekey: Command<[string[]]> = async (context, names) => {
  const { session, progress } = await sessionWithProgress(context);
  await refuseUnpublished(session);
  const plan = await makePlan(session, { only: names });
  const actions = [...session.desired.secrets.values()]
    .filter((secret) => names.length === 0 || names.includes(secret.name))
    .flatMap((secret) => actionFor(secret, session));
  if (actions.length === 0) {
    context.console.words('keyturn: everything is sealed to the reconcilers and readers of now');
    return 0;
  }
  for (const { secret, reason } of actions) context.console.words(`  @ rekey   ${secret}   ${reason}`);
  await confirm(context, `Re-encrypt ${actions.length} ${actions.length === 1 ? 'secret' : 'secrets'}?`);
  const group = { target: '', label: '', warnings: [], actions };
  const { results } = await applyPlan(session, { ...plan, groups: [group], unsafe: [] });
  progress.end(results);
  return worst(results);
};

function actionFor(secret: RotatedSecret, { desired, ledger, world }: Session): Action[] {
  const record = recordOf(secret, ledger.state.records);
  if (!record || isClaimAlive(record, world.clock.now())) return [];
  const change = readerChange(record, audienceNow(secret, record, desired, world));
  if (!change || change.fixed || (change.added.length === 0 && change.removed.length === 0)) return [];
  const { uid, current: from } = record;
  const reason = [
    ...change.added.map(({ name }) => `+${name}`),
    ...change.removed.map((name) => `-${name}`),
  ].join(' ');
  const common = { verb: 'rekey' as const, secret: secret.name, uid, target: secret.target, from };
  return [{ ...common, to: null, why: null, reason, keyChange: true }];
}
