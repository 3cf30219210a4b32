/** Everything that the engine may touch, in one hand: a test owns every effect and may crash at each. */
import type { Clock } from '../clock.ts';
import { KeyturnError } from '../errors.ts';
import { loginRefs } from '../manifests/logins.ts';
import type {
  Desired,
  Login,
  RotatedSecret,
  Rotator,
  Target,
  TargetType,
  ValueRef,
  WebTarget,
} from '../manifests/model.ts';
import { Secret } from '../secret.ts';
import { byName } from '../state/by-name.ts';
import type { Ledger } from '../state/ledger.ts';
import type { Claim, SecretRecord } from '../state/model.ts';
import { versionOf } from '../state/transitions.ts';
import type { Authenticate, Caller, Credentials } from '../targets/driver.ts';
import type { Driver } from '../targets/registry.ts';
import type { SpareLogins } from '../targets/spare.ts';
import { type Audience, audienceOf, gateOf } from './audience.ts';
import { endpointChange } from './binding.ts';
import type { Event } from './model.ts';
import type { Spill, Spool } from './spool.ts';
import { Together } from './together.ts';

export interface World {
  ledger: Ledger;
  clock: Clock;
  random: (bytes: number) => Uint8Array;
  ulid: () => string;
  driver: (type: TargetType, rotator?: Rotator) => Promise<Driver>;
  /** `{ env }`, `{ file }`, `{ sealed }`: whatever is not a rotated secret. */
  resolve: (ref: Exclude<ValueRef, { secret: string }>, subject: string) => Promise<Secret>;
  /** This machine's disk, and refs beside the branch: for values that nobody can ask for again. */
  spool: Spool;
  spill: Spill;
  /** Who we are to custom rotators. */
  authenticate: (how: WebTarget['authenticate']) => Authenticate;
  /** Who this process is in claims. */
  owner: Claim['by'];
  emit: (event: Event) => void;
  /** A step boundary; does nothing outside crash tests. */
  failpoint: (name: string) => Promise<void>;
  /** True once somebody asked the run to stop: no new mutation starts. */
  stopping: () => boolean;
  /** Privileged logins between two rotations of one `apply`. */
  spare?: SpareLogins;
  /** Pushes of rotations that go on side by side in one `apply`. */
  together?: Together;
  /** Waits, and lets another rotation of the same target go on meanwhile, where one `apply` has several. */
  standAside?: (ms: number) => Promise<void>;
  /** Files of wishes to rotate, by secret name: the claim that fulfils them removes them. */
  requests: ReadonlyMap<string, string[]>;
}

/** How long a claim keeps others away, and the frame that every mutation must start in (protocol G6). */
export const lease = 20 * 60_000;
export const mutationDeadline = lease / 2;
/** A mutation starts only if the tip was read this recently. */
export const fenceFreshness = 30_000;

export const togetherOf = ({ together, ledger }: World): Together => together ?? new Together(ledger);

/** Who a new version of the secret is sealed to now. */
export const audienceNow = (
  secret: RotatedSecret,
  record: SecretRecord | undefined,
  { project }: Desired,
  { ledger, clock }: World,
): Audience => audienceOf(secret, record, project.reconcilers, clock.now(), gateOf(project, ledger.state));

/** The target's own credentials, from wherever its manifest says; null when it needs none. */
export async function targetCredentials(
  world: World,
  desired: Desired,
  target: Target,
): Promise<
  | { r: 'resolved'; credentials: Credentials | undefined; uses: string[] }
  | { r: 'unresolved'; reason: string }
> {
  const given = target.credentials;
  if (!given) return { r: 'resolved', credentials: undefined, uses: [] };
  return resolveLogin(world, desired, target, given);
}

/** What a job needs to reach its target through a jump host, and the secrets that takes. Throws KeyturnError (exit 75). */
export async function routeTo(
  world: World,
  desired: Desired,
  target: Target,
): Promise<{ route: { jump?: Credentials; caller?: Caller }; uses: string[] }> {
  const { ssh, web } = target;
  if (web !== undefined) {
    const client = web.client && {
      certificate: await shownBy(world, desired, web.client.certificate, target),
      key: await shownBy(world, desired, web.client.key, target),
    };
    return { route: { caller: { authenticate: world.authenticate(web.authenticate), client } }, uses: [] };
  }
  if (ssh?.jump === undefined) return { route: {}, uses: [] };
  const { host, port, hostKeys } = ssh.jump;
  const there: Target = { ...target, host, port, ssh: { ...ssh, hostKeys, jump: undefined } };
  const login = await resolveLogin(world, desired, there, ssh.jump);
  if (login.r === 'unresolved') throw new KeyturnError(target.name, login.reason, { exit: 75 });
  return { route: { jump: login.credentials }, uses: login.uses };
}

