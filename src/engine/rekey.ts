/** Re-encrypts for changed readers, or under a new name; the target is not touched. */
import type { Desired, RotatedSecret } from '../manifests/model.ts';
import type { Change } from '../state/ledger.ts';
import type { SecretRecord } from '../state/model.ts';
import { currentPath, hostPointers } from '../state/pointers.ts';
import { isReconciler, knownBy, named } from '../state/readers.ts';
import { rekeyed, type Sealed, versionOf } from '../state/transitions.ts';
import { valuePath } from '../state/version-file.ts';
import { readerChange } from './audience.ts';
import { base } from './conclude.ts';
import type { Action } from './model.ts';
import { isClaimAlive } from './unfinished.ts';
import type { Done } from './upkeep.ts';
import { audienceNow, recordNamed, type World } from './world.ts';

/** The same numbers, sealed anew: what may still be asked for goes to today's readers, history stays as it was. */
export async function rekey(
  action: Action,
  secret: RotatedSecret,
  desired: Desired,
  world: World,
): Promise<Done> {
  const record = recordNamed(world, desired, secret.name);
  if (!record) throw new Error('rekey without a record');
  if (isClaimAlive(record, world.clock.now()))
    return {
      action,
      change: null,
      result: { ...base(action), outcome: 'waiting', detail: 'another run is rotating it' },
    };
  const change = await sealedAnew(record, record, secret, desired, world, action.keyChange === true);
  const count = change.sealed;
  return {
    action,
    change: change.change,
    result: {
      ...base(action),
      detail: `${count} ${count === 1 ? 'version' : 'versions'} re-encrypted`,
    },
  };
}

/** Its versions in use as files that say `bound`'s binding, for those who may read them now. */
export async function sealedAnew(
  record: SecretRecord,
  bound: SecretRecord,
  secret: RotatedSecret,
  desired: Desired,
  world: World,
  newKey = false,
): Promise<{ change: Change; sealed: number }> {
  const moved = record.name !== secret.name;
  const renamed: SecretRecord = { ...bound, name: secret.name };
  const sealed = new Map<number, Sealed>();
  const writes: Change['writes'] = [];
  const audience = audienceNow(secret, record, desired, world);
  const recipients = audience.to.map((reader) => reader.recipient);
  const keyChanged = newKey || readerChange(record, audience)?.keyChanged === true;
  for (const v of Object.keys(record.versions).map(Number)) {
    const { stage, file } = versionOf(record, v);
    if (file === null) continue;
    if (!moved && stage !== 'current' && stage !== 'retiring' && stage !== 'pending') continue;
    const { value, fields } = await world.ledger.readVersion(record, v);
    const made = await world.ledger.seal(renamed, v, { value, fields }, recipients);
    // whoever could open it knows the value: remembered until it is rotated, a crash in between included
    const formerReaders = knownBy(versionOf(record, v)).filter(
      (fp) => !made.sealed.readers.includes(fp) && !(keyChanged && isReconciler(record, fp)),
    );
    sealed.set(v, { ...made.sealed, formerReaders });
    writes.push(made.write);
    if (moved) writes.push({ path: valuePath(record.name, v), bytes: null });
    world.emit({ kind: 'step', secret: secret.name, step: 'rekey', version: v });
  }
  if (moved)
    writes.push(
      ...hostPointers(record.name, record, { ...record, hosts: {} }),
      ...hostPointers(secret.name, undefined, record),
    );
  if (moved && record.current !== null)
    writes.push(
      { path: currentPath(record.name), bytes: null },
      world.ledger.pointer(secret.name, record.current),
    );
  const to = named(rekeyed(bound, secret.name, sealed), audience.to);
  return { change: { uid: record.uid, name: secret.name, from: record, to, writes }, sealed: sealed.size };
}
