import { fingerprint } from '../age/fingerprint.ts';
import type { Audience } from '../engine/audience.ts';
import { recordOf } from '../engine/plan.ts';
import { blank } from '../engine/prepare.ts';
import { audienceNow } from '../engine/world.ts';
import { type ExitCode, KeyturnError } from '../errors.ts';
import type { RotatedSecret } from '../manifests/model.ts';
import { openSession, refuseUnpublished, type Session } from '../run.ts';
import type { Change } from '../state/ledger.ts';
import { approvedFor } from '../state/readers.ts';
import { driverOf } from '../targets/registry.ts';
import { confirm } from './confirm.ts';
import type { Command, Context } from './context.ts';
import { writeChanges } from './write.ts';

/**
 * `keyturn approve [NAME…]`: a signer lets in whom the manifests name (protocol A6, `trust: signed`). The approval is
 * a segment of the state, signed like every other, so it can be neither forged nor taken from elsewhere; it ends with
 * the right that it was given for. The next apply seals for them.
 */
export const approve: Command<[string[]]> = async (context, names) => {
  // a name asks for that secret alone: the readers of the state stay as they are
  const session = await openSession(context.host, {
    identity: context.identity,
    approving: names.length === 0,
  });
  const { desired, ledger } = session;
  if (!session.identity.signer)
    throw new KeyturnError(session.identity.source, 'has no signing key, so it cannot approve', {
      hint: 'use an identity with a KEYTURN-SIGN-1 line that the job trusts',
    });
  await refuseUnpublished(session);
  if (desired.project.trust !== 'signed') return endApprovals(context, session);
  for (const name of names)
    if (!desired.secrets.has(name))
      throw new KeyturnError(name, 'no such secret', { hint: 'keyturn list shows the names' });
  const wanted = [...desired.secrets.values()].filter((s) => names.length === 0 || names.includes(s.name));
  const asked = wanted
    .map((secret) => ({ secret, audience: audienceFor(secret, session) }))
    .filter(({ audience }) => audience.waiting.length > 0);
  const newcomers = names.length === 0 ? ledger.newcomers() : [];
  for (const { secret, audience } of asked)
    for (const { name, recipient } of audience.waiting)
      context.console.words(`  + ${secret.name}   ${name}   ${recipient}   ${fingerprint(recipient)}`);
  for (const recipient of newcomers) context.console.words(`  + the state   ${recipient}`);
  const [some] = Object.values(ledger.state.records);
  if (asked.length === 0 && (newcomers.length === 0 || !some)) {
    context.console.words('keyturn: nobody waits for an approval');
    return 0;
  }
  await confirm(context, 'Let them in?');
  const changes = await Promise.all(asked.map(({ secret, audience }) => approval(secret, audience, session)));
  // any segment is sealed to the newcomers; one that changes nothing will do
  if (changes.length === 0 && some)
    changes.push({ uid: some.uid, name: some.name, from: some, to: some, writes: [] });
  const what =
    asked.length === 1 ? `readers of ${asked[0]?.secret.name}` : `readers of ${asked.length} secrets`;
  await writeChanges(
    context,
    session,
    changes,
    `approve ${asked.length === 0 ? 'readers of the state' : what}`,
  );
  return 0;
};

/** `trust: branch` in keyturn.yaml alone ends nothing: a signer does. */
async function endApprovals(context: Context, session: Session): Promise<ExitCode> {
  const records = Object.values(session.ledger.state.records).filter((r) => r.approved !== undefined);
  if (records.length === 0) {
    context.console.words('keyturn: nothing waits: spec.trust is branch, so what is merged is approved');
    return 0;
  }
  await confirm(context, 'Does the branch approve readers from now on (spec.trust: branch)?');
  const changes = records.map((from): Change => {
    const { approved: _, ...to } = from;
    return { uid: from.uid, name: from.name, from, to, writes: [] };
  });
  await writeChanges(context, session, changes, 'readers are approved by the branch');
  return 0;
}

function audienceFor(secret: RotatedSecret, { desired, ledger, world }: Session): Audience {
  return audienceNow(secret, recordOf(secret, ledger.state.records), desired, world);
}

async function approval(
  secret: RotatedSecret,
  { to: already, waiting }: Audience,
  { desired, ledger, world }: Session,
): Promise<Change> {
  const known = recordOf(secret, ledger.state.records);
  const target = desired.targets.get(secret.target);
  if (!target) throw new Error(`${secret.name} has no target`);
  const record = known ?? blank(secret, target, await driverOf(target.type, secret.rotator), world);
  // those who are in already too: the record may be the first one that knows a reconciler
  const to = approvedFor(record, [...already, ...waiting]);
  return { uid: record.uid, name: record.name, from: known, to, writes: [] };
}