async function shownBy(world: World, desired: Desired, ref: ValueRef, target: Target): Promise<Secret> {
  if (!('secret' in ref)) return world.resolve(ref, target.name);
  const record = recordNamed(world, desired, ref.secret);
  if (!record || record.current === null || record.pending)
    throw new KeyturnError(target.name, `what it shows, ${ref.secret}, has no version to read now`, {
      exit: 75,
    });
  return (await world.ledger.readVersion(record, record.current)).value;
}

/** Every value that a login at `target` takes. */
async function resolveLogin(
  world: World,
  desired: Desired,
  target: Target,
  login: Login,
): Promise<
  { r: 'resolved'; credentials: Credentials; uses: string[] } | { r: 'unresolved'; reason: string }
> {
  const uses: string[] = [];
  const values: { password?: Secret; privateKey?: Secret; passphrase?: Secret } = {};
  let { handle } = login;
  const account = { usernames: [login.username] as [string], host: undefined };
  for (const key of ['password', 'privateKey', 'passphrase'] as const) {
    const ref = login[key];
    if (ref === undefined) continue;
    if (!('secret' in ref)) {
      values[key] = await world.resolve(ref, target.name);
      continue;
    }
    const name = ref.secret;
    const record = recordNamed(world, desired, name);
    if (!record || record.current === null)
      return { r: 'unresolved', reason: `its target's credential ${name} has no version yet` };
    if (record.pending)
      return { r: 'unresolved', reason: `its target's credential ${name} is being rotated` };
    const driver = await world.driver(target.type);
    const bound = driver.machine === 'slots' && driver.login ? driver.login : driver.binding;
    const binding = bound(target, account);
    const hosts = Object.values(record.hosts ?? {});
    const there = hosts.find((host) => endpointChange(host.binding, binding) === null);
    if (record.hosts !== undefined && (there?.v ?? null) === null)
      return { r: 'unresolved', reason: `its target's credential ${name} was never set on ${target.name}` };
    const moved = endpointChange(there?.binding ?? record.binding, binding);
    if (moved)
      return {
        r: 'unresolved',
        reason: `its target's credential ${name} may not be sent there: ${moved}; run keyturn rebind ${name} if that is right`,
      };
    const v = there?.v ?? record.current;
    values[key] = await loginValue(record, v, world);
    handle = versionOf(record, v).handle ?? handle;
    uses.push(`${name}@${v}`);
  }
  const { password = new Secret(''), ...keys } = values;
  return {
    r: 'resolved',
    credentials: { username: handle ?? login.username, password, ...keys },
    uses,
  };
}

const loginValues = new WeakMap<SecretRecord, Map<number, Promise<Secret>>>();

/** Read once for each record as it stands, since every rotation on the target logs in with it. */
function loginValue(record: SecretRecord, v: number, { ledger }: World): Promise<Secret> {
  const known = loginValues.get(record) ?? new Map<number, Promise<Secret>>();
  loginValues.set(record, known);
  const value = known.get(v) ?? ledger.readVersion(record, v).then((read) => read.value);
  known.set(v, value);
  value.catch(() => known.delete(v));
  return value;
}

export function recordNamed(world: World, desired: Desired, name: string): SecretRecord | undefined {
  const named = byName(world.ledger.state.records);
  const movedFrom = desired.secrets.get(name)?.movedFrom;
  return named.get(name) ?? (movedFrom === undefined ? undefined : named.get(movedFrom));
}

/** Names of secrets that some target logs in with: recovered first, rotated last, one at a time (protocol §4.5). */
export function credentialSecrets(desired: Desired): Set<string> {
  const names = new Set<string>();
  for (const target of desired.targets.values()) {
    for (const { ref } of loginRefs(target)) if ('secret' in ref) names.add(ref.secret);
  }
  return names;
}
