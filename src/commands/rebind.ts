import { bindingChange, boundTo, newPlaces } from '../engine/binding.ts';
import { placesOf } from '../engine/hosts.ts';
import { sealedAnew } from '../engine/rekey.ts';
import { isClaimAlive } from '../engine/unfinished.ts';
import { KeyturnError } from '../errors.ts';
import type { RotatedSecret } from '../manifests/model.ts';
import type { Session } from '../run.ts';
import { rebound } from '../state/bookkeeping.ts';
import { hostsOf, hostsRebound } from '../state/hosts.ts';
import type { Change } from '../state/ledger.ts';
import type { Binding, SecretRecord } from '../state/model.ts';
import { driverOf } from '../targets/registry.ts';
import { confirm } from './confirm.ts';
import { type Command, type Context, quietSession } from './context.ts';
import { findRecord } from './list.ts';
import { changeOf } from './ways-out.ts';
import { writeChanges } from './write.ts';

/** `keyturn rebind NAME`: the manifest's new endpoint may have the credential from now on. */
export const rebind: Command<[string]> = async (context, name) => {
  const session = await quietSession(context);
  const secret = session.desired.secrets.get(name);
  const target = secret && session.desired.targets.get(secret.target);
  const record = findRecord(session, name);
  if (!secret || !target) throw new KeyturnError(name, 'has no manifest', { hint: 'restore it first' });
  if (secret.hosts !== undefined) return rebindHosts(context, session, secret, record);
  const binding = boundTo(await driverOf(target.type, secret.rotator), target, secret);
  const differences = Object.entries(binding).filter(
    ([key, value]) => record.binding[key as keyof typeof binding] !== value,
  );
  if (differences.length === 0) {
    context.console.words(`keyturn: ${name} is bound to what its manifest says`);
    return 0;
  }
  for (const [key, value] of differences)
    context.console.words(`  ${key}: ${record.binding[key as keyof typeof binding] ?? 'none'} -> ${value}`);
  await confirm(context, `Send the credential of ${name} there from now on?`);
  await writeChanges(
    context,
    session,
    [await rebinding(session, secret, record, rebound(record, binding))],
    `rebind ${name}`,
  );
  return 0;
};

/** Readers have the binding from the files alone, so those are sealed anew; whoever cannot open them leaves them as they are. */
async function rebinding(
  { desired, world }: Session,
  secret: RotatedSecret,
  from: SecretRecord,
  to: SecretRecord,
): Promise<Change> {
  if (isClaimAlive(from, world.clock.now()) || from.name !== secret.name) return changeOf(from, to);
  try {
    return (await sealedAnew(from, to, secret, desired, world)).change;
  } catch (error) {
    if (error instanceof KeyturnError && error.code === 'NO_IDENTITY') return changeOf(from, to);
    throw error;
  }
}

/** Of several hosts those that are new or elsewhere; a new one has no value before the next version. */
async function rebindHosts(
  context: Context,
  session: Session,
  secret: RotatedSecret,
  record: SecretRecord,
): Promise<0> {
  const known = hostsOf(record);
  const bindings = new Map<string, Binding>();
  for (const host of placesOf(secret)) {
    const target = session.desired.targets.get(host);
    if (!target) continue;
    const binding = (await driverOf(target.type, secret.rotator)).binding(target, secret.account);
    const was = known[host]?.binding;
    const change = was ? bindingChange(was, binding) : `is new, at ${binding.host}:${binding.port}`;
    if (change === null) continue;
    bindings.set(host, binding);
    context.console.words(`  ${host}: ${change}`);
  }
  const first = session.desired.targets.get(secret.target);
  const binding = first ? boundTo(await driverOf(first.type, secret.rotator), first, secret) : record.binding;
  const sessions = newPlaces(record.binding, binding);
  if (sessions !== null) context.console.words(`  ${sessions}`);
  if (bindings.size === 0 && sessions === null) {
    context.console.words(`keyturn: ${record.name} is bound to what its manifest says`);
    return 0;
  }
  await confirm(context, `Send the credential of ${record.name} there from now on?`);
  const to = { ...hostsRebound(record, bindings), binding };
  await writeChanges(
    context,
    session,
    [await rebinding(session, secret, record, to)],
    `rebind ${record.name}`,
  );
  return 0;
}
