/** Written manifests -> model: every default is filled in here, and nowhere else. */
import picomatch from 'picomatch';
import { specDigest } from './digest.ts';
import { parseDuration } from './durations.ts';
import type {
  Account,
  AwsTarget,
  KeyPolicy,
  Project,
  Reader,
  Role,
  RotatedSecret,
  Schedule,
  Source,
  Target,
  ValueRef,
} from './model.ts';
import type {
  WrittenDefaults,
  WrittenProject,
  WrittenRole,
  WrittenSchedule,
  WrittenSecret,
  WrittenTarget,
} from './written.ts';

const day = 86_400_000;
const ports = { mysql: 3306, postgresql: 5432, aws: 443 } as const;

/** The schema has seen it: anything that is no duration is a bug here, not in a manifest. */
function ms(word: string): number {
  const parsed = parseDuration(word);
  if (parsed === undefined) throw new Error('the schema let a malformed duration through');
  return parsed;
}

export function toProject({ metadata, spec }: WrittenProject): Project {
  return {
    name: metadata.name,
    reconcilers: spec.reconcilers,
    planners: spec.planners ?? [],
    stateRef: spec.state?.ref,
    limits: { maxRotations: spec.limits?.maxRotations ?? 20, maxShare: spec.limits?.maxShare ?? 0.5 },
    channels: spec.channels ?? {},
  };
}

/** `ca` is the PEM that `spec.tls.ca` names. */
export function toTarget({ metadata, spec }: WrittenTarget, ca: string | undefined, source: Source): Target {
  const { credentials, tls } = spec;
  const aws = spec.type === 'aws' ? toAws(spec) : undefined;
  const endpoint = aws && new URL(aws.endpoint ?? `https://${iamHost(aws)}`);
  return {
    name: metadata.name,
    type: spec.type,
    host: endpoint?.hostname ?? spec.host ?? '',
    port: endpoint
      ? Number(endpoint.port || (endpoint.protocol === 'http:' ? 80 : 443))
      : (spec.port ?? ports[spec.type]),
    verifyHost: spec.verifyHost,
    database: spec.type === 'postgresql' ? (spec.database ?? 'postgres') : undefined,
    tls: { mode: tls?.mode ?? 'verify', ca, caFile: tls?.ca, serverName: tls?.serverName },
    credentials: credentials && {
      username: credentials.username ?? '',
      usernameHost: hostPart(spec.type, credentials.host),
      password: referenceOf(credentials),
      ...(credentials.accessKeyId === undefined ? {} : { handle: credentials.accessKeyId }),
    },
    ...(aws === undefined ? {} : { aws }),
    concurrency: spec.concurrency ?? 8,
    timeout: ms(spec.timeout ?? '10s'),
    source,
  };
}

/** The password by its name of a database, or by that of AWS: the schema wants the one that the type has. */
function referenceOf(of: { password?: ValueRef; secretAccessKey?: ValueRef }): ValueRef {
  const value = of.secretAccessKey ?? of.password;
  if (value === undefined) throw new Error('the schema let a missing reference through');
  return value;
}

function toAws(spec: WrittenTarget['spec']): AwsTarget {
  return {
    accountId: spec.accountId ?? '',
    region: spec.region ?? 'us-east-1',
    partition: spec.partition ?? 'aws',
    endpoint: spec.endpoint,
    profile: spec.profile,
    assumeRole: spec.assumeRole && {
      arn: spec.assumeRole.arn,
      externalId: spec.assumeRole.externalId,
      sessionName: spec.assumeRole.sessionName ?? 'keyturn',
    },
  };
}

/** IAM is one endpoint a partition; what stands in a binding does not depend on the region. */
const iamHost = ({ partition }: AwsTarget): string =>
  ({ 'aws-cn': 'iam.cn-north-1.amazonaws.com.cn', 'aws-us-gov': 'iam.us-gov.amazonaws.com' })[partition] ??
  'iam.amazonaws.com';

const hostPart = (type: Target['type'] | undefined, written: string | undefined): string | undefined =>
  type === 'mysql' ? (written ?? '%') : written;

export function toRole({ metadata, spec }: WrittenRole, source: Source): Role {
  return { name: metadata.name, members: spec.members, secrets: spec.secrets, source };
}

