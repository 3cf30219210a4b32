/**
 * What the file of one version says, in as few bytes as leave it plain JSON with a `value`. Of the first format, with
 * every field by its name, files are read and no longer written.
 */
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { Secret } from '../secret.ts';
import type { Binding, VersionFields } from './model.ts';
import { binding, idPattern, instant } from './record-shape.ts';
import type { Contents, Envelope } from './sealed.ts';
import { mapOf, objectOf, oneOf, text, whole } from './shape.ts';

/** Which secret of which repository: the journal's lineage, and the record. */
export interface Owner {
  repo: string;
  uid: string;
}

export interface VersionContents {
  name: string;
  v: number;
  /** Where the credential may be sent. */
  binding: Binding;
  /** ISO time. */
  issuedAt: string;
  fields: VersionFields;
}

/** A field of both formats, and what each spells in its own way. */
interface Common extends Omit<VersionContents, 'binding' | 'fields'> {
  fmt: number;
  purpose: 'version';
  value: string;
  fields: Record<string, string>;
}
type First = Common & Owner & { binding: Binding; pad: string };
type Second = Common & {
  /** Type, host, port, account and TLS, and the rest by name where there is more. */
  binding: unknown[];
  /** Digest of the owner. Who knows that checks it, and nobody else has a use for it. */
  of: string;
};

const common = {
  purpose: oneOf('version'),
  name: text(/./),
  v: whole(1),
  value: text(),
  fields: mapOf(/./, text()),
  issuedAt: instant,
};

const first = objectOf<First>({
  ...common,
  fmt: whole(1),
  repo: text(idPattern),
  uid: text(idPattern),
  binding,
  pad: text(/^0*$/),
});

const second = objectOf<Second>({
  ...common,
  fmt: whole(2),
  of: text(/^[\w-]{22}$/),
  binding: (value, at) => {
    if (!Array.isArray(value)) return at;
    const wrong = binding(bindingOf(value), at);
    return wrong ?? (canonicalize(listOf(bindingOf(value))) === canonicalize(value) ? null : at);
  },
});

/** What is sealed, in the second format. */
export function versionContents(of: VersionContents & Owner): Contents {
  const { name, v, issuedAt } = of;
  const { value, fields } = of.fields;
  return {
    ...{ fmt: 2, purpose: 'version', of: digestOf(of) },
    ...{ name, v, binding: listOf(of.binding), issuedAt, value, fields },
  };
}

/** Where an envelope is none that `versionContents` makes, or once did, or null. */
export const versionProblem = (envelope: Envelope): string | null =>
  (envelope.fmt === 1 ? first : second)(envelope, 'version');

/** What a sound envelope says. */
export function contentsOf(
  envelope: Envelope,
): Omit<VersionContents, 'fields'> & { value: Secret; fields: Record<string, string> } {
  const { name, v, issuedAt, value, fields, ...rest } = envelope as unknown as First | Second;
  const bound = Array.isArray(rest.binding) ? bindingOf(rest.binding) : rest.binding;
  return { name, v, binding: bound, issuedAt, value: new Secret(value), fields };
}

/** Whether a sound envelope belongs to this owner. */
export function isOf(envelope: Envelope, owner: Owner): boolean {
  const said = envelope as unknown as First | Second;
  if ('of' in said) return said.of === digestOf(owner);
  return said.repo === owner.repo && said.uid === owner.uid;
}

/** Neither a lineage nor a uid holds a space. */
const digestOf = ({ repo, uid }: Owner): string =>
  createHash('sha256').update(`${repo} ${uid}`).digest().subarray(0, 16).toString('base64url');

function listOf({ type, host, port, account, tls, ...more }: Binding): unknown[] {
  return [type, host, port, account, tls, ...(Object.keys(more).length === 0 ? [] : [more])];
}

function bindingOf([type, host, port, account, tls, more = {}]: unknown[]): Binding {
  return { ...(more as object), type, host, port, account, tls } as Binding;
}
