/** `values/<secret name>/<v>.age`: one version of one secret, written once. */

import { damaged } from '../age/age.ts';
import { KeyturnError } from '../errors.ts';
import type { Secret } from '../secret.ts';
import type { Identity } from './identity.ts';
import type { Binding } from './model.ts';
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
  return `${valueFolder(name)}/${v}.age`;
}

/**
 * Below which a secret's versions are. Throws KeyturnError where it cannot be a folder: a part called `8.age` would be
 * a file too, and one called `current` once was.
 */
export function valueFolder(name: string): string {
  const reserved = /^(\.{0,2}|current|\d+\.age)$/;
  if (name.split('/').some((part) => reserved.test(part) || /[\\\p{Cc}]/u.test(part))) {
    throw new KeyturnError('secret name', 'has a part that cannot be a folder below values/', {
      hint: 'avoid empty parts, `.`, `..`, `current`, `<number>.age`, backslashes and control characters',
    });
  }
  return `values/${name}`;
}
