/**
 * The contract between the engine and a kind of target whose values we choose (protocol §3.1).
 *
 * Rules of every driver: no state, git or clock; results are closed unions; "no" and "no answer" never
 * share one; no text of the server and no SDK type leaves the file, only codes and our own words; one
 * call of `probe` is one attempt by one method on a new connection; nothing goes through a pool.
 */
import type { Account, CustomRotation, KeyType, PasswordPolicy, Target } from '../manifests/model.ts';
import type { Secret } from '../secret.ts';
import type { Binding } from '../state/model.ts';
import type { SpareLogins } from './spare.ts';

/** Our words for what happened: `code` is the server's or system's short code, `detail` one lower-case phrase. */
export interface Outcome {
  code: string;
  detail: string;
}

export type Probe =
  /** Logged in as exactly this account. */
  | ({ r: 'ok' } & Outcome)
  /** The value is right, but the account is expired, locked or must change it. */
  | ({ r: 'ok-restricted' } & Outcome)
  /** The value is wrong. */
  | ({ r: 'denied' } & Outcome)
  /** Refused whatever the value, e.g. after failures or where such logins are switched off: says nothing about it. */
  | ({ r: 'blocked' } & Outcome)
  /** No answer: nobody listens, TLS failed, too many connections. */
  | ({ r: 'unreachable' } & Outcome)
  /** An answer that proves nothing, e.g. logged in as another account. */
  | ({ r: 'inconclusive' } & Outcome);

export type SetResult =
  | ({ r: 'applied' } & Outcome)
  /** The target answered no. Not proof that the value is not live: see protocol §3.4. */
  | ({
      r: 'refused';
      why:
        | 'policy'
        | 'history'
        | 'permission'
        | 'bad-current'
        | 'readonly'
        | 'no-account'
        /** The present value is younger than the target's minimum age. */
        | 'too-soon'
        /** Another host key than the pinned ones: nothing was sent, and nothing will be. */
        | 'untrusted';
    } & Outcome)
  /** Nothing was sent: the connection could not be made. */
  | ({ r: 'not-sent' } & Outcome)
  /** It was sent and no answer came. */
  | ({ r: 'ambiguous' } & Outcome)
  /** The target says that it made another value live than the one it was asked to. */
  | ({ r: 'other'; given: Given } & Outcome);

/** A value that the target has made. */
export interface Given {
  value: Secret;
  /** The account that it belongs to, where that changed too. */
  username: string | undefined;
  /** The target's own name of it. */
  id: string | undefined;
}

export type GivenResult =
  | ({ r: 'given'; given: Given } & Outcome)
  | Exclude<SetResult, { r: 'applied' | 'other' }>;

export type RetireResult =
  | ({ r: 'retired' } & Outcome)
  | ({ r: 'refused' } & Outcome)
  | ({ r: 'unreachable' } & Outcome);

export type Preflight =
  | {
      r: 'ready';
      /** e.g. `MySQL 9.7.4`, for people. */
      server: string;
      /** What to journal with the claim so that `witness` can compare. Never a value or a plain hash of one. */
      baseline: Record<string, string>;
      /** A witness can answer for this account, so no wrong password is ever tried. */
      witness: boolean;
      /** Newest version that the target itself names as ours; more than the state knows means a rolled-back state. */
      markedVersion: number | null;
      /** What a person should know, e.g. `alternating users have different grants`. */
      warnings: string[];
    }
  /** The target answered that this rotation cannot be done; `hint` says what to grant or change. */
  | ({
      r: 'refused';
      why:
        | 'permission'
        | 'bad-current'
        | 'no-account'
        | 'unsupported'
        | 'readonly'
        | 'too-soon'
        | 'untrusted';
      hint: string;
    } & Outcome)
  | ({ r: 'blocked' } & Outcome)
  | ({ r: 'unreachable' } & Outcome);

/** What a value may be made of; intersected with the manifest's policy before one is drawn. */
export interface ValueConstraints {
  /** Every character that the target takes without any escaping doubt. */
  alphabet: string;
  maxLength: number;
}

export interface Credentials {
  username: string;
  /** Empty where a private key logs in alone. */
  password: Secret;
  privateKey?: Secret;
  passphrase?: Secret;
}

