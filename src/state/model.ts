/**
 * The recorded side: what the journal folds to (protocol §2, §8). Plain JSON; times are ISO 8601 UTC,
 * digests `sha256:<hex>`. Only `transitions.ts` moves a version from one stage to another.
 */

import type { NotifyEvent } from '../manifests/model.ts';
import type { SessionNote } from './sessions.ts';

export type Stage = 'current' | 'retiring' | 'retired' | 'abandoned' | 'pending';

/** Where a credential may be sent. A manifest that differs from it needs `keyturn rebind`. */
export interface Binding {
  type: string;
  host: string;
  port: number;
  /** As the target names it: `app@%`, `app`. Alternating users are joined with `|`. */
  account: string;
  /** `sha256:…` of the trusted CA, `system`, or `disabled`. */
  tls: string;
  /** Where a person's session takes it beyond that, separated by spaces: further hosts, or the address of an application. */
  sessions?: string;
  /** In the file of a version alone: where each of several hosts with this value is, by its target. */
  hosts?: Record<string, string>;
}

export interface VersionRecord {
  stage: Stage;
  createdAt: string;
  promotedAt?: string;
  /** When the target must stop accepting it (stage `retiring`). */
  retireAfter?: string;
  retiredAt?: string;
  /** `login`: a new connection with the value succeeded. `acknowledged`: the target said so, no login was possible. */
  verified?: { at: string; how: 'login' | 'witness' | 'acknowledged' };
  /** Fingerprints of the recipients that the file is sealed to, reconcilers included, sorted. */
  readers: string[];
  /** Fingerprints that it was sealed to before, and is not any more: whoever holds those keys may know the value. */
  formerReaders?: string[];
  /** Digest of the sealed file's bytes; null while the target has not issued the value yet. */
  file: string | null;
  /** The user name that this version belongs to. */
  username: string;
  /** The target's own name of an issued value, e.g. an access key id. Not secret. */
  handle?: string;
  /** Handles that the target listed before it was issued, where its claim was taken over: a late owner made none of them. */
  before?: string[];
  /** When the target stops accepting it by itself, where it does. */
  expiresAt?: string;
  /** Retired, but the target still holds it, switched off: when it is to be removed there. */
  removeAfter?: string;
}

export interface Claim {
  id: string;
  by: { runner: string; pid: number };
  at: string;
  /** Milliseconds. */
  lease: number;
  attempt: number;
}

export type Why =
  | 'due'
  | 'new'
  | 'flagged'
  | 'rotate-token'
  | 'reader-removed'
  | 'reader-added'
  | 'drift'
  | 'session'
  | 'policy-refused';

export interface Pending {
  v: number;
  /**
   * `claimed`: its value may be live at the target, or, of a target that issues values, may have been made there.
   * `issued`: the target's value is recorded. `dropping`: proven not live, being abandoned.
   */
  phase: 'claimed' | 'issued' | 'dropping';
  claim: Claim;
  why: Why;
  /** Target credentials used, `name@version`. */
  uses: string[];
  /** What the target showed before the claim, for a witness that compares: opaque, never a value. */
  baseline: Record<string, string>;
  /** Who changes the password, and whether the former one stays valid: as decided at the claim, kept by every retry. */
  actor: 'self' | 'target';
  retain: boolean;
  /** How many values the target has refused in this rotation. */
  refusals: number;
  /** Retained versions that were tried in vain while nobody knew which value is live. */
  tried: number[];
  /** The reason of the plan that claimed it, e.g. `asked for: leak INC-42`: for the history. */
  reason?: string;
  /** Handles that the target listed before the claim: none of them was issued for it. */
  before: string[];
  /** Handles that this rotation removes at the target, or has: each is pushed before it is touched. */
  victims: string[];
}

export type Health = 'ok' | 'restricted' | 'unverified' | 'drift' | 'blocked' | 'not-effective';

export interface Sched {
  /** Consecutive failures since the last success. */
  failures: number;
  nextAttemptAt: string | null;
  lastError: { class: string; code: string; step: string } | null;
  /** The manifest's `rotateToken` that the last rotation carried out. */
  rotateToken: string | null;
  /** Probing the account is forbidden until then: a wrong attempt might lock it. */
  probeAfter: string | null;
  /** Keys of the notices that were written for this version; see `outbox.ts`. */
  notified: string[];
  /** When `verify` last asked the target whether it accepts the current version. */
  checkedAt?: string;
  /** Since when the target is known to refuse the current version; absent once that is settled. */
  driftAt?: string;
}

/** What people can be told of a secret. */
export type NoticeEvent = 'before' | NotifyEvent;

export interface Notice {
  /** Unique within the record, for ever: `rotated:8`, `before:7:604800000`. */
  key: string;
  event: NoticeEvent;
  version: number | null;
  at: string;
  /** The process that wrote it. */
  by: string;
  /** Short codes and times for the text, e.g. `{ class, code, step }`. Never a value or a server's words. */
  facts: Record<string, string>;
  /** Names of the channels that it still has to go to. */
  channels: string[];
}

/** One of several hosts that have the same value. */
export interface HostRecord {
  binding: Binding;
  /** The version that it was left with: the pending one where it has taken that; null: none yet. */
  v: number | null;
  /** As in `Pending`, of this host. */
  baseline?: Record<string, string>;
  /**
   * Of the version that is pending, where a run has ended without it: `no`: never sent there; `acknowledged`: the host
   * said that it set it, and no login could prove it; `unknown`: no answer. Absent: a run may be at it.
   */
  sent?: 'no' | 'acknowledged' | 'unknown';
  /** Of the version that is pending: how this host showed that it has it. */
  took?: { how: NonNullable<VersionRecord['verified']>['how']; health: Health };
  /** As in `Sched` and `Pending`, of this host and the version that is pending. */
  lastError?: { class: string; code: string; step: string };
  probeAfter?: string;
  tried?: number[];
}

export interface SecretRecord {
  uid: string;
  name: string;
  /** `mysql/password`, `postgresql/target`, … */
  rotator: string;
  target: string;
  current: number | null;
  specDigest: string;
  versions: Record<string, VersionRecord>;
  pending: Pending | null;
  binding: Binding;
  /** By target, where several have the same value: then `binding` is that of the first. */
  hosts?: Record<string, HostRecord>;
  sched: Sched;
  health: Health;
  /** What people call the owners of the fingerprints in `versions` and `approved`; `reconciler` for those. */
  readerNames?: Record<string, string>;
  /** With `trust: signed`: fingerprints that a signer has let in. */
  approved?: string[];
  /** `deleteProtection` as the last apply carried it out; absent counts as protected. */
  protected?: boolean;
  /** Notices that are not delivered yet, oldest first. */
  outbox?: Notice[];
  /** Sessions of people: those that go on, and the newest that have ended. */
  sessions?: SessionNote[];
}

export interface State {
  /** The journal's lineage, drawn once when the first segment is written; empty before. */
  repo: string;
  /** 0 before the first segment. */
  serial: number;
  /** Digest of the newest segment's bytes; empty before the first. */
  head: string;
  records: Record<string, SecretRecord>;
}

/** The value of one version, decrypted. `value` is the password; `fields` what `get --field` can name. */
export interface VersionFields {
  value: string;
  fields: Record<string, string>;
}
