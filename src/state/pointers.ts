/**
 * Which version readers read: `values/<secret name>@current` beside the folder of the versions, and `@hosts` where
 * several hosts have the same value. They stand beside it because a promotion then changes no folder of its own, which
 * git keeps for good each time; they stood in it while the state was of the first formats, and a first push moves them.
 */
import { damaged } from '../age/age.ts';
import type { Write } from '../git/contract.ts';
import { hostLabel } from '../manifests/hosts.ts';
import type { SecretRecord } from './model.ts';
import { valueFolder } from './version-file.ts';

/** Path of the one line that names the promoted version. No name of a secret has an `@`. */
export const currentPath = (name: string): string => `${valueFolder(name)}@current`;

/** Path of the list that says which of several hosts has which version. */
export const hostsPath = (name: string): string => `${valueFolder(name)}@hosts`;

const formerly = (path: string): string =>
  path.replace(/@current$/, '/current').replace(/@hosts$/, '/current@hosts');

/** What a pointer holds: one number and a line feed. */
export const formatCurrent = (v: number): Uint8Array => Buffer.from(`${v}\n`);

/** The version that a `current` names: exactly one number and a line feed. */
export function parseCurrent(bytes: Uint8Array, place: string): number {
  const line = Buffer.from(bytes.subarray(0, 16)).toString('latin1');
  if (!/^[1-9]\d{0,8}\n$/.test(line)) throw damaged(place, 'does not hold one version number');
  return Number(line);
}

/** What the list of hosts holds: `web-1 5`, a host a line; `web-2 4 or 5` where the answer to a change was lost. */
function formatHosts(record: SecretRecord | undefined): string {
  const next = record?.pending?.v;
  return Object.entries(record?.hosts ?? {})
    .flatMap(([target, { v, sent }]) => {
      const has = next !== undefined && sent === 'acknowledged' ? next : v;
      if (has === null) return [];
      const may = next !== undefined && sent === 'unknown' ? ` or ${next}` : '';
      return [`${hostLabel(target)} ${has}${may}\n`];
    })
    .sort()
    .join('');
}

/** The version that a host has, and the one that it may have instead. */
export interface HostVersion {
  v: number;
  or: number | null;
}

/** The versions that hosts have, by the last segment of their targets' names. */
export function parseHosts(bytes: Uint8Array, place: string): Map<string, HostVersion> {
  const lines = Buffer.from(bytes).toString('latin1').split('\n');
  if (lines.pop() !== '') throw damaged(place, 'does not end with a line');
  return new Map(
    lines.map((line) => {
      const [, host, v, or] =
        /^([a-z0-9][a-z0-9._-]*) ([1-9]\d{0,8})(?: or ([1-9]\d{0,8}))?$/.exec(line) ?? [];
      if (host === undefined) throw damaged(place, 'has a line that is no host and version');
      return [host, { v: Number(v), or: or === undefined ? null : Number(or) }];
    }),
  );
}

/** The list of hosts as it becomes, where that differs. */
export function hostPointers(name: string, before: SecretRecord | undefined, after: SecretRecord): Write[] {
  const [was, is] = [formatHosts(before), formatHosts(after)];
  return was === is ? [] : [{ path: hostsPath(name), bytes: is === '' ? null : Buffer.from(is) }];
}

/** Of `paths`, those that are there, by the path of today: `read` is asked for those of former days with them. */
export async function readPointers(
  read: (paths: string[]) => Promise<ReadonlyMap<string, Uint8Array>>,
  paths: readonly string[],
): Promise<Map<string, Uint8Array>> {
  const files = await read(paths.flatMap((path) => [path, formerly(path)]));
  return new Map(
    paths.flatMap((path) => {
      const bytes = files.get(path) ?? files.get(formerly(path));
      return bytes === undefined ? [] : [[path, bytes] as const];
    }),
  );
}

/** What lays the pointers of these records where they stand today. */
export function pointersMoved(records: Iterable<SecretRecord>): Write[] {
  const writes: Write[] = [];
  for (const record of records) {
    const hosts = formatHosts(record);
    if (record.current !== null)
      writes.push({ path: currentPath(record.name), bytes: formatCurrent(record.current) });
    if (hosts !== '') writes.push({ path: hostsPath(record.name), bytes: Buffer.from(hosts) });
  }
  return [...writes, ...writes.map(({ path }) => ({ path: formerly(path), bytes: null }))];
}

/** The secret whose pointer a path is, or undefined. */
export const pointedTo = (path: string): string | undefined =>
  /^values\/(.+)(?:@current|\/current)$/.exec(path)?.[1];
