/** What manifests want and what the state records, for the tests of pure functions. All of it deep-frozen. */
import { fingerprint } from '../../src/age/fingerprint.ts';
import type { Observed } from '../../src/engine/decide.ts';
import type { Desired, RotatedSecret, Target } from '../../src/manifests/model.ts';
import type { Pending, Sched, SecretRecord, State, VersionRecord } from '../../src/state/model.ts';
import { day, minute, schedule } from './schedules.ts';

export const now = new Date('2026-11-20T12:00:00.000Z');
export const ago = (ms: number): string => new Date(now.getTime() - ms).toISOString();
export const ahead = (ms: number): string => ago(-ms);

export function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  if (!(value instanceof Map || value instanceof Set)) Object.freeze(value);
  for (const inner of value instanceof Map ? value.values() : Object.values(value)) frozen(inner);
  return value;
}

export const reconciler = 'age1reconciler';
export const bob = { name: 'bob', recipient: 'age1bob' };
const source = { file: 'manifests/a.yaml', line: 1, column: 1 };

export const target = (change: Partial<Target> = {}): Target => ({
  name: 'db',
  type: 'mysql',
  host: 'db.internal',
  port: 3306,
  verifyHost: undefined,
  database: undefined,
  tls: { mode: 'verify', ca: undefined, caFile: undefined, serverName: undefined },
  credentials: undefined,
  concurrency: 1,
  timeout: 10_000,
  source,
  ...change,
});

export const secret = (change: Partial<RotatedSecret> = {}): RotatedSecret => ({
  name: 'app',
  description: undefined,
  tags: [],
  target: 'db',
  rotator: 'password',
  authenticateAs: 'target',
  account: { usernames: ['app'], host: undefined },
  initial: undefined,
  schedule: schedule(),
  grace: 0,
  passwordPolicy: { length: 32, lowercase: true, uppercase: true, numbers: true, symbols: true, exclude: '' },
  keep: 5,
  deleteProtection: false,
  rotateToken: undefined,
  movedFrom: undefined,
  readers: [],
  notify: { before: [], events: [], channels: [] },
  verifyEvery: undefined,
  drift: 'alarm',
  ownSchedule: true,
  specDigest: `sha256:${'ab'.repeat(32)}`,
  source,
  ...change,
});

export const binding = { type: 'mysql', host: 'db.internal', port: 3306, account: 'app@%', tls: 'system' };

export const version = (change: Partial<VersionRecord> = {}): VersionRecord => ({
  stage: 'retired',
  createdAt: ago(90 * day),
  readers: [fingerprint(reconciler)].sort(),
  file: `sha256:${'cd'.repeat(32)}`,
  username: 'app',
  ...change,
});

/** Promoted `age` ago. */
export const currentSince = (age: number, change: Partial<VersionRecord> = {}): VersionRecord =>
  version({ stage: 'current', createdAt: ago(age), promotedAt: ago(age), ...change });

export const pendingOn = (v: number, claimedAgo: number, change: Partial<Pending> = {}): Pending => ({
  v,
  phase: 'claimed',
  claim: {
    id: 'CLAIM',
    by: { runner: 'ci:deploy', pid: 7 },
    at: ago(claimedAgo),
    lease: 20 * minute,
    attempt: 1,
  },
  why: 'due',
  uses: [],
  baseline: {},
  actor: 'target',
  retain: false,
  refusals: 0,
  tried: [],
  before: [],
  victims: [],
  ...change,
});

export const sched = (change: Partial<Sched> = {}): Sched => ({
  failures: 0,
  nextAttemptAt: null,
  lastError: null,
  rotateToken: null,
  probeAfter: null,
  notified: [],
  ...change,
});

export const record = (change: Partial<SecretRecord> = {}): SecretRecord => ({
  uid: 'UID1',
  name: 'app',
  rotator: 'mysql/password',
  target: 'db',
  current: 3,
  specDigest: `sha256:${'ab'.repeat(32)}`,
  versions: { 3: currentSince(10 * day) },
  pending: null,
  binding,
  sched: sched(),
  health: 'ok',
  ...change,
});

export const observed = (change: Partial<Observed> = {}): Observed => ({
  bindings: new Map([['app', binding]]),
  wishes: new Map(),
  deadClaims: new Set(),
  force: false,
  ...change,
});

export const desired = (
  secrets: RotatedSecret[],
  change: { targets?: Target[]; limits?: Desired['project']['limits'] } = {},
): Desired => ({
  project: {
    name: 'acme',
    reconcilers: [reconciler],
    planners: [],
    stateRef: undefined,
    limits: change.limits ?? { maxRotations: 20, maxShare: 0.5 },
    channels: {},
  },
  targets: new Map((change.targets ?? [target()]).map((t) => [t.name, t])),
  roles: [],
  secrets: new Map(secrets.map((s) => [s.name, s])),
});

export const state = (records: SecretRecord[]): State => ({
  repo: 'LINEAGE',
  serial: 41,
  head: `sha256:${'ef'.repeat(32)}`,
  records: Object.fromEntries(records.map((r) => [r.uid, r])),
});