/** One account's rotation on one target. */
export interface RotationJob {
  target: Target;
  /** The one account to change: for alternating users the one not in use. */
  username: string;
  /** MySQL's host part; undefined elsewhere. */
  host: string | undefined;
  /** The manifest's alternating pair, or the single user. */
  account: Account;
  /** `self`: logs in as the account with `current`. `target`: logs in with `admin`. */
  actor: 'self' | 'target';
  admin: Credentials | undefined;
  /** The value recorded as accepted for `username`, if any. */
  current: Secret | undefined;
  /** Keep `current` valid beside the new value. */
  retain: boolean;
  /** The account ends here: `retire(undefined)` may lock it although no other one takes its place. */
  givenUp?: true;
  /** Log in to prove a value although the target tells without; as the manifest's `verify` says. */
  login?: 'ropc';
  /** Identifies the version at the target (MySQL's attribute). The same for every retry of it. */
  mark: { uid: string; version: number };
  /** Where the value is a private key: its kind. */
  keyType?: KeyType;
  /** The login at the target's jump host. */
  jump?: Credentials;
  /** Where `close` may leave the target's own login for the next rotation; without it, it ends. */
  spare?: SpareLogins;
  /** At the end of a grace: the value that stops working. */
  ends?: Secret;
  /** Of a custom rotator: what its requests say. */
  custom?: CustomRotation & { itemName: string; policy: PasswordPolicy };
  /** Of a web target: who asks. */
  caller?: Caller;
  /** The rotator's own name of `current`. */
  currentId?: string;
  /** How often this version was claimed; absent counts as once. */
  attempt?: number;
}

/** Who sends requests to a custom rotator. */
export interface Caller {
  authenticate: Authenticate;
  /** PEM, for mTLS. */
  client: { certificate: Secret; key: Secret } | undefined;
}

/** What a token says about one request. */
export interface About {
  audience: string;
  itemName: string;
  accessId: string | undefined;
  requestId: string;
  url: string;
  bodySha256: string;
}

/** Makes the token of one request. Throws KeyturnError. */
export type Authenticate = (about: About) => Promise<Secret>;

/**
 * `applied`: this very value. `changed`: another one than at the baseline, whoever set it, and a baseline that was read
 * late is older than the change before: it bears out an acknowledgement, and proves nothing by itself.
 */
export type Witness = 'applied' | 'changed' | 'not-applied' | 'unknown';

/**
 * Holds at most one administrative connection, made or taken from `spare` on first use; `close` never throws.
 * Every method may be called again after a crash of an earlier process: all are idempotent but `probe`.
 */
export interface ChosenRotator {
  /** What shows that a value is live: a login, or, where nobody here can log in, the target's word. Default: a login. */
  readonly proof?: 'login' | 'witness';
  /** Reach, identity, privileges, and a login with `current` where that cannot lock anybody out. Changes nothing. */
  preflight(): Promise<Preflight>;
  /** Asks the target whether `value` is live, without a password attempt. */
  witness(value: Secret, baseline: Record<string, string>): Promise<Witness>;
  probe(value: Secret): Promise<Probe>;
  /** Makes `value` live. Where `retain` is set and a second call would kill `current`, it looks first. */
  set(value: Secret, baseline: Record<string, string>): Promise<SetResult>;
  /**
   * Makes the target refuse every value but `live` for this account (dual passwords), or, for an alternating
   * account that is not in use, refuse it altogether (`live` undefined). Done already counts as done.
   */
  retire(live: Secret | undefined): Promise<RetireResult>;
  /** Of a target that makes the value: asks for one. The same key may get the same value again. */
  obtain?(key: string): Promise<GivenResult>;
  close(): Promise<void>;
}

export interface ChosenDriver {
  readonly machine: 'chosen';
  readonly type: Target['type'];
  constraints(target: Target): ValueConstraints;
  /** How two versions can be valid at once: on one account, only with two users, or it depends on the server. */
  overlap(account: Account, keyType?: KeyType, custom?: CustomRotation): 'none' | 'dual' | 'alternate';
  binding(target: Target, account: Account): Binding;
  /** Makes a value where it is no password: a private key. */
  generate?(keyType: KeyType, mark: RotationJob['mark']): Promise<Secret>;
  /** What readers may ask for beside a value that is no password, e.g. `publicKey`. */
  describe?(value: Secret, mark: RotationJob['mark']): Promise<Record<string, string>>;
  rotator(job: RotationJob): ChosenRotator;
}

export type { Account, CustomRotation, KeyType, PasswordPolicy, Target };
