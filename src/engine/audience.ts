/** Who a new version is sealed to, and how that differs from who can open the current one (protocol §9.1, A6). PURE. */
import { fingerprint } from '../age/fingerprint.ts';
import { type Project, type Reader, type RotatedSecret, reconcilerName } from '../manifests/model.ts';
import type { SecretRecord, State } from '../state/model.ts';
import { approvalsAreOn, isBlind, isReconciler, knownBy, nameOf } from '../state/readers.ts';
import { versionOf } from '../state/transitions.ts';

export interface Audience {
  /** Reconcilers, unless the secret is blind, and readers whose right has not expired; sorted, each recipient once. */
  to: Reader[];
  /** Declared, but nobody with a signing key has let them in yet. */
  waiting: Reader[];
}

/** Reconcilers that need no approval; null: nobody needs one. */
export type Gate = ReadonlySet<string> | 'first use' | null;

/** With `trust: signed`, whom the signed records know as reconcilers; before the first record whoever is declared. */
export function gateOf(project: Project, state: State): Gate {
  const records = Object.values(state.records);
  if (project.trust !== 'signed' && !approvalsAreOn(records)) return null;
  if (records.length === 0) return 'first use';
  return new Set(records.flatMap((record) => [...letIn(record)].filter((fp) => isReconciler(record, fp))));
}

export function audienceOf(
  secret: RotatedSecret,
  record: SecretRecord | undefined,
  reconcilers: readonly string[],
  now: Date,
  gate: Gate,
): Audience {
  const all = declaredFor(secret, reconcilers, now);
  if (gate === null) return { to: all, waiting: [] };
  const already = record ? letIn(record) : new Set<string>();
  const mayEnter = ({ name, recipient }: Reader): boolean => {
    const fp = fingerprint(recipient);
    return already.has(fp) || (name === reconcilerName && (gate === 'first use' || gate.has(fp)));
  };
  return { to: all.filter(mayEnter), waiting: all.filter((reader) => !mayEnter(reader)) };
}

/** Everybody whom the manifests name at `now`, approved or not. */
export function declaredFor(secret: RotatedSecret, reconcilers: readonly string[], now: Date): Reader[] {
  const wanted = new Map<string, Reader>();
  for (const reader of secret.readers) if (!isOver(reader, now)) wanted.set(reader.recipient, reader);
  if (!secret.blind)
    for (const recipient of reconcilers) wanted.set(recipient, { name: reconcilerName, recipient });
  return [...wanted.values()].sort((a, b) => (a.recipient < b.recipient ? -1 : 1));
}

const isOver = ({ expires }: Reader, now: Date): boolean =>
  expires !== undefined && Date.parse(expires) <= now.getTime();

function letIn(record: SecretRecord): Set<string> {
  const readers = [record.current, record.pending?.v ?? null].flatMap((v) =>
    v === null ? [] : versionOf(record, v).readers,
  );
  return new Set([...readers, ...(record.approved ?? [])]);
}

export interface ReaderChange {
  /** Names of those who know the current value and may not any longer. */
  removed: string[];
  /** Declared, and the current version is not sealed to them. */
  added: Reader[];
  /** A reconciler has another key than when the current version was sealed. */
  keyChanged: boolean;
  /** No reconciler can decrypt the current version, so it cannot be sealed for anybody else. */
  fixed: boolean;
}

/** How the current version's readers differ from `audience`; null while there is no current version. */
export function readerChange(record: SecretRecord, audience: Audience): ReaderChange | null {
  if (record.current === null) return null;
  const current = versionOf(record, record.current);
  const allowed = new Set(audience.to.map((reader) => fingerprint(reader.recipient)));
  const added = audience.to.filter((reader) => !current.readers.includes(fingerprint(reader.recipient)));
  const gone = knownBy(current).filter((fp) => !allowed.has(fp));
  const keys = gone.filter((fp) => isReconciler(record, fp));
  // as many new keys as old ones gone: the same reconcilers with other keys, not somebody who left
  const keyChanged = keys.length > 0 && keys.length <= added.filter((r) => r.name === reconcilerName).length;
  const removed = keyChanged ? gone.filter((fp) => !keys.includes(fp)) : gone;
  return {
    removed: [...new Set(removed.map((fp) => nameOf(record, fp)))].sort(),
    added,
    keyChanged,
    fixed: isBlind(record, record.current),
  };
}

/** One phrase for why a version must be sealed anew, or null. */
export function rekeyWords({ added, keyChanged }: ReaderChange): string | null {
  const names = added.filter((reader) => reader.name !== reconcilerName).map((reader) => reader.name);
  if (names.length > 0) return `reader added: ${[...new Set(names)].join(', ')}`;
  if (keyChanged) return 'reconciler key changed';
  return added.length > 0 ? 'reconciler added' : null;
}
