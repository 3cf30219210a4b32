/** A plan is data: JSON, sorted, checksummed, no closures. Rendering is `output/`'s, doing is `apply.ts`'s. */
import type { Why } from '../state/model.ts';

/**
 * | verb     | sign | what apply does                                              |
 * |----------|------|--------------------------------------------------------------|
 * | adopt    | +    | verifies `initial` at the target and records it as v1        |
 * | rotate   | ~    | a new version becomes current (the first one: `new -> v1`)   |
 * | retire   | -    | the target stops accepting a version whose grace is over     |
 * | resume   | !    | settles a pending version that an earlier run left           |
 * | rekey    | @    | re-encrypts versions for changed readers, target untouched   |
 * | verify   | *    | logs in with the current version, notes drift                |
 * | hold     | =    | nothing: the reason says what it waits for                   |
 * | block    | x    | nothing: a human is needed, the reason says for what         |
 * | forget   | ?    | nothing: the manifest is gone, the record stays unmanaged    |
 */
export type Verb =
  | 'adopt'
  | 'rotate'
  | 'retire'
  | 'resume'
  | 'rekey'
  | 'verify'
  | 'hold'
  | 'block'
  | 'forget';

export interface Action {
  verb: Verb;
  secret: string;
  /** Empty until the secret has a record. */
  uid: string;
  target: string;
  /** The version acted on or replaced; null when there is none yet. */
  from: number | null;
  /** The version that results; null where none does. */
  to: number | null;
  /** The version whose value is set again as the new one; absent where a value is drawn. */
  restore?: number;
  /** Of a rekey: reconcilers that are gone had another key before; nobody left. */
  keyChange?: true;
  /** Why a rotation happens; null for other verbs. */
  why: Why | null;
  /** One phrase for people, complete in itself: `due 3d ago (every 30d at 03:00 Europe/Berlin), old valid 24h more`. */
  reason: string;
}

/** Makes the actions of one secret. */
export type Act = (verb: Verb, reason: string, more?: Partial<Action>) => Action;

export interface PlanGroup {
  target: string;
  /** `mysql, db.internal:3306`; for an unknown target `no such target`. */
  label: string;
  /** Said in every plan, e.g. `TLS is disabled`. */
  warnings: string[];
  /** Sorted by secret, then verb. */
  actions: Action[];
}

export interface Plan {
  format: 1;
  project: string;
  /** Serial and head of the state this was computed from. */
  serial: number;
  head: string;
  /** ISO time it was computed at. */
  at: string;
  /** Sorted by target. */
  groups: PlanGroup[];
  /** Secrets for which there is nothing to do or say. */
  unchanged: number;
  /** Next rotation that falls due, if any: ISO time. */
  nextDue: string | null;
  /** Why this plan needs `--force`; empty when it is safe. */
  unsafe: string[];
  /** `sha256:…` over what would be done (not over `at` or the wording of relative times). */
  checksum: string;
}

/** What the engine tells while it works; `output/` makes lines, spinners or annotations of it. */
export type Step =
  | 'preflight'
  | 'claim'
  | 'fence'
  | 'set'
  | 'clear'
  | 'issue'
  | 'verify'
  | 'promote'
  | 'retire'
  | 'rekey'
  | 'check'
  | 'adopt'
  | 'reclaim';

export type Event =
  | { kind: 'step'; secret: string; step: Step; version: number }
  | { kind: 'pushed'; subject: string; serial: number; commit: string; secrets: string[] }
  | { kind: 'done'; result: Result }
  /** The only copy of a new value that could not be pushed: encrypted, for the log. */
  | { kind: 'last-resort'; secret: string; version: number; bytes: Uint8Array }
  | { kind: 'note'; level: 'info' | 'warning'; secret: string | null; text: string };

/** How one secret fared in this run. */
export interface Result {
  secret: string;
  target: string;
  verb: Verb;
  /**
   * `done`; `skipped`: not tried, the detail says why; `waiting`: temporary, a rerun recovers;
   * `failed`: refused, back-off set; `human`: nothing more happens without one; `security`: stopped on purpose.
   */
  outcome: 'done' | 'skipped' | 'waiting' | 'failed' | 'human';
  version: number | null;
  /** One phrase. */
  detail: string;
  hint: string | null;
  /** What is at the target now: `unchanged`, `refused`, `unknown` (recorded as pending), or `changed`. */
  left: 'unchanged' | 'refused' | 'unknown' | 'changed';
}
