/** Everything that a session needs, looked up and checked before anything is said to anybody: a clone and an identity. */
import { bindingChange, boundTo, newPlaces } from '../engine/binding.ts';
import { KeyturnError } from '../errors.ts';
import { identityOf, projectRoot } from '../here.ts';
import type { Host } from '../host.ts';
import type { Access } from '../manifests/access.ts';
import { hostLabel } from '../manifests/hosts.ts';
import { loadManifests } from '../manifests/load.ts';
import type { Login, RotatedSecret, Target } from '../manifests/model.ts';
import { type Published, readPublished } from '../reader.ts';
import { Secret } from '../secret.ts';
import { placeOf } from '../state/hosts.ts';
import { resolveValue } from '../state/values.ts';
import type { Credentials } from '../targets/driver.ts';
import { driverOf } from '../targets/registry.ts';
import type { Keyring } from '../targets/session.ts';
import type { Wanted } from '../which.ts';

export interface Arranged {
  root: string;
  stateRef: string | undefined;
  secret: RotatedSecret;
  access: Access;
  /** With the host that the session goes to. */
  target: Target;
  /** The version that is current now. */
  version: number;
  username: string;
  keyring: Ring;
  /** The key that signs a certificate, where the session takes one. */
  authority: Secret | undefined;
  /** The login at the jump host. */
  jump: Credentials | undefined;
  /** For people. */
  notes: string[];
}

export interface Ring extends Keyring {
  /** Somebody got in with it. */
  readonly used: boolean;
}

export interface Wish {
  identity: string | undefined;
  /** One of the hosts that the manifest allows; undefined: the target's own. */
  host: string | undefined;
  /** Told when a newer version had to be taken. */
  renewed: (version: number) => void;
}

/** Throws KeyturnError: no session allowed, another host, not for this identity, bound to another place (3). */
export async function arrange(host: Host, name: string, wish: Wish): Promise<Arranged> {
  const root = projectRoot(host.cwd);
  const { project, secrets, targets } = await loadManifests(root, { env: host.env });
  const secret = secrets.get(name);
  const declared = secret && targets.get(secret.target);
  if (!secret || !declared)
    throw new KeyturnError(name, 'no such secret', { hint: 'keyturn list shows the names' });
  const { access } = secret;
  if (access === undefined)
    throw new KeyturnError(name, 'lets nobody have a session', {
      hint: 'add access: { enable: true } to its manifest',
    });
  const target = chosen(secret, declared, targets, access, wish.host);
  const authorityName = access.certificate?.ca;
  const mine = { name, ...(secret.hosts === undefined ? {} : { host: target.name }) };
  const wanted = [mine, ...(authorityName === undefined ? [] : [{ name: authorityName }])];
  const read = (names: readonly Wanted[]) => readPublished(host, names, { identity: wish.identity });
  const { values, notes } = await read(wanted);
  const [own, authority] = values;
  if (own === undefined) throw new Error('not read');
  const check = (published: Published): Promise<void> => refuseElsewhere(secret, declared, target, published);
  await check(own);
  const jump = await jumpLogin(host, root, target, wish.identity);
  const username = own.fields.username ?? secret.account.usernames[0];
  const keyring = ringOf(secret, own, async (before) => {
    const [newer] = (await read([mine])).values;
    if (newer === undefined || newer.version === before) return undefined;
    await check(newer);
    wish.renewed(newer.version);
    return newer;
  });
  return {
    ...{ root, stateRef: project.stateRef, secret, access, target, username, keyring, jump, notes },
    version: own.version,
    authority: authority?.value,
  };
}

/** The secret's own target, with another host where the manifest lets sessions go there, or another one that has its value. */
function chosen(
  { name, hosts: family = [] }: RotatedSecret,
  own: Target,
  targets: ReadonlyMap<string, Target>,
  access: Access,
  host: string | undefined,
): Target {
  const plain = { ...own, verifyHost: undefined };
  if (host === undefined || host === own.host) return plain;
  const other = family.find((one) => one === host || hostLabel(one) === host);
  const found = other === undefined ? undefined : targets.get(other);
  if (access.protocol !== 'web' && found !== undefined) return { ...found, verifyHost: undefined };
  if (access.protocol !== 'web' && access.hosts.includes(host)) return { ...plain, host };
  throw new KeyturnError(`--host ${host}`, `is none that a session with ${name} may go to`, {
    hint: `it may go to ${[own.host, ...family.map(hostLabel), ...access.hosts].join(', ')}; spec.access.hosts names more`,
  });
}

/** Compares what was sealed with the value, which whoever changes manifests cannot write, with where they lead now. */
async function refuseElsewhere(
  secret: RotatedSecret,
  own: Target,
  to: Target,
  { binding }: Published,
): Promise<void> {
  const driver = await driverOf(own.type, secret.rotator);
  const bound = boundTo(driver, own, secret);
  const isOwn = to.name === own.name;
  const place = isOwn ? undefined : placeOf(driver.binding(to, secret.account));
  const was = binding.hosts?.[to.name];
  const change = isOwn
    ? (bindingChange(binding, bound) ?? newPlaces(binding, bound))
    : was === place
      ? null
      : `${to.name} is ${was === undefined ? 'new' : 'another place than it was'}`;
  if (change === null) return;
  throw new KeyturnError(secret.name, `may not be sent there: ${change}`, {
    hint: `if that is right, somebody with a signing key runs keyturn rebind ${secret.name}`,
    exit: 3,
  });
}

function ringOf(
  secret: RotatedSecret,
  first: Published,
  newer: (before: number) => Promise<Published | undefined>,
): Ring {
  let now = first;
  let used = false;
  const current = (): Credentials => {
    const username = now.fields.username ?? secret.account.usernames[0];
    return secret.keyType === undefined
      ? { username, password: now.value }
      : { username, password: new Secret(''), privateKey: now.value };
  };
  return {
    current,
    renew: async () => {
      const found = await newer(now.version).catch((error: unknown) => {
        if (error instanceof KeyturnError) return undefined;
        throw error;
      });
      if (found === undefined) return undefined;
      now = found;
      return current();
    },
    entered: () => {
      used = true;
    },
    get used() {
      return used;
    },
  };
}

/** What the jump host is told; its values may be rotated secrets, which this identity must be able to read. */
async function jumpLogin(
  host: Host,
  root: string,
  target: Target,
  identityFile: string | undefined,
): Promise<Credentials | undefined> {
  const login: Login | undefined = target.ssh?.jump;
  if (login === undefined) return undefined;
  const identity = await identityOf(host, identityFile);
  const values: { password?: Secret; privateKey?: Secret; passphrase?: Secret } = {};
  for (const key of ['password', 'privateKey', 'passphrase'] as const) {
    const ref = login[key];
    if (ref === undefined) continue;
    if ('secret' in ref) {
      const [found] = (await readPublished(host, [{ name: ref.secret }], { identity: identityFile })).values;
      if (found !== undefined) values[key] = found.value;
    } else values[key] = await resolveValue(ref, target.name, { root, env: host.env, identity });
  }
  const { password = new Secret(''), ...keys } = values;
  return { username: login.username, password, ...keys };
}
