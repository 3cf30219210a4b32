/** A manifest was removed while its rotation was under way: the record has all that it takes to end it (protocol F44). PURE. */
import { type Desired, type RotatedSecret, rotators, type Target } from '../manifests/model.ts';
import type { SecretRecord, State } from '../state/model.ts';

/** `desired` with a stand-in for every pending record that no manifest declares any more. It rotates nothing by itself. */
export function withOrphans(desired: Desired, state: State): Desired {
  const moved = new Set([...desired.secrets.values()].map((secret) => secret.movedFrom));
  const secrets = new Map(desired.secrets);
  for (const record of Object.values(state.records)) {
    const target = desired.targets.get(record.target);
    if (record.pending && target && !secrets.has(record.name) && !moved.has(record.name))
      secrets.set(record.name, reachable(standIn(record, record.pending.actor, target), desired));
  }
  return secrets.size === desired.secrets.size ? desired : { ...desired, secrets };
}

/** Without the hosts whose targets are gone too: the others need not wait for them. */
const reachable = ({ hosts, ...secret }: RotatedSecret, { targets }: Desired): RotatedSecret =>
  hosts === undefined ? secret : { ...secret, hosts: hosts.filter((host) => targets.has(host)) };

/** What a manifest for this record would say; nothing of it rotates by itself. */
export function standIn(record: SecretRecord, actor: 'self' | 'target', target: Target): RotatedSecret {
  const accounts = record.binding.account.split('|').map((account) => {
    if (target.aws || target.azure)
      return { username: account.slice(account.lastIndexOf('/') + 1), host: undefined };
    const at = target.type === 'mysql' ? account.lastIndexOf('@') : -1;
    return at < 0
      ? { username: account, host: undefined }
      : { username: account.slice(0, at), host: account.slice(at + 1) };
  });
  const [first, second] = accounts;
  const hosts = record.hosts === undefined ? {} : { hosts: Object.keys(record.hosts) };
  return {
    name: record.name,
    description: undefined,
    tags: [],
    target: record.target,
    ...hosts,
    rotator: rotatorOf(record),
    ...keyOf(record, target),
    authenticateAs: actor === 'self' ? 'user' : 'target',
    account: {
      usernames: second ? [first?.username ?? '', second.username] : [first?.username ?? ''],
      host: first?.host,
    },
    initial: undefined,
    schedule: {
      auto: false,
      paused: false,
      everyDays: 365,
      hour: undefined,
      timezone: 'UTC',
      jitter: 0,
      offset: 0,
      pair: undefined,
      apart: 0,
      windows: [],
      overdueAfter: 0,
    },
    grace: 0,
    passwordPolicy: {
      length: 32,
      lowercase: true,
      uppercase: true,
      numbers: true,
      symbols: true,
      exclude: '',
    },
    keep: Object.keys(record.versions).length,
    deleteProtection: true,
    rotateToken: undefined,
    movedFrom: undefined,
    readers: [],
    notify: { before: [], events: [], channels: [] },
    verifyEvery: undefined,
    drift: 'alarm',
    ownSchedule: false,
    specDigest: record.specDigest,
    source: { file: 'keyturn.yaml', line: 1, column: 1 },
  };
}

const rotatorOf = ({ rotator }: SecretRecord): RotatedSecret['rotator'] =>
  rotators.find((one) => rotator.endsWith(`/${one}`)) ?? 'password';

/** A key pair stays one, of whatever kind: a pending value is never drawn again. */
function keyOf({ name, rotator }: SecretRecord, target: Target): Pick<RotatedSecret, 'keyType'> {
  const key = target.credentials?.privateKey;
  const own = key !== undefined && 'secret' in key && key.secret === name;
  return rotator.endsWith('/ssh-key') || own ? { keyType: 'ed25519' } : {};
}
