/** Written manifests -> model: every default is filled in here, and nowhere else. */
import picomatch from 'picomatch';
import { plainRecipient } from '../age/age.ts';
import { share } from '../share.ts';
import { toAccess } from './access.ts';
import { toAzureAccount } from './azure.ts';
import { channelsOf, toNotify } from './channels.ts';
import { specDigest } from './digest.ts';
import { durationOf as ms } from './durations.ts';
import { rotatorOf, toKeys, toVerify } from './kinds.ts';
import type {
  Account,
  KeyType,
  Project,
  Reader,
  Role,
  RotatedSecret,
  Schedule,
  Source,
  Target,
} from './model.ts';
import { inspectPayload } from './payload.ts';
import { hostPart } from './targets.ts';
import { toCustom } from './web.ts';
import type {
  WrittenDefaults,
  WrittenProject,
  WrittenRole,
  WrittenSchedule,
  WrittenSecret,
} from './written.ts';

const day = 86_400_000;

export function toProject({ metadata, spec }: WrittenProject): Project {
  return {
    name: metadata.name,
    reconcilers: spec.reconcilers.map(plainRecipient),
    planners: (spec.planners ?? []).map(plainRecipient),
    stateRef: spec.state?.ref,
    ...(spec.trust === undefined ? {} : { trust: spec.trust }),
    ...(spec.heartbeat === undefined ? {} : { heartbeat: spec.heartbeat }),
    limits: { maxRotations: spec.limits?.maxRotations ?? 20, maxShare: spec.limits?.maxShare ?? 0.5 },
    channels: channelsOf(spec.channels ?? {}),
  };
}

/** `files`: the recipients in each file that a member names, by its path as written. */
export function toRole(
  { metadata, spec }: WrittenRole,
  files: ReadonlyMap<string, readonly string[]>,
  source: Source,
): Role {
  const members = spec.members.flatMap((member): Reader[] => {
    const ends = [member.expires, spec.expires].flatMap((end) => (end === undefined ? [] : [instantOf(end)]));
    const expires = ends.sort()[0];
    const written =
      member.recipient === undefined ? (files.get(member.recipientsFile ?? '') ?? []) : [member.recipient];
    return written.map((recipient) => ({
      name: member.name,
      recipient: plainRecipient(recipient),
      ...(expires === undefined ? {} : { expires }),
    }));
  });
  return { name: metadata.name, members, secrets: spec.secrets, source };
}

/** ISO time of a written `expires`; a day alone begins at 00:00 UTC. One that does not exist is a rule's business. */
const instantOf = (written: string): string => {
  const moment = new Date(written);
  return Number.isNaN(moment.getTime()) ? written : moment.toISOString();
};