/** Key by key; the word `manual` is a whole schedule, so a secret's own map replaces it. */
function toSchedule(written: WrittenDefaults['schedule'], common: WrittenDefaults['schedule']): Schedule {
  const below = common === 'manual' || common === undefined ? {} : common;
  const manual = written === 'manual' || (written === undefined && common === 'manual');
  const merged: WrittenSchedule = manual ? { ...below, auto: false } : { ...below, ...written };
  const timezone = merged.timezone ?? 'UTC';
  return {
    auto: merged.auto ?? true,
    everyDays: ms(merged.every ?? '30d') / day,
    hour: merged.hour,
    timezone,
    jitter: ms(merged.jitter ?? '0s'),
    offset: ms(merged.offset ?? '0s'),
    windows: (merged.windows ?? []).map(({ days, from, to, timezone: zone }) => ({
      days: days ?? [],
      from,
      to,
      timezone: zone ?? timezone,
    })),
    overdueAfter: ms(merged.overdueAfter ?? '2d'),
  };
}

/** The account as written; without one, that of the target's credentials, which `rotator: target` rotates. */
function toAccount({ spec }: WrittenSecret, target: Target | undefined): Account {
  const { account } = spec;
  const own = target?.credentials;
  return {
    usernames: account?.usernames ?? [account?.username ?? own?.username ?? ''],
    host: hostPart(target?.type, account === undefined ? own?.usernameHost : account.host),
  };
}

const toKeys = (spec: WrittenSecret['spec']): KeyPolicy => ({
  graceful: spec.graceful ?? false,
  exclusive: spec.exclusive ?? false,
  deleteAfter: ms(spec.deleteAfter ?? '7d'),
  stillInUseWindow: ms(spec.stillInUseWindow ?? '24h'),
  stillInUse: spec.stillInUse ?? 'warn',
});

/** `target` is undefined where no such target is declared; a cross rule says so. */
export function toSecret(
  written: WrittenSecret,
  common: WrittenDefaults,
  target: Target | undefined,
  roles: Role[],
  source: Source,
): RotatedSecret {
  const { metadata, spec } = written;
  const covered = {
    name: metadata.name,
    target: spec.target,
    rotator: spec.rotator ?? (target?.type === 'aws' ? 'api-key' : 'password'),
    authenticateAs: spec.authenticateAs ?? 'user',
    account: toAccount(written, target),
    initial: spec.initial && {
      password: referenceOf(spec.initial),
      username: spec.initial.username,
      ...(spec.initial.accessKeyId === undefined ? {} : { handle: spec.initial.accessKeyId }),
    },
    ...(target?.type === 'aws' ? { keys: toKeys(spec) } : {}),
    schedule: toSchedule(spec.schedule, common.schedule),
    grace: ms(spec.grace ?? (spec.graceful === true ? undefined : common.grace) ?? '0s'),
    passwordPolicy: {
      length: 32,
      lowercase: true,
      uppercase: true,
      numbers: true,
      symbols: true,
      exclude: '',
      ...common.passwordPolicy,
      ...spec.passwordPolicy,
    },
    keep: spec.keep ?? common.keep ?? 5,
    deleteProtection: spec.deleteProtection ?? common.deleteProtection ?? true,
    rotateToken: spec.rotateToken,
    movedFrom: spec.movedFrom,
    notify: { before: (spec.notify?.before ?? []).map(ms), channels: spec.notify?.channels ?? [] },
  };
  return {
    ...covered,
    description: metadata.description,
    tags: metadata.tags ?? [],
    readers: readersOf(metadata.name, roles),
    specDigest: specDigest(covered),
    source,
  };
}

/** Compiled once per role: globs are few, names may be thousands. */
const matchers = new WeakMap<Role, (name: string) => boolean>();

/** Whether a role's globs cover a secret's name: `*` within a segment, `**` across. */
export function covers(role: Role, name: string): boolean {
  let matches = matchers.get(role);
  if (matches === undefined) {
    matches =
      role.secrets.length === 0 ? () => false : picomatch(role.secrets, { dot: true, nonegate: true });
    matchers.set(role, matches);
  }
  return matches(name);
}

function readersOf(name: string, roles: Role[]): Reader[] {
  const readers = new Map<string, Reader>();
  for (const member of roles.filter((role) => covers(role, name)).flatMap((role) => role.members)) {
    const known = readers.get(member.recipient);
    if (known === undefined || member.name < known.name) readers.set(member.recipient, member);
  }
  return [...readers.values()].toSorted((a, b) => (a.recipient < b.recipient ? -1 : 1));
}
