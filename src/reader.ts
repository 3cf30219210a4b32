/** A reader's way to values: a clone or an address, and an age identity; neither the state nor, if need be, the network. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { preloadAge } from './age/age.ts';
import { KeyturnError } from './errors.ts';
import { withForeign } from './git/consume.ts';
import { openRepository } from './git/open.ts';
import { identityOf, projectRoot } from './here.ts';
import type { Host } from './host.ts';
import { hostLabel } from './manifests/hosts.ts';
import type { Secret } from './secret.ts';
import type { Identity } from './state/identity.ts';
import type { Binding } from './state/model.ts';
import {
  currentPath,
  type HostVersion,
  hostsPath,
  openVersion,
  parseCurrent,
  parseHosts,
  valuePath,
} from './state/version-file.ts';

export interface Wanted {
  name: string;
  /** The promoted one where it is absent. */
  version?: number | undefined;
  /** Of several hosts with one value: the version that this one was left with. */
  host?: string | undefined;
}

export interface Published {
  name: string;
  value: Secret;
  /** Everything but the password, e.g. `username`. */
  fields: Record<string, string>;
  version: number;
  /** Where the credential may be sent, as it was sealed. */
  binding: Binding;
}

export interface ReadOptions {
  identity?: string | undefined;
  /** Address of a repository to read from in place of the clone around `cwd`. */
  repo?: string | undefined;
  ref?: string | undefined;
}

/** Files of one commit. */
interface Shelf {
  place: string;
  /** Those among `paths` that are there. */
  read(paths: readonly string[]): Promise<Map<string, Uint8Array>>;
  /** Paths of the files below a folder. */
  below(folder: string): Promise<string[]>;
}

/**
 * The wanted versions, in the order of `wanted`, from one commit: the newest at the remote, or, where that cannot be
 * reached, of this clone, which is said in `notes`. Throws what `openVersion` throws at the first that cannot be had.
 */
export async function readPublished(
  host: Host,
  wanted: readonly Wanted[],
  options: ReadOptions,
): Promise<{ values: Published[]; notes: string[] }> {
  const notes: string[] = [];
  const { repo } = options;
  if (repo === undefined && options.ref !== undefined)
    throw new KeyturnError('--ref', 'needs --repo', {
      hint: 'a clone reads from the ref that keyturn.yaml names',
    });
  let identity: Identity;
  let values: Published[];
  if (repo === undefined) {
    const { shelf } = await fetchShelf(host, notes);
    preloadAge();
    identity = await identityOf(host, options.identity);
    values = await openAll(await shelf, wanted, identity, notes);
  } else {
    identity = await identityOf(host, options.identity);
    const read = (foreign: Shelf): Promise<Published[]> => openAll(foreign, wanted, identity, notes);
    values = await withForeign({ url: repo, ref: options.ref, env: host.env }, read);
  }
  if (identity.trust.size === 0) {
    const [first] = values;
    const path = first ? valuePath(first.name, first.version) : 'what was read';
    notes.push(
      `nobody vouches for ${path}: add a KEYTURN-TRUST-1 line to ${identity.source} to check who wrote it`,
    );
  }
  return { values, notes };
}

/** The promoted versions of every secret that anything was published of, by name; no identity is needed. */
export async function promotedVersions(host: Host, names: readonly string[]): Promise<Map<string, number>> {
  const { shelf } = await fetchShelf(host, []);
  const pointers = await (await shelf).read(names.map(currentPath));
  return new Map(
    names.flatMap((name) => {
      const path = currentPath(name);
      const bytes = pointers.get(path);
      return bytes ? [[name, parseCurrent(bytes, path)] as const] : [];
    }),
  );
}

/** One version as a reader sees it; what is sealed to others has its number alone. */
export interface Glimpse {
  version: number;
  promoted: boolean;
  forYou: boolean;
  /** ISO time; null where it cannot be read. */
  issuedAt: string | null;
  username: string | null;
  /** Who signed it; null where it cannot be read, or nobody's signature is known. */
  signedBy: string | null;
}

/** Every version that the tip, or else the clone, still holds of a secret, newest first. */
export async function glimpses(
  host: Host,
  name: string,
  identityFile: string | undefined,
): Promise<{ versions: Glimpse[]; notes: string[] }> {
  const identity = await identityOf(host, identityFile);
  const notes: string[] = [];
  const shelf = await (await fetchShelf(host, notes)).shelf;
  const numbers = (await shelf.below(`values/${name}`)).flatMap((path) => {
    const v = Number(/\/([1-9]\d*)\.age$/.exec(path)?.[1] ?? 0);
    return v > 0 && path === valuePath(name, v) ? [v] : [];
  });
  const files = await shelf.read([currentPath(name), ...numbers.map((v) => valuePath(name, v))]);
  const pointer = pointedAt(shelf, name, files.get(currentPath(name)));
  const requireSignature = identity.trust.size > 0;
  const versions = numbers
    .sort((a, b) => b - a)
    .map(async (version): Promise<Glimpse> => {
      const path = valuePath(name, version);
      const bytes = files.get(path) ?? new Uint8Array();
      const promoted = version === pointer;
      try {
        const opened = await openVersion(bytes, { name, v: version }, identity, path, { requireSignature });
        return {
          version,
          promoted,
          forYou: true,
          issuedAt: opened.issuedAt,
          username: opened.fields.username ?? null,
          signedBy: opened.verified ? opened.kid : null,
        };
      } catch (error) {
        if (!(error instanceof KeyturnError && error.code === 'NO_IDENTITY')) throw error;
        return { version, promoted, forYou: false, issuedAt: null, username: null, signedBy: null };
      }
    });
  return { versions: await Promise.all(versions), notes };
}

