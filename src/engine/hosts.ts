/** Several hosts with one value: what a plan says of them. PURE. */
import type { RotatedSecret } from '../manifests/model.ts';
import { hostsOf, lacking } from '../state/hosts.ts';
import type { Binding, SecretRecord } from '../state/model.ts';
import { bindingChange } from './binding.ts';
import { isBlank } from './first-version.ts';
import type { Action } from './model.ts';

/** Every target that accepts the value. */
export const placesOf = (secret: RotatedSecret): readonly string[] => secret.hosts ?? [secret.target];

/** The secret as if `host` were its only one. */
export function at(secret: RotatedSecret, host: string): RotatedSecret {
  const { hosts: _, ...alone } = secret;
  return { ...alone, target: host };
}

/** Key of a host's binding among those of all secrets. */
export const hostKey = (secret: string, host: string): string => `${secret}@${host}`;

/**
 * The hosts that may be sent the value: at first all that the manifest names, later those that it is bound to. One
 * that is added waits for `rebind`: whoever may change a manifest must not get the others' value by it (threat A1).
 */
export function admitted(secret: RotatedSecret, record: SecretRecord): string[] {
  const known = hostsOf(record);
  return placesOf(secret).filter((host) => isBlank(record) || known[host] !== undefined);
}

/** How the place where a recorded value may be sent differs from the manifest's, in words; null when it does not. */
export function movedPlace(
  secret: RotatedSecret,
  record: SecretRecord,
  bindings: ReadonlyMap<string, Binding>,
): string | null {
  const known = hostsOf(record);
  if (secret.hosts === undefined)
    return bindingChange(known[secret.target]?.binding ?? record.binding, bindings.get(secret.name));
  const hosts = admitted(secret, record);
  if (hosts.length === 0) return `${secret.hosts.join(', ')} may not have the value yet`;
  for (const host of hosts) {
    const was = known[host]?.binding;
    const change = was && bindingChange(was, bindings.get(hostKey(secret.name, host)));
    if (change) return `${host}: ${change}`;
  }
  return null;
}

/** Hosts that the manifest names and the record does not know, and the other way round: lines of a plan. */
export function comingAndGoing(
  secret: RotatedSecret,
  record: SecretRecord,
  act: (verb: 'hold', reason: string) => Action,
): Action[] {
  if (secret.hosts === undefined || isBlank(record)) return [];
  const known = hostsOf(record);
  const added = secret.hosts.filter((host) => known[host] === undefined);
  const gone = Object.entries(known).filter(([host]) => secret.hosts?.includes(host) !== true);
  return [
    ...added.map((host) =>
      act('hold', `${host} was added: keyturn rebind ${secret.name} lets it have the next version`),
    ),
    ...gone.map(([host, { v }]) =>
      act(
        'hold',
        `${host} is no host of it any more: its account there ${v === null ? 'was never set' : `keeps v${v}`}, and the next rotation forgets it`,
      ),
    ),
  ];
}

/** Nothing is pending, and yet some hosts have another version than the current one: they need a common one. */
export function straggling(secret: RotatedSecret, record: SecretRecord): string | null {
  if (secret.hosts === undefined || record.current === null) return null;
  const known = hostsOf(record);
  const behind = lacking(record, admitted(secret, record), record.current).map((host) => {
    const v = known[host]?.v ?? null;
    return `${host} has ${v === null ? 'no version yet' : `v${v}`}`;
  });
  return behind.length === 0 ? null : behind.join(', ');
}

/** How far a pending version has come: `2 of 3 hosts have v5; prod/web-3: set failed (unreachable, ETIMEDOUT)`. */
export function progress(secret: RotatedSecret, record: SecretRecord): string | null {
  const { pending } = record;
  if (secret.hosts === undefined || pending === null) return null;
  const hosts = admitted(secret, record);
  const missing = lacking(record, hosts, pending.v);
  const known = hostsOf(record);
  const failures = missing.flatMap((host) => {
    const error = known[host]?.lastError;
    return error === undefined ? [] : [`${host}: ${error.step} failed (${error.class}, ${error.code})`];
  });
  const silent = missing.filter((host) => known[host]?.lastError === undefined);
  return [
    `${hosts.length - missing.length} of ${hosts.length} hosts have v${pending.v}`,
    ...failures,
    ...(silent.length > 0 && silent.length < hosts.length ? [`${silent.join(', ')} not tried yet`] : []),
  ].join('; ');
}
