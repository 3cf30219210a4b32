/** `values/<secret name>/<v>.age`: one version of one secret, written once; and the `current` beside it. */

import { damaged } from '../age/age.ts';
import { KeyturnError } from '../errors.ts';
import { hostLabel } from '../manifests/hosts.ts';
import { Secret } from '../secret.ts';
import type { Identity } from './identity.ts';
import type { Binding, SecretRecord, VersionFields } from './model.ts';
import { binding, idPattern, instant } from './record-shape.ts';
import { open, seal } from './sealed.ts';
import { mapOf, objectOf, oneOf, text, whole } from './shape.ts';
import type { Signer } from './signing.ts';

/** Which version of which secret a file holds; the file says so inside, under its signature. */
export interface VersionPlace {
  /** The journal's lineage. */
  repo: string;
  uid: string;
  name: string;
  v: number;
}

export interface SealedVersion extends VersionPlace {
  /** Where the credential may be sent. */
  binding: Binding;
  /** ISO time. */
  issuedAt: string;
  fields: VersionFields;
}

export interface OpenedVersion extends VersionPlace {
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

/** Bytes to which plaintexts are padded: values of 1 to about 100 characters look alike. */
const padding = 256;

const shape = objectOf<
  Record<
    'fmt' | 'purpose' | 'repo' | 'uid' | 'name' | 'v' | 'binding' | 'value' | 'fields' | 'issuedAt' | 'pad',
    unknown
  >
>({
  fmt: whole(1),
  purpose: oneOf('version'),
  repo: text(idPattern),
  uid: text(idPattern),
  name: text(/./),
  v: whole(1),
  binding,
  value: text(),
  fields: mapOf(/./, text()),
  issuedAt: instant,
  pad: text(/^0*$/),
});

/** The file of one version: signed, padded, encrypted to `recipients`. */
export function sealVersion(
  version: SealedVersion,
  recipients: string[],
  signer: Signer,
): Promise<Uint8Array> {
  const { repo, uid, name, v, issuedAt } = version;
  const { value, fields } = version.fields;
  const contents = {
    purpose: 'version' as const,
    repo,
    uid,
    name,
    v,
    binding: version.binding,
    issuedAt,
    value,
    fields,
  };
  return seal(contents, { recipients, signer, padTo: padding });
}

/**
 * One version, verified to be the expected one. Throws what `open` of `sealed.ts` throws. Readers that know
 * nobody's signature pass `requireSignature: false` and must say that `verified` is false.
 */
export async function openVersion(
  bytes: Uint8Array,
  expect: Partial<VersionPlace> & Pick<VersionPlace, 'name' | 'v'>,
  identity: Identity,
  place: string,
  options: { requireSignature?: boolean } = {},
): Promise<OpenedVersion> {
  const { envelope, verified, kid } = await open(bytes, {
    ...options,
    identity,
    place,
    expect: { purpose: 'version', ...expect },
  });
  if (shape(envelope, '') !== null) throw damaged(place, 'does not hold what keyturn writes');
  const { value, ...rest } = envelope as unknown as VersionPlace &
    Omit<OpenedVersion, 'value'> & { value: string };
  const { repo, uid, name, v, issuedAt, fields } = rest;
  return {
    repo,
    uid,
    name,
    v,
    binding: rest.binding,
    issuedAt,
    value: new Secret(value),
    fields,
    verified,
    kid,
  };
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