/** Key by key; the word `manual` is a whole schedule, so a secret's own map replaces it. */
function toSchedule(written: WrittenDefaults['schedule'], common: WrittenDefaults['schedule']): Schedule {
  const below = common === 'manual' || common === undefined ? {} : common;
  const manual = written === 'manual' || (written === undefined && common === 'manual');
  const merged: WrittenSchedule = manual ? { ...below, auto: false } : { ...below, ...written };
  const timezone = merged.timezone ?? 'UTC';
  return {
    auto: merged.auto ?? true,
    paused: merged.paused ?? false,
    everyDays: ms(merged.every ?? '30d') / day,
    hour: merged.hour,
    timezone,
    jitter: ms(merged.jitter ?? '0s'),
    offset: ms(merged.offset ?? '0s'),
    pair: merged.pair,
    apart: ms(merged.apart ?? '24h'),
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
function toAccount(written: WrittenSecret, target: Target | undefined): Account {
  const { account } = written.spec;
  if (target?.azure) return toAzureAccount(written, target);
  const own = target?.credentials;
  return {
    usernames: account?.usernames ?? [account?.username ?? own?.username ?? ''],
    host: hostPart(target?.type, account === undefined ? own?.usernameHost : account.host),
  };
}

/**
 * Of a key pair the value is the private key, of an access key its secret part. Without any of them a cross rule has
 * something to say.
 */
function toInitial(initial: WrittenSecret['spec']['initial']): RotatedSecret['initial'] {
  const password =
    initial?.privateKey ?? initial?.secretAccessKey ?? initial?.clientSecret ?? initial?.password;
  const handle = initial?.accessKeyId ?? initial?.keyId;
  return password && { password, username: initial?.username, ...(handle === undefined ? {} : { handle }) };
}

/** `rotator: target` rotates a key where the target logs in with this secret as its private key. */
function toKeyType({ metadata, spec }: WrittenSecret, target: Target | undefined): { keyType?: KeyType } {
  const key = target?.credentials?.privateKey;
  const own =
    spec.rotator === 'target' && key !== undefined && 'secret' in key && key.secret === metadata.name;
  return spec.rotator === 'ssh-key' || own ? { keyType: spec.keyType ?? 'ed25519' } : {};
}

/**
 * `target` is undefined where no such target is declared; a cross rule says so. What the secret has in common with
 * `like` is kept once.
 */
export function toSecret(
  written: WrittenSecret,
  common: WrittenDefaults,
  target: Target | undefined,
  roles: Role[],
  source: Source,
  like?: RotatedSecret,
): RotatedSecret {
  const { metadata, spec } = written;
  const rotator = rotatorOf(written, target);
  // one value at a time, whatever the project's defaults say, and nobody but the target to change it
  const single = target?.azure !== undefined && (rotator === 'password' || rotator === 'storage-key');
  const custom = target?.type === 'web' ? toCustom(written, common) : undefined;
  const needsCurrent = custom === undefined || inspectPayload(custom.payload).uses.includes('password');
  const covered = {
    name: metadata.name,
    target: spec.target ?? '',
    ...(spec.hosts === undefined ? {} : { hosts: spec.hosts }),
    rotator,
    authenticateAs: spec.authenticateAs ?? (needsCurrent && !single ? 'user' : 'target'),
    account: toAccount(written, target),
    initial: toInitial(spec.initial),
    ...toKeys(written, target, rotator),
    schedule: toSchedule(spec.schedule, common.schedule),
    grace: ms(spec.grace ?? (spec.graceful === true || single ? undefined : common.grace) ?? '0s'),
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
    ...toKeyType(written, target),
    ...(custom === undefined ? {} : { custom }),
    keep: spec.keep ?? common.keep ?? 5,
    ...(spec.blind === true ? { blind: true as const } : {}),
    deleteProtection: spec.deleteProtection ?? common.deleteProtection ?? true,
    rotateToken: spec.rotateToken,
    movedFrom: spec.movedFrom,
    ...toVerify(spec.verify, common.verify),
    drift: spec.drift ?? common.drift ?? 'alarm',
  };
  share(covered, like);
  const { usernames } = covered.account;
  const access = toAccess(spec.access, { targetType: target?.type, usernames });
  const uncovered = {
    ...(access === undefined ? {} : { access }),
    description: metadata.description,
    tags: metadata.tags ?? [],
    readers: readersOf(metadata.name, roles),
    notify: toNotify({ ...common.notify, ...spec.notify }),
    ownSchedule: spec.schedule !== undefined,
  };
  share(uncovered, like);
  return { ...covered, ...uncovered, specDigest: specDigest(covered), source };
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
    if (known === undefined) readers.set(member.recipient, member);
    else readers.set(member.recipient, together(known, member));
  }
  return [...readers.values()].toSorted((a, b) => (a.recipient < b.recipient ? -1 : 1));
}

/** One recipient in two roles: the first name, and the right that lasts longer. */
function together(a: Reader, b: Reader): Reader {
  const { name, recipient } = b.name < a.name ? b : a;
  if (a.expires === undefined || b.expires === undefined) return { name, recipient };
  return { name, recipient, expires: a.expires > b.expires ? a.expires : b.expires };
}
