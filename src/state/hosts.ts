/** One value on several hosts: which of them has which version. Pure: a record in, a record out. */
import type { Failure } from './bookkeeping.ts';
import type { Binding, HostRecord, SecretRecord } from './model.ts';
import { pendingOf } from './transitions.ts';

/** What is recorded of each host, by its target; before there were several, of the only one. */
export function hostsOf(record: SecretRecord): Record<string, HostRecord> {
  if (record.hosts !== undefined) return record.hosts;
  return Object.keys(record.versions).length === 0
    ? {}
    : { [record.target]: { binding: record.binding, v: record.current } };
}

/** Where a host is, as its binding has it, in one line. */
export const placeOf = ({ host, port, tls }: Binding): string => `${host}:${port} ${tls}`;

/** What the file of a version says of where it may be sent: readers know nothing else of that. */
export function sealedBinding({ binding, hosts }: SecretRecord): Binding {
  if (hosts === undefined) return binding;
  const places = Object.entries(hosts).map(([name, one]) => [name, placeOf(one.binding)]);
  return { ...binding, hosts: Object.fromEntries(places) };
}

/** The record as if `host` were its only one: what a rotation, a login or a retirement there goes by. */
export function seenFrom(record: SecretRecord, host: string): SecretRecord {
  const { binding, v, baseline = {}, tried = [], ...known } = hostRecord(record, host);
  const versions = Object.fromEntries(
    Object.entries(record.versions).map(([number, version]) => {
      if (Number(number) === v) return [number, { ...version, stage: 'current' as const }];
      return [number, version.stage === 'current' ? { ...version, stage: 'retired' as const } : version];
    }),
  );
  return {
    ...record,
    target: host,
    binding,
    current: v,
    versions,
    pending: record.pending && { ...record.pending, baseline, tried },
    sched: {
      ...record.sched,
      lastError: known.lastError ?? null,
      probeAfter: known.probeAfter ?? null,
    },
  };
}

/** P1: each of `hosts` may be sent the pending value from now on. */
export function hostsClaimed(
  record: SecretRecord,
  hosts: ReadonlyMap<string, { binding: Binding; baseline: Record<string, string> }>,
): SecretRecord {
  const known = hostsOf(record);
  const claimed = [...hosts].map(([name, { binding, baseline }]): [string, HostRecord] => [
    name,
    { binding: known[name]?.binding ?? binding, v: known[name]?.v ?? null, baseline },
  ]);
  return { ...record, hosts: { ...known, ...Object.fromEntries(claimed) } };
}

/** The host accepts the pending value; it is not asked again before all do. */
export function hostTook(
  record: SecretRecord,
  host: string,
  took: NonNullable<HostRecord['took']>,
): SecretRecord {
  const { binding } = hostRecord(record, host);
  return withHost(record, host, { binding, v: pendingOf(record).v, took });
}

/** It does not, or nobody knows. */
export function hostMissed(
  record: SecretRecord,
  host: string,
  by: {
    failure: Failure;
    sent: NonNullable<HostRecord['sent']>;
    probeAfter?: string;
    tried?: number;
  },
): SecretRecord {
  const known = hostRecord(record, host);
  return withHost(record, host, {
    ...known,
    lastError: by.failure,
    sent: by.sent,
    ...(by.probeAfter === undefined ? {} : { probeAfter: by.probeAfter }),
    ...(by.tried === undefined ? {} : { tried: [...(known.tried ?? []), by.tried] }),
  });
}

/** A run that has not come to it ends: the pending value was not sent there. */
export const hostUntouched = (record: SecretRecord, host: string): SecretRecord =>
  withHost(record, host, { ...hostRecord(record, host), sent: 'no' });

/** P1 of a takeover: nobody may rely any more on the pending value not having been sent to `hosts`. */
export function hostsTakenOver(record: SecretRecord, hosts: readonly string[]): SecretRecord {
  const open = hosts.map((name) => {
    const known = hostRecord(record, name);
    const { sent, ...rest } = known;
    return [name, sent === 'no' ? rest : known] as const;
  });
  return { ...record, hosts: { ...hostsOf(record), ...Object.fromEntries(open) } };
}

/** All of `hosts` have the current version; others are forgotten. Undefined: it has one host again. */
export function hostsSettled(record: SecretRecord, hosts: readonly string[] | undefined): SecretRecord {
  const { hosts: _, ...rest } = record;
  if (hosts === undefined) return rest;
  return {
    ...rest,
    hosts: Object.fromEntries(
      hosts.map((name) => [name, { binding: hostRecord(record, name).binding, v: record.current }]),
    ),
  };
}

/** A person lets the value go where the manifest says. A host that is new has none yet. */
export function hostsRebound(record: SecretRecord, bindings: ReadonlyMap<string, Binding>): SecretRecord {
  const known = hostsOf(record);
  const bound = [...bindings].map(([name, binding]) => [name, { v: null, ...known[name], binding }] as const);
  return { ...record, hosts: { ...known, ...Object.fromEntries(bound) } };
}

/** A person says that the next run may try at once. */
export function hostsUnlocked(record: SecretRecord): SecretRecord {
  if (record.hosts === undefined) return record;
  const free = Object.entries(record.hosts).map(
    ([name, { lastError: _, probeAfter: __, tried: ___, ...host }]) => [name, host] as const,
  );
  return { ...record, hosts: Object.fromEntries(free) };
}

/** Those among `hosts` that lack version `v`. */
export const lacking = (record: SecretRecord, hosts: readonly string[], v: number | null): string[] =>
  hosts.filter((name) => hostsOf(record)[name]?.v !== v);

function hostRecord(record: SecretRecord, host: string): HostRecord {
  const known = hostsOf(record)[host];
  if (known === undefined) throw new Error(`${record.name} has no host ${host}`);
  return known;
}

const withHost = (record: SecretRecord, host: string, known: HostRecord): SecretRecord => ({
  ...record,
  hosts: { ...hostsOf(record), [host]: known },
});
