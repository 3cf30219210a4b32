/** The manifests of a setup: its targets, and its secrets there. */
import type { Desired, RotatedSecret } from '../../src/manifests/model.ts';
import { person } from '../state/people.ts';
import { firstHandle } from './issuer.ts';
import { day, schedule } from './schedules.ts';
import type { Setup } from './world.ts';

export const reconciler = await person('ci');

/** The targets of a setup, the first one first. */
export const hostNames = ({ hosts }: Pick<Setup, 'hosts'>): string[] =>
  Array.from({ length: hosts }, (_, index) => (index === 0 ? 'db' : `db-${index + 1}`));

const source = { file: 'manifests/all.yaml', line: 1, column: 1 };

export const target = {
  name: 'db',
  type: 'mysql' as const,
  host: 'db.internal',
  port: 3306,
  verifyHost: undefined,
  database: undefined,
  tls: { mode: 'verify' as const, ca: undefined, caFile: undefined, serverName: undefined },
  credentials: { username: 'admin', usernameHost: undefined, password: { env: 'admin' } },
  // One effect at a time: a puppet waits for one answer.
  concurrency: 1,
  timeout: 10_000,
  source,
};

export const secret = (name: string, usernames: [string] | [string, string], of: Setup): RotatedSecret => ({
  name,
  description: undefined,
  tags: [],
  target: target.name,
  ...(of.hosts === 1 ? {} : { hosts: hostNames(of) }),
  rotator: of.slots ? 'storage-key' : of.issues ? 'api-key' : 'password',
  keys: of.issues
    ? { ...of.issues, deleteAfter: 7 * day, stillInUseWindow: day, stillInUse: 'warn' }
    : undefined,
  authenticateAs: of.authenticateAs,
  account: { usernames, host: undefined },
  initial: undefined,
  schedule: schedule(),
  grace: of.grace,
  passwordPolicy: {
    length: 16,
    lowercase: true,
    uppercase: true,
    numbers: true,
    symbols: false,
    exclude: '',
  },
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
});

export const desired = (
  secrets: (readonly [string, RotatedSecret])[],
  adopting: boolean,
  of: Setup,
): Desired => ({
  project: {
    name: 'explored',
    reconcilers: [reconciler.recipient],
    planners: [],
    stateRef: undefined,
    limits: { maxRotations: 20, maxShare: 1 },
    channels: {},
  },
  targets: new Map(hostNames(of).map((name) => [name, { ...target, name }])),
  roles: [],
  secrets: new Map(
    secrets.map(([name, s]) => [
      name,
      {
        ...s,
        initial:
          adopting && !of.slots
            ? { password: { env: name }, username: undefined, handle: s.keys ? firstHandle(name) : undefined }
            : undefined,
      },
    ]),
  ),
});
