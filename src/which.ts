/** Which version a reader means, by what is published beside the values. */
import { KeyturnError } from './errors.ts';
import { hostLabel } from './manifests/hosts.ts';
import type { Shelf } from './shelf.ts';
import {
  currentPath,
  type HostVersion,
  hostsPath,
  parseCurrent,
  parseHosts,
  pointedTo,
  readPointers,
} from './state/pointers.ts';

export interface Wanted {
  name: string;
  /** The promoted one where it is absent. */
  version?: number | undefined;
  /** Of several hosts with one value: the version that this one was left with. */
  host?: string | undefined;
}

/** In the order of `wanted`; what a person should know besides goes to `notes`. */
export async function chooseVersions(
  shelf: Shelf,
  wanted: readonly Wanted[],
  notes: string[],
): Promise<{ name: string; version: number }[]> {
  const unnumbered = wanted.filter(({ version }) => version === undefined);
  const paths = unnumbered.flatMap(({ name }) => [currentPath(name), hostsPath(name)]);
  const pointers = await readPointers(shelf.read, paths);
  for (const { name } of unnumbered) if (!pointers.has(currentPath(name))) await refuseFamily(shelf, name);
  return wanted.map(({ name, version, host }) => {
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
}

/** `spec.hosts` with one value each: the name alone stands for none of them. */
async function refuseFamily(shelf: Shelf, name: string): Promise<void> {
  const prefix = `values/${name}/`;
  const below = (await shelf.below(prefix.slice(0, -1))).filter((path) => path.startsWith(prefix));
  const names = below.flatMap((path) => pointedTo(path) ?? []);
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

/** Throws KeyturnError where nothing was ever promoted. */
export function pointedAt(shelf: Shelf, name: string, pointer: Uint8Array | undefined): number {
  if (pointer) return parseCurrent(pointer, currentPath(name));
  throw new KeyturnError(name, `has no version in ${shelf.place}`, {
    hint: 'keyturn list shows what there is; keyturn apply makes the first version; --ref names another branch',
  });
}
