/** Secrets of a pair never rotate within `apart` of each other, however late a job is. PURE. */
import type { Desired, RotatedSecret } from '../manifests/model.ts';
import type { SecretRecord } from '../state/model.ts';
import type { Action } from './model.ts';
import { asHold } from './restraint.ts';
import { relative } from './words.ts';

/**
 * `actions` with every rotation that would come too close to another one of its pair turned into a hold. Of two that
 * could go, the one goes whose current version is older.
 */
export function keepApart(
  actions: readonly Action[],
  desired: Desired,
  recordOf: (secret: RotatedSecret) => SecretRecord | undefined,
  now: Date,
): Action[] {
  const pairs = pairsOf(desired);
  if (pairs.size === 0) return [...actions];
  const held = new Map<string, string>();
  for (const members of pairs.values()) {
    const known = members.map((secret) => ({ secret, rotatedAt: lastRotation(recordOf(secret)) }));
    const going = known
      .filter(({ secret }) => actions.some((a) => a.verb === 'rotate' && a.secret === secret.name))
      .sort((a, b) => a.rotatedAt - b.rotatedAt || (a.secret.name < b.secret.name ? -1 : 1));
    let first: string | null = null;
    for (const { secret } of going) {
      const { pair, apart } = secret.schedule;
      const near = known.find((other) => other.secret !== secret && now.getTime() - other.rotatedAt < apart);
      const pending = known.find((other) => other.secret !== secret && recordOf(other.secret)?.pending);
      const rests = first ?? pending?.secret.name;
      if (rests !== undefined) held.set(secret.name, `${rests} of its pair ${pair} goes first`);
      else if (near)
        held.set(
          secret.name,
          `${near.secret.name} of its pair ${pair} was rotated ${relative(new Date(near.rotatedAt), now)}, this one follows ${relative(new Date(near.rotatedAt + apart), now)}`,
        );
      else first = secret.name;
    }
  }
  return actions.map((action) => {
    const why = action.verb === 'rotate' ? held.get(action.secret) : undefined;
    return why === undefined ? action : asHold(action, why);
  });
}

export function pairsOf({ secrets }: Desired): Map<string, RotatedSecret[]> {
  const pairs = new Map<string, RotatedSecret[]>();
  for (const secret of secrets.values()) {
    const { pair } = secret.schedule;
    if (pair !== undefined) pairs.set(pair, [...(pairs.get(pair) ?? []), secret]);
  }
  return pairs;
}

/** An adoption counts as one: nobody knows when the value was set. */
function lastRotation(record: SecretRecord | undefined): number {
  const current = record && record.current !== null ? record.versions[record.current] : undefined;
  return current?.promotedAt === undefined ? Number.NEGATIVE_INFINITY : Date.parse(current.promotedAt);
}
