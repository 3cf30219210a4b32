/** A person's ways out of every blocked state; each is named by the message that calls for it. */

import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { adopt as adoptValue } from '../engine/adopt.ts';
import { remainsIn } from '../engine/last-resort.ts';
import type { Action } from '../engine/model.ts';
import { makeRepair, type Repair } from '../engine/repair.ts';
import { KeyturnError } from '../errors.ts';
import { applyPlan, makePlan, refuseUnpublished, type Session } from '../run.ts';
import { Secret } from '../secret.ts';
import { unlocked } from '../state/bookkeeping.ts';
import type { Change } from '../state/ledger.ts';
import type { SecretRecord } from '../state/model.ts';
import { nextVersion } from '../state/transitions.ts';
import { tell } from '../tell.ts';
import { carryOut, printNotes, worst } from './apply.ts';
import { confirm } from './confirm.ts';
import { type Command, type Context, quietSession, sessionWithProgress } from './context.ts';
import { findRecord } from './list.ts';
import { readValue } from './seal.ts';
import { writeChanges } from './write.ts';

/** `keyturn recover [NAME…]`: settles what an interrupted run left pending and rotates nothing else. */
export const recover: Command<[string[], { force: boolean; from?: string }]> = async (
  context,
  names,
  { force, from },
) => {
  const { session, progress } = await sessionWithProgress(context);
  if (from !== undefined) await bringBack(context, session, from);
  const all = await makePlan(session, { only: names, force });
  const groups = all.groups
    .map((group) => ({
      ...group,
      actions: group.actions.filter((a) => a.verb === 'resume' || a.verb === 'block'),
    }))
    .filter((group) => group.actions.length > 0);
  const settled = { ...all, groups, unsafe: [] };
  return (await carryOut(context, session, progress, settled, { only: names })).code;
};

/** Puts what a run left in its log where the next run of this machine looks for it. */
async function bringBack(context: Context, { ledger, world }: Session, file: string): Promise<void> {
  const log = await readFile(resolve(context.host.cwd, file), 'utf8').catch(() => {
    throw new KeyturnError(file, 'cannot be read', { hint: 'save the log of the interrupted run there' });
  });
  const found = remainsIn(log);
  if (found.length === 0)
    throw new KeyturnError(file, 'holds no keyturn record', {
      hint: 'copy from -----BEGIN KEYTURN RECORD----- to the end marker, both included',
    });
  for (const { secret, version: v, bytes } of found) {
    const record = Object.values(ledger.state.records).find(({ name }) => name === secret);
    if (record?.pending?.v !== v || record.pending.phase !== 'claimed')
      throw new KeyturnError(secret, `v${v} is not waited for any more`, { hint: 'nothing is to be done' });
    await ledger.openSealed(record, v, bytes, file);
    await world.spool.put({ repo: ledger.repo, uid: record.uid, v }, record.pending.claim.id, bytes);
  }
}

/** `keyturn reconcile NAME`: sets the pending or a new value with the target's credentials, whatever is live now. */
export const reconcile: Command<[string]> = async (context, name) => {
  const { session, progress } = await sessionWithProgress(context);
  await refuseUnpublished(session);
  const record = findRecord(session, name);
  const repair: Repair = makeRepair(session.desired, record);
  await confirm(context, `Set a value for ${name} with the credentials of ${record.target}?`);
  const plan = repair.plan(await makePlan(session));
  const { results } = await applyPlan({ ...session, desired: repair.desired }, plan);
  progress.end(results);
  printNotes(context.console, await tell(session, plan, results));
  return worst(results);
};

/** `keyturn adopt NAME`: takes a value from stdin that the target accepts already. */
export const adopt: Command<[string]> = async (context, name) => {
  const { session, progress } = await sessionWithProgress(context);
  await refuseUnpublished(session);
  const secret = session.desired.secrets.get(name);
  if (!secret) throw new KeyturnError(name, 'no such secret', { hint: 'keyturn list shows the names' });
  const record = Object.values(session.ledger.state.records).find((r) => r.name === name);
  if (record?.pending && record.pending.claim.lease > 0 && record.health !== 'blocked')
    throw new KeyturnError(name, `v${record.pending.v} is pending, and its value may be live`, {
      hint: `keyturn recover ${name} settles it; if its owner is gone for good, keyturn unlock ${name} first`,
      exit: 3,
    });
  // a storage key is read from its account
  const shown = secret.rotator === 'storage-key';
  const value = shown ? new Secret('') : await readValue(context, `Value of ${name}`);
  const v = record ? nextVersion(record) : 1;
  const action: Action = {
    verb: 'adopt',
    secret: name,
    uid: record?.uid ?? '',
    target: secret.target,
    from: record?.current ?? null,
    to: v,
    why: null,
    reason: 'asked for',
  };
  const { change, result } = await adoptValue(
    action,
    secret,
    value,
    undefined,
    session.desired,
    session.world,
  );
  if (change && result.outcome === 'done')
    await writeChanges(context, session, [change], `adopt ${name} v${v}`);
  progress.end([result]);
  return worst([result]);
};

/** `keyturn unlock NAME`: its claim's owner is gone for good, or its account was unlocked: the next run may try at once. */
export const unlock: Command<[string]> = async (context, name) => {
  const session = await quietSession(context);
  const record = findRecord(session, name);
  if (record.pending)
    await confirm(
      context,
      `Is ${record.pending.claim.by.runner}, which claimed ${name}, certainly not running?`,
    );
  await writeChanges(context, session, [changeOf(record, unlocked(record))], `unlock ${name}`);
  return 0;
};

export const changeOf = (from: SecretRecord, to: SecretRecord): Change => ({
  uid: from.uid,
  name: from.name,
  from,
  to,
  writes: [],
});
