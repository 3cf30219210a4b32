/**
 * The contract between the engine and a kind of target that makes the values itself and shows each once
 * (protocol §4). The rules of `driver.ts` hold here too. Removing is idempotent: what is gone counts as removed.
 */
import type { Account, Target } from '../manifests/model.ts';
import type { Secret } from '../secret.ts';
import type { Binding } from '../state/model.ts';
import type { Credentials, Outcome, Probe } from './driver.ts';
import type { SpareLogins } from './spare.ts';

/** A value at the target, by its name there. */
export interface IssuedKey {
  handle: string;
  /** ISO time by the target's clock. */
  createdAt: string;
  /** False: the target holds it but refuses it. */
  active: boolean;
  /** ISO time at which it dies by itself, where it does. */
  expiresAt?: string;
  /** Of a target that marks: the record that this value was made for, by us, and by which claim. */
  madeFor?: string;
  claim?: string;
}

export type Refusal = {
  r: 'refused';
  /** `limit`: as many values exist as the target allows. */
  why: 'limit' | 'permission' | 'no-account' | 'bad-login' | 'wrong-account';
  /** What to grant or change. */
  hint: string;
} & Outcome;

export type Listing = { r: 'listed'; keys: IssuedKey[] } | Refusal | ({ r: 'unreachable' } & Outcome);

export interface Issued {
  handle: string;
  value: Secret;
  expiresAt?: string;
  /** The account that it belongs to, where that changed with it. */
  username?: string;
  /** What readers may ask for besides. */
  fields?: Record<string, string>;
}

/** What a value is asked for with. A target that marks carries the first three with it for good. */
export interface Issuing {
  uid: string;
  claim: string;
  /** How many the claim has asked for before, and one. */
  n: number;
  /** ISO time at which the value may die by itself: far behind its next rotation. */
  until: string;
}

export type IssueResult =
  | { r: 'issued'; issued: Issued }
  /** The target answered no: nothing was made. */
  | Refusal
  /** Nothing was sent: the connection could not be made. */
  | ({ r: 'not-sent' } & Outcome)
  /** It was sent and no answer came: a value may exist that nobody knows. Never tried again by the driver. */
  | ({ r: 'ambiguous' } & Outcome);

export type RemoveResult = { r: 'done' } | Refusal | ({ r: 'unreachable' } & Outcome);

export type LastUse =
  /** ISO time, or null: never. */
  { r: 'known'; at: string | null } | ({ r: 'unknown' } & Outcome);

export type IssuedPreflight =
  | {
      r: 'ready';
      /** For people: `AWS account 123456789012 as arn:…`. */
      server: string;
      /** ISO time by the target's clock, where it tells. */
      at: string | null;
      keys: IssuedKey[];
      warnings: string[];
    }
  | Refusal
  | ({ r: 'unreachable' } & Outcome);

/** One account's rotation on one target. */
export interface IssuedJob {
  target: Target;
  username: string;
  /** `self`: signs with `login`. `target`: with `admin`, or, without one, with what the environment gives. */
  actor: 'self' | 'target';
  /** `username` is the handle of the value. */
  admin: Credentials | undefined;
  login: Issued | undefined;
  /** Clients that act for the target, for all rotations of one run. */
  spare?: SpareLogins;
}

export interface IssuedRotator {
  /** Who this is, that the account exists and is the target's, and what it holds. Changes nothing. */
  preflight(): Promise<IssuedPreflight>;
  /** May lag behind what was issued or removed moments ago. */
  list(): Promise<Listing>;
  /** One call, never repeated: a second one would make a second value. */
  issue(by: Issuing): Promise<IssueResult>;
  /** One login with the value; `ok` only as this very account. New values may be refused now and then at first. */
  verify(issued: Issued): Promise<Probe>;
  /** The target refuses the value from now on, but it can be switched on again by a person. */
  disable(handle: string): Promise<RemoveResult>;
  remove(handle: string): Promise<RemoveResult>;
  lastUsedAt(handle: string): Promise<LastUse>;
  close(): Promise<void>;
}

export interface IssuedDriver {
  readonly machine: 'issued';
  readonly type: Target['type'];
  /** The field of a version that holds its handle, for `get --field`. */
  readonly handleField: string;
  /** Values that an account may have at once; of a target that marks: values of ours. */
  readonly limit: number;
  /** Each value says for good which record it was made for: an orphan is certain, and nothing else is one. */
  readonly marks?: true;
  /** There is no switching off and no telling of the last use: a value is there or removed. */
  readonly disables?: false;
  binding(target: Target, account: Account): Binding;
  rotator(job: IssuedJob): IssuedRotator;
  /** The policy to paste at the target, on one line: what the account itself, or the target's credentials, must be allowed. */
  leastPrivileges(mode: 'user' | 'target', target: Target, usernames: readonly string[]): string;
  /** Asked without changing anything. */
  missingPrivileges(job: IssuedJob): Promise<Privileges>;
}

export interface Privileges {
  /** Permissions by the target's own names. */
  missing: string[];
  /** What only doing it would show, or what nobody answered to. */
  unknown: string[];
}
