/** Everything that the engine may touch, in one hand: a test owns every effect and may crash at each. */
import type { Clock } from '../clock.ts';
import type { Desired, Target, TargetType, ValueRef } from '../manifests/model.ts';
import type { Secret } from '../secret.ts';
import type { Ledger } from '../state/ledger.ts';
import type { Claim, SecretRecord } from '../state/model.ts';
import { versionOf } from '../state/transitions.ts';
import type { Credentials } from '../targets/driver.ts';
import type { Driver } from '../targets/registry.ts';
import { endpointChange } from './binding.ts';
import type { Event } from './model.ts';
import type { Spill, Spool } from './spool.ts';

export interface World {
  ledger: Ledger;
  clock: Clock;
  random: (bytes: number) => Uint8Array;
  ulid: () => string;
  driver: (type: TargetType) => Promise<Driver>;
  /** `{ env }`, `{ file }`, `{ sealed }`: whatever is not a rotated secret. */
  resolve: (ref: Exclude<ValueRef, { secret: string }>, subject: string) => Promise<Secret>;
  /** This machine's disk, and refs beside the branch: for values that nobody can ask for again. */
  spool: Spool;
  spill: Spill;
  /** Who this process is in claims. */
  owner: Claim['by'];
  emit: (event: Event) => void;
  /** A step boundary; does nothing outside crash tests. */
  failpoint: (name: string) => Promise<void>;
  /** True once somebody asked the run to stop: no new mutation starts. */
  stopping: () => boolean;
  /** Files of wishes to rotate, by secret name: the claim that fulfils them removes them. */
  requests: ReadonlyMap<string, string[]>;
}

/** How long a claim keeps others away, and the frame that every mutation must start in (protocol G6). */
export const lease = 20 * 60_000;
export const mutationDeadline = lease / 2;
/** A mutation starts only if the tip was read this recently. */
export const fenceFreshness = 30_000;

/** The target's own credentials, from wherever its manifest says; null when it needs none. */
export async function targetCredentials(
  world: World,
  desired: Desired,
  target: Target,
): Promise<
  | { r: 'resolved'; credentials: Credentials | undefined; uses: string[] }
  | { r: 'unresolved'; reason: string }
> {
  const given = target.credentials;
  if (!given) return { r: 'resolved', credentials: undefined, uses: [] };
  if (!('secret' in given.password)) {
    const password = await world.resolve(given.password, target.name);
    return { r: 'resolved', credentials: { username: given.handle ?? given.username, password }, uses: [] };
  }
  const name = given.password.secret;
  const record = recordNamed(world, desired, name);
  if (!record || record.current === null)
    return { r: 'unresolved', reason: `its target's credential ${name} has no version yet` };
  if (record.pending) return { r: 'unresolved', reason: `its target's credential ${name} is being rotated` };
  const account = { usernames: [given.username] as [string], host: undefined };
  const moved = endpointChange(record.binding, (await world.driver(target.type)).binding(target, account));
  if (moved)
    return {
      r: 'unresolved',
      reason: `its target's credential ${name} may not be sent there: ${moved}; run keyturn rebind ${name} if that is right`,
    };
  const { value } = await world.ledger.readVersion(record, record.current);
  return {
    r: 'resolved',
    credentials: { username: versionOf(record, record.current).handle ?? given.username, password: value },
    uses: [`${name}@${record.current}`],
  };
}

export function recordNamed(world: World, desired: Desired, name: string): SecretRecord | undefined {
  const records = Object.values(world.ledger.state.records);
  const movedFrom = desired.secrets.get(name)?.movedFrom;
  return (
    records.find((record) => record.name === name) ?? records.find((record) => record.name === movedFrom)
  );
}

/** Names of secrets that some target logs in with: recovered first, rotated last, one at a time (protocol §4.5). */
export function credentialSecrets(desired: Desired): Set<string> {
  const names = new Set<string>();
  for (const target of desired.targets.values()) {
    const password = target.credentials?.password;
    if (password && 'secret' in password) names.add(password.secret);
  }
  return names;
}
