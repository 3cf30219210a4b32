/** `values/<secret name>/<v>.age`: one version of one secret, written once; and the `current` beside it. */

import { damaged } from '../age/age.ts';
import { KeyturnError } from '../errors.ts';
import { hostLabel } from '../manifests/hosts.ts';
import type { Secret } from '../secret.ts';
import type { Identity } from './identity.ts';
import type { Binding, SecretRecord } from './model.ts';
import { misplaced, open, seal } from './sealed.ts';
import type { Signer } from './signing.ts';
import {
  contentsOf,
  isOf,
  type Owner,
  type VersionContents,
  versionContents,
  versionProblem,
} from './version-json.ts';

/** Which version of which secret a file holds; the file says so inside, under its signature. */
export interface VersionPlace extends Owner {
  name: string;
  v: number;
}

export type SealedVersion = VersionContents & Owner;

export interface OpenedVersion extends Pick<VersionPlace, 'name' | 'v'> {
  binding: Binding;
  issuedAt: string;
  value: Secret;
  /** Everything but the value, e.g. `username`; not secret. */
  fields: Record<string, string>;
  /** False: read without a trust line, so nobody vouches for it. */
  verified: boolean;
  /** Who signed it, or, unverified, who is said to have. */
  kid: string;
}

/** The file of one version: signed, the length of its value hidden (`seal`), encrypted to `recipients`. */
export function sealVersion(
  version: SealedVersion,
  recipients: string[],
  signer: Signer,
): Promise<Uint8Array> {
  return seal(versionContents(version), { recipients, signer });
}

/**
 * One version, verified to be the expected one; a reader does not know whose it is beyond the name. Throws what `open`
 * of `sealed.ts` throws. Readers that know nobody's signature pass `requireSignature: false` and must say that
 * `verified` is false.
 */
export async function openVersion(
  bytes: Uint8Array,
  { name, v, ...owner }: VersionPlace | (Pick<VersionPlace, 'name' | 'v'> & { [K in keyof Owner]?: never }),
  identity: Identity,
  place: string,
  options: { requireSignature?: boolean } = {},
): Promise<OpenedVersion> {
  const { envelope, verified, kid } = await open(bytes, {
    ...options,
    identity,
    place,
    expect: { purpose: 'version', name, v },
  });
  if (versionProblem(envelope) !== null) throw damaged(place, 'does not hold what keyturn writes');
  if (owner.uid !== undefined && !isOf(envelope, owner))
    throw misplaced(place, 'belongs to another secret of that name, or another repository');
  return { ...contentsOf(envelope), verified, kid };
}

/** Path of a version's file. Throws KeyturnError for a name that cannot be a folder of its own. */
export function valuePath(name: string, v: number): string {
  return `${folder(name)}/${v}.age`;
}

/** Path of the one line that names the promoted version. */
export function currentPath(name: string): string {
  return `${folder(name)}/current`;
}

/** What `current` holds. */
export const formatCurrent = (v: number): Uint8Array => Buffer.from(`${v}\n`);

/** The version that a `current` names: exactly one number and a line feed. */
export function parseCurrent(bytes: Uint8Array, place: string): number {
  const line = Buffer.from(bytes.subarray(0, 16)).toString('latin1');
  if (!/^[1-9]\d{0,8}\n$/.test(line)) throw damaged(place, 'does not hold one version number');
  return Number(line);
}

/** Path of the list that says which of several hosts has which version: a secret's folder cannot have this name. */
export const hostsPath = (name: string): string => `${folder(name)}/current@hosts`;

/** What `current@hosts` holds: `web-1 5`, a host a line; `web-2 4 or 5` where the answer to a change was lost. */
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

/** The list as it becomes, where that differs. */
export function hostPointers(
  name: string,
  before: SecretRecord | undefined,
  after: SecretRecord,
): { path: string; bytes: Uint8Array | null }[] {
  const [was, is] = [formatHosts(before), formatHosts(after)];
  return was === is ? [] : [{ path: hostsPath(name), bytes: is === '' ? null : Buffer.from(is) }];
}

/** A part called `current` or `8.age` would be a file and a folder at once. */
function folder(name: string): string {
  const reserved = /^(\.{0,2}|current|\d+\.age)$/;
  if (name.split('/').some((part) => reserved.test(part) || /[\\\p{Cc}]/u.test(part))) {
    throw new KeyturnError('secret name', 'has a part that cannot be a folder below values/', {
      hint: 'avoid empty parts, `.`, `..`, `current`, `<number>.age`, backslashes and control characters',
    });
  }
  return `values/${name}`;
}
