/**
 * What manifests declare, after parsing, defaults and cross rules: the *desired* side of every plan.
 * Plain data; durations are milliseconds, names are as written.
 */

import type { Access } from './access.ts';
import type { Target } from './target-model.ts';

export type * from './target-model.ts';

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
  /** `signed`: a reader or reconciler that is added waits for `keyturn approve` (protocol A6). Default `branch`. */
  trust?: 'branch' | 'signed';
  /** A monitor that hears of every whole apply, and sounds the alarm when it hears of none. */
  heartbeat?: { url: ValueRef };
  limits: { maxRotations: number; maxShare: number };
  channels: Record<string, Channel>;
}

/** Where notifications go. What may log in somewhere is part of the reference that says where (threat A1). */
export type Channel =
  /** POST of JSON; with a key, signed by HMAC-SHA256. */
  | { type: 'webhook'; url: ValueRef; signingKey: ValueRef | undefined }
  | { type: 'slack' | 'teams'; url: ValueRef }
  /** `smtps://user:password@host:465`, or `smtp://` with STARTTLS. */
  | { type: 'email'; url: ValueRef; from: string; to: string[] }
  /** An issue a secret, at the GitHub that the job runs at. `repository` undefined: the job's own. */
  | { type: 'github-issue'; token: ValueRef; repository: string | undefined }
  | { type: 'annotation' };

export const rotators = ['password', 'ssh-key', 'api-key', 'storage-key', 'custom', 'target'] as const;
export type Rotator = (typeof rotators)[number];

/** What a custom rotator may be asked besides rotating. */
export type Operation = 'verify' | 'revoke' | 'status';

/** Of `rotator: custom`: what its requests say, and what may be expected of it. */
export interface CustomRotation {
  payload: string;
  /** Who makes the value. */
  generate: 'ours' | 'rotator';
  operations: Operation[];
  /** The same request gets the same answer for a day, whatever got lost. */
  replays: boolean;
  /** A lost answer may cost the account: said in the manifest, where nothing else can be done. */
  acceptLossWindow: boolean;
  /** A policy is written down, so what a rotator makes must keep to it. */
  hasPolicy: boolean;
}

/** Kinds of key pair that `rotator: ssh-key` makes. */
export type KeyType = 'ed25519' | 'rsa' | 'ecdsa';

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
  /** What a manifest calls the value; default an access key's secret part. */
  form?: 'clientSecret';
}

export interface Account {
  /** One user, or two that alternate: the one not in use is rotated, then promoted. */
  usernames: [string] | [string, string];
  /** MySQL: the host part of `user@host`. Default `%`. */
  host: string | undefined;
}

export type Drift = 'alarm' | 'reset' | 'adopt';

export interface Schedule {
  auto: boolean;
  /** Nothing rotates by itself for now; a wish still does. */
  paused: boolean;
  /** Whole days. */
  everyDays: number;
  hour: number | undefined;
  /** IANA zone. */
  timezone: string;
  jitter: number;
  /** Milliseconds behind the hour. */
  offset: number;
  /** Secrets of one pair never rotate within `apart` milliseconds of each other. */
  pair: string | undefined;
  apart: number;
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
  /** Targets that have the same value, `target` first; undefined: `target` alone. */
  hosts?: string[];
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
  /** Where the value is a private key and no password: its kind. */
  keyType?: KeyType;
  /** Of `rotator: custom`, and of no other. */
  custom?: CustomRotation;
  /** Of secrets whose target issues the values, and only there. */
  keys?: KeyPolicy | undefined;
  keep: number;
  /** Sealed to readers only: not even a reconciler decrypts it. */
  blind?: true;
  deleteProtection: boolean;
  /** Absent: nobody gets a session with it. */
  access?: Access;
  rotateToken: string | undefined;
  movedFrom: string | undefined;
  /**
   * Who may read, from every role whose globs match, sorted by recipient, each recipient once. Those whose right has
   * expired are among them: only who knows the time can tell.
   */
  readers: Reader[];
  notify: Notify;
  /** How often, in milliseconds, a login with the current version looks for drift; undefined: never by itself. */
  verifyEvery: number | undefined;
  /** Logs in to prove a value although the target tells by itself whether it is live. */
  verifyBy?: 'ropc';
  drift: Drift;
  /** `spec.schedule` stands in its own manifest: the standing yes to rotate what a target logs in with. */
  ownSchedule: boolean;
  /** `sha256:…` over everything above but readers, description, tags, source and who is told. */
  specDigest: string;
  source: Source;
}

export interface Notify {
  /** Lead times in milliseconds. */
  before: number[];
  events: NotifyEvent[];
  channels: string[];
}

/** What people are told besides what `before` asks for. */
export const notifyEvents = [
  'rotated',
  'failed',
  'blocked',
  'overdue',
  'drift',
  'foreign-key',
  'reader-removed',
] as const;
export type NotifyEvent = (typeof notifyEvents)[number];

export interface Reader {
  name: string;
  /** `age1…`, `age1pq1…`, or an SSH public key without its comment. */
  recipient: string;
  /** ISO time from which it counts as removed. */
  expires?: string;
}

/** The name of every reconciler among readers; no member may have it. */
export const reconcilerName = 'reconciler';

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