/** The clone around `cwd`, whose newest commit is on its way; the promise is in an object, to be waited for later. */
async function fetchShelf(host: Host, notes: string[]): Promise<{ shelf: Promise<Shelf> }> {
  const root = projectRoot(host.cwd);
  const { env, clock, random } = host;
  // git looks around while keyturn.yaml is read, and waits for the remote while age is loaded
  const stateRef = Promise.resolve().then(() => stateRefOf(root));
  const repository = await openRepository(root, { stateRef, env, clock, random });
  const revision = (await stateRef) ?? 'HEAD';
  const fetching = repository.fetch().catch((error: unknown) => {
    if (!(error instanceof KeyturnError)) throw error;
    notes.push(`${error.message}; this is what the clone holds and may be out of date`);
    return repository.commitAt(revision);
  });
  const shelf = fetching.then(
    (tip): Shelf => ({
      place: repository.place,
      read: (paths) => repository.readFiles(tip, paths),
      below: async (folder) => [...(await repository.list(tip, [folder])).keys()],
    }),
  );
  shelf.catch(() => undefined);
  return { shelf };
}

/** A line that may name `state`, by escapes too; a comment cannot. */
const mayNameState = /^(?![ \t]*#).*(?:state|\\)/m;

/**
 * `state.ref`, of which keyturn.yaml mostly says nothing. Then nothing else in it concerns a reader, and to parse and
 * judge it takes as long as all the rest.
 */
async function stateRefOf(root: string): Promise<string | undefined> {
  const text = await readFile(join(root, 'keyturn.yaml'), 'utf8').catch(() => undefined);
  if (text !== undefined && !mayNameState.test(text)) return undefined;
  const { loadProject } = await import('./manifests/project.ts');
  return (await loadProject(root)).stateRef;
}

async function openAll(
  shelf: Shelf,
  wanted: readonly Wanted[],
  identity: Identity,
  notes: string[],
): Promise<Published[]> {
  const unnumbered = wanted.filter(({ version }) => version === undefined);
  const pointers = await shelf.read(unnumbered.flatMap(({ name }) => [currentPath(name), hostsPath(name)]));
  for (const { name } of unnumbered) if (!pointers.has(currentPath(name))) await refuseFamily(shelf, name);
  const chosen = wanted.map(({ name, version, host }) => {
    const list = pointers.get(hostsPath(name));
    const hosts = list && parseHosts(list, hostsPath(name));
    if (version !== undefined) return { name, version };
    if (host !== undefined) {
      const { v, or } = versionAt(shelf, name, host, hosts);
      if (or !== null)
        notes.push(
          `${name}: this is v${v}; ${host} may have v${or} by now, the answer to its change was lost`,
        );
      return { name, version: v };
    }
    const current = pointedAt(shelf, name, pointers.get(currentPath(name)));
    const others = [...(hosts ?? [])]
      .filter(([, { v, or }]) => v !== current || or !== null)
      .map(([one, { v, or }]) => `${one} has v${v}${or === null ? '' : ` or v${or}`}`);
    if (others.length > 0)
      notes.push(`${name}: this is v${current}, but ${others.join(', ')}: --host HOST reads what one has`);
    return { name, version: current };
  });
  const files = await shelf.read(chosen.map(({ name, version }) => valuePath(name, version)));
  const requireSignature = identity.trust.size > 0;
  const opened: Published[] = [];
  for (const { name, version } of chosen) {
    const path = valuePath(name, version);
    const bytes = files.get(path);
    if (!bytes)
      throw new KeyturnError(name, `has no version ${version} in ${shelf.place}`, {
        hint: `keyturn history ${name} shows which there are`,
      });
    const { value, fields, binding } = await openVersion(bytes, { name, v: version }, identity, path, {
      requireSignature,
    });
    opened.push({ name, value, fields, version, binding });
  }
  return opened;
}

/** `spec.hosts` with one value each: the name alone stands for none of them. */
async function refuseFamily(shelf: Shelf, name: string): Promise<void> {
  const prefix = `values/${name}/`;
  const names = (await shelf.below(prefix.slice(0, -1))).flatMap((path) =>
    path.startsWith(prefix) && path.endsWith('/current')
      ? [path.slice('values/'.length, -'/current'.length)]
      : [],
  );
  if (names.length === 0) return;
  throw new KeyturnError(name, 'is several secrets', { hint: `name one: ${names.sort().join(', ')}` });
}

function versionAt(
  shelf: Shelf,
  name: string,
  host: string,
  hosts: ReadonlyMap<string, HostVersion> | undefined,
): HostVersion {
  const version = hosts?.get(hostLabel(host));
  if (version !== undefined) return version;
  throw new KeyturnError(name, `has no version for ${host} in ${shelf.place}`, {
    hint: hosts ? `its hosts are ${[...hosts.keys()].join(', ')}` : 'it is not one value of several hosts',
  });
}

function pointedAt(shelf: Shelf, name: string, pointer: Uint8Array | undefined): number {
  if (pointer) return parseCurrent(pointer, currentPath(name));
  throw new KeyturnError(name, `has no version in ${shelf.place}`, {
    hint: 'keyturn list shows what there is; keyturn apply makes the first version; --ref names another branch',
  });
}
