/**
 * What manifests declare, after parsing, defaults and cross rules: the *desired* side of every plan.
 * Plain data; durations are milliseconds, names are as written.
 */

/** Where a manifest said something: for `file:line:col` in every message. Lines and columns start at 1. */
export interface Source {
  file: string;
  line: number;
  column: number;
}

/** A value by reference; never a literal. */
export type ValueRef = { env: string } | { file: string } | { secret: string } | { sealed: string };

export interface Project {
  name: string;
  /** age recipients that may apply: they decrypt state and values. */
  reconcilers: string[];
  /** age recipients that may plan: they decrypt the state, no value. */
  planners: string[];
  /** Full ref that holds the state, or undefined: the branch that is checked out. */
  stateRef: string | undefined;
  limits: { maxRotations: number; maxShare: number };
  channels: Record<string, unknown>;
}

export type TargetType = 'mysql' | 'postgresql' | 'aws';

/** What only AWS has. */
export interface AwsTarget {
  /** Twelve digits: whoever signs must belong to it, or have assumed a role in it. */
  accountId: string;
  region: string;
  partition: string;
  /** Instead of AWS's own endpoints, for IAM and STS. */
  endpoint: string | undefined;
  /** Profile of the shared configuration that the default chain reads. */
  profile: string | undefined;
  assumeRole: { arn: string; externalId: string | undefined; sessionName: string } | undefined;
}

export interface Tls {
  /** `verify` checks chain and host name; `disable` is plain text, said out loud in every plan. */
  mode: 'verify' | 'disable';
  /** PEM of the CA to trust instead of the system's, read from the repository when manifests are loaded. */
  ca: string | undefined;
  /** Path of that PEM as written in the manifest. */
  caFile: string | undefined;
  serverName: string | undefined;
}

export interface Target {
  name: string;
  type: TargetType;
  host: string;
  port: number;
  /** Where to verify logins, when it is not the writer (replicas, proxies). */
  verifyHost: string | undefined;
  /** PostgreSQL: database to connect to. Default `postgres`. */
  database: string | undefined;
  tls: Tls;
  /** `handle`: the access key's id, where the password is not a rotated secret that knows its own. */
  credentials:
    | { username: string; usernameHost: string | undefined; password: ValueRef; handle?: string | undefined }
    | undefined;
  /** Of type `aws`, and only there. */
  aws?: AwsTarget | undefined;
  /** How many secrets of this target rotate side by side. */
  concurrency: number;
  /** Milliseconds for one connection or statement. */
  timeout: number;
  source: Source;
}

export type Rotator = 'password' | 'target' | 'api-key';

/** How values that the target issues come and go; durations in milliseconds. */
export interface KeyPolicy {
  /** Two stay valid: only the older one is replaced. Otherwise `grace` ends the former one. */
  graceful: boolean;
  /** Every value of the account is keyturn's: one that nothing explains is removed. */
  exclusive: boolean;
  /** From switching a value off to removing it. */
  deleteAfter: number;
  /** A value used this recently is still in use. */
  stillInUseWindow: number;
  /** What becomes of it then: switched off with a warning, or left alone until a person looks. */
  stillInUse: 'warn' | 'block';
}

export interface Account {
  /** One user, or two that alternate: the one not in use is rotated, then promoted. */
  usernames: [string] | [string, string];
  /** MySQL: the host part of `user@host`. Default `%`. */
  host: string | undefined;
}

export interface Schedule {
  auto: boolean;
  /** Whole days. */
  everyDays: number;
  hour: number | undefined;
  /** IANA zone. */
  timezone: string;
  jitter: number;
  /** Milliseconds added to the due time, so that a pair never rotates together. */
  offset: number;
  windows: Window[];
  /** After this many milliseconds past due it counts as overdue. */
  overdueAfter: number;
}

export interface Window {
  /** `mon` … `sun`; empty means every day. */
  days: string[];
  /** `HH:MM`; `to` before `from` crosses midnight. */
  from: string;
  to: string;
  timezone: string;
}

export interface PasswordPolicy {
  length: number;
  lowercase: boolean;
  uppercase: boolean;
  numbers: boolean;
  symbols: boolean;
  /** Characters never to use. */
  exclude: string;
}

export interface RotatedSecret {
  name: string;
  description: string | undefined;
  tags: string[];
  target: string;
  rotator: Rotator;
  /** `user`: the account changes its own password. `target`: the target's credentials change it. */
  authenticateAs: 'user' | 'target';
  account: Account;
  /** An existing credential to adopt, without touching the target. */
  initial: { password: ValueRef; username: string | undefined; handle?: string | undefined } | undefined;
  schedule: Schedule;
  /** Milliseconds for which the previous version stays valid; 0: it dies with the rotation. */
  grace: number;
  passwordPolicy: PasswordPolicy;
  /** Of secrets whose target issues the values, and only there. */
  keys?: KeyPolicy | undefined;
  keep: number;
  deleteProtection: boolean;
  rotateToken: string | undefined;
  movedFrom: string | undefined;
  /** Who may read, from every role whose globs match, sorted by recipient, each recipient once. */
  readers: Reader[];
  notify: { before: number[]; channels: string[] };
  /** `sha256:…` over everything above but readers, description, tags and source. */
  specDigest: string;
  source: Source;
}

export interface Reader {
  name: string;
  recipient: string;
}

export interface Role {
  name: string;
  members: Reader[];
  /** Globs over secret names: `*` within a segment, `**` across. */
  secrets: string[];
  source: Source;
}

export interface Desired {
  project: Project;
  targets: Map<string, Target>;
  roles: Role[];
  secrets: Map<string, RotatedSecret>;
}
