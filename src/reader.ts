/** A reader's way to values: a clone or an address, and an age identity; neither the state nor, if need be, the network. */
import { preloadAge } from './age/age.ts';
import { KeyturnError } from './errors.ts';
import { withForeign } from './git/consume.ts';
import { identityOf } from './here.ts';
import type { Host } from './host.ts';
import type { Secret } from './secret.ts';
import { fetchShelf, type Shelf } from './shelf.ts';
import type { Identity } from './state/identity.ts';
import type { Binding } from './state/model.ts';
import { currentPath, parseCurrent, readPointers } from './state/pointers.ts';
import { openVersion, valuePath } from './state/version-file.ts';
import { chooseVersions, pointedAt, type Wanted } from './which.ts';

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
  const { read } = await shelf;
  const pointers = await readPointers(read, names.map(currentPath));
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
  const pointers = await readPointers(shelf.read, [currentPath(name)]);
  const pointer = pointedAt(shelf, name, pointers.get(currentPath(name)));
  const files = await shelf.read(numbers.map((v) => valuePath(name, v)));
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

async function openAll(
  shelf: Shelf,
  wanted: readonly Wanted[],
  identity: Identity,
  notes: string[],
): Promise<Published[]> {
  const chosen = await chooseVersions(shelf, wanted, notes);
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
