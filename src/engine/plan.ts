/** (desired, state, now, observed) -> Plan. PURE: no clock, file, network or logger. */
import { createHash } from 'node:crypto';
import type { Desired, RotatedSecret, Target } from '../manifests/model.ts';
import { byName } from '../state/by-name.ts';
import { hostsOf } from '../state/hosts.ts';
import type { Binding, SecretRecord, State } from '../state/model.ts';
import { gateOf } from './audience.ts';
import { endpointChange } from './binding.ts';
import { decide, type Observed } from './decide.ts';
import { withDrift } from './drift.ts';
import { hostKey, placesOf } from './hosts.ts';
import type { Action, Plan, PlanGroup } from './model.ts';
import { keepApart } from './pairs.ts';
import { adoptedLater, pausedOr, withAssent } from './restraint.ts';
import { unsafeReasons } from './safety.ts';
import { nextDue } from './why.ts';

export interface PlanOptions {
  /** Which secrets are looked at; the others count as nowhere. */
  only?: (name: string) => boolean;
}

export function plan(
  desired: Desired,
  state: State,
  now: Date,
  observed: Observed,
  options: PlanOptions = {},
): Plan {
  const wanted = options.only ?? (() => true);
  const records = Object.values(state.records);
  const gate = gateOf(desired.project, state);
  const bound = endpoints(desired, state);
  const used = new Set<string>();
  const all: Action[] = [];
  let unchanged = 0;
  let soonest: Date | null = null;
  for (const secret of desired.secrets.values()) {
    const record = recordOf(secret, state.records);
    if (record) used.add(record.uid);
    if (!wanted(secret.name)) continue;
    const moved = record ? null : movedTarget(secret, bound, observed);
    const found = moved
      ? [moved]
      : restrained(
          decide(secret, record, desired.project.reconcilers, now, observed, gate),
          secret,
          record,
          now,
          observed,
        );
    if (found.length === 0) unchanged += 1;
    all.push(...found);
    const due = record && nextDue(secret, record);
    if (due && due > now && (!soonest || due < soonest)) soonest = due;
  }
  for (const record of records) if (!used.has(record.uid) && wanted(record.name)) all.push(forget(record));
  const agreed = withAssent(all, desired, observed.assent === true);
  const actions = observed.force
    ? agreed
    : keepApart(agreed, desired, (secret) => recordOf(secret, state.records), now);

  const { serial, head } = state;
  return assemble(desired, actions, { serial, head, now, unchanged, nextDue: soonest });
}

/** Actions in their groups and order, judged and checksummed. */
export function assemble(
  desired: Desired,
  actions: readonly Action[],
  of: { serial: number; head: string; now: Date; unchanged: number; nextDue: Date | null },
): Plan {
  const groups = group(actions, desired);
  return {
    format: 1,
    project: desired.project.name,
    serial: of.serial,
    head: of.head,
    at: of.now.toISOString(),
    groups,
    unchanged: of.unchanged,
    nextDue: of.nextDue?.toISOString() ?? null,
    unsafe: unsafeReasons(actions, desired.secrets.size, desired.project.limits),
    checksum: checksum(groups),
  };
}

/** What the secret's own record asks for, without what its manifest and its last answer from the target forbid. */
function restrained(
  decided: readonly Action[],
  secret: RotatedSecret,
  record: SecretRecord | undefined,
  now: Date,
  observed: Observed,
): Action[] {
  const drifting = withDrift(decided, secret, record, now, observed.force);
  const later = observed.force ? drifting : adoptedLater(drifting, record, now);
  return observed.force ? later : pausedOr(later, secret, record);
}

/** The record that belongs to a manifest: by name, or by the name that it had before. */
export function recordOf(secret: RotatedSecret, records: State['records']): SecretRecord | undefined {
  const named = byName(records);
  const { name, movedFrom } = secret;
  return named.get(name) ?? (movedFrom === undefined ? undefined : named.get(movedFrom));
}

/**
 * A secret that is new has no binding yet: while others of its target are bound to another endpoint, the target's
 * credentials are not sent to the new one for its sake either (threat A1).
 */
function movedTarget(
  secret: RotatedSecret,
  bound: ReadonlyMap<string, Endpoint[]>,
  observed: Observed,
): Action | null {
  for (const place of placesOf(secret))
    for (const { name, binding } of bound.get(place) ?? []) {
      const is = secret.hosts === undefined ? secret.name : hostKey(secret.name, place);
      const change = endpointChange(binding, observed.bindings.get(is));
      if (change)
        return {
          verb: 'block',
          secret: secret.name,
          uid: '',
          target: secret.target,
          from: null,
          to: null,
          why: null,
          reason: `${change} since ${name} was recorded; run keyturn rebind ${name} if that is right`,
        };
    }
  return null;
}

/** An endpoint that is recorded, and the first secret that is bound to it. */
interface Endpoint {
  name: string;
  binding: Binding;
}

/** Of every target the different endpoints that its secrets are bound to. */
function endpoints(desired: Desired, state: State): Map<string, Endpoint[]> {
  const found = new Map<string, Endpoint[]>();
  for (const secret of desired.secrets.values()) {
    const record = recordOf(secret, state.records);
    if (!record) continue;
    const bindings =
      secret.hosts === undefined
        ? [{ place: secret.target, binding: record.binding }]
        : Object.entries(hostsOf(record)).map(([place, { binding }]) => ({ place, binding }));
    for (const { place, binding } of bindings) {
      const known = found.get(place) ?? [];
      if (known.some((other) => endpointChange(other.binding, binding) === null)) continue;
      found.set(place, [...known, { name: secret.name, binding }]);
    }
  }
  return found;
}

/** Every action that apply would carry out; `hold`, `block` and `forget` only say something. */
export const effective = (plan: Plan): Action[] =>
  plan.groups
    .flatMap((group) => group.actions)
    .filter((action) => !['hold', 'block', 'forget'].includes(action.verb));

function forget(record: SecretRecord): Action {
  return {
    verb: 'forget',
    secret: record.name,
    uid: record.uid,
    target: record.target,
    from: record.current,
    to: null,
    why: null,
    reason: `unmanaged, its manifest is gone: not rotated any more, readable until keyturn destroy ${record.name}`,
  };
}

function group(actions: readonly Action[], desired: Desired): PlanGroup[] {
  const names = [...new Set(actions.map((action) => action.target))].sort();
  return names.map((name) => {
    const target = desired.targets.get(name);
    return {
      target: name,
      label: target ? labelOf(target) : 'no such target',
      warnings: target ? targetWarnings(target) : [],
      actions: actions
        .filter((action) => action.target === name)
        .sort((a, b) => compare(a.secret, b.secret) || compare(a.verb, b.verb)),
    };
  });
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** `mysql, db.internal:3306`; of AWS the account says more than the endpoint. */
export function labelOf({ type, host, port, aws, azure }: Target): string {
  const place = aws?.accountId ?? azure?.storage?.name ?? azure?.tenantId;
  return `${type}, ${place ?? `${host}:${port}`}`;
}

const targetWarnings = (target: Target): string[] =>
  target.tls.mode === 'disable' ? ['TLS is disabled: credentials travel in clear text'] : [];

/** Over what would be done, not over how long ago it fell due. */
function checksum(groups: readonly PlanGroup[]): string {
  const what = groups.map((g) => [
    g.target,
    g.label,
    g.actions.map((a) => [a.verb, a.secret, a.uid, a.from, a.to, a.why, ...(a.restore ? [a.restore] : [])]),
  ]);
  return `sha256:${createHash('sha256').update(JSON.stringify(what)).digest('hex')}`;
}
