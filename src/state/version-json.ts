/**
 * What the file of one version says, in as few bytes as leave it plain JSON with a `value`. Of former formats, the first
 * with every field by its name, files are read and no longer written.
 */
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { Secret } from '../secret.ts';
import type { Contents, Envelope } from './envelope.ts';
import type { Binding, VersionFields } from './model.ts';
import { binding, idPattern, instant } from './record-shape.ts';
import { type Check, mapOf, objectOf, oneOf, text, whole } from './shape.ts';

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
  /** ISO time, of which the second is kept. */
  issuedAt: string;
  fields: VersionFields;
}

/** A field of all formats, and what each spells in its own way. */
interface Common extends Omit<VersionContents, 'binding' | 'issuedAt' | 'fields'> {
  fmt: number;
  purpose: 'version';
  value: string;
  fields: Record<string, string>;
}
type First = Common & Owner & { binding: Binding; issuedAt: string; pad: string };
interface Second extends Common {
  issuedAt: string;
  /** Type, host, port, account and TLS, and the rest by name where there is more. */
  binding: unknown[];
  /** Digest of the owner. Who knows that checks it, and nobody else has a use for it. */
  of: string;
}
/** `issuedAt` in seconds since 1970. */
type Third = Omit<Second, 'issuedAt'> & { issuedAt: number };

const common = {
  purpose: oneOf('version'),
  name: text(/./),
  v: whole(1),
  value: text(),
  fields: mapOf(/./, text()),
};

const first = objectOf<First>({
  ...common,
  fmt: whole(1),
  issuedAt: instant,
  repo: text(idPattern),
  uid: text(idPattern),
  binding,
  pad: text(/^0*$/),
});

const brief = {
  ...common,
  of: text(/^[\w-]{22}$/),
  binding: (value: unknown, at: string) => {
    if (!Array.isArray(value)) return at;
    const wrong = binding(bindingOf(value), at);
    return wrong ?? (canonicalize(listOf(bindingOf(value))) === canonicalize(value) ? null : at);
  },
};
/** In seconds, and a time that JavaScript knows. */
const unixTime: Check = (value, at) =>
  whole(0)(value, at) ?? (Number.isNaN(new Date((value as number) * 1000).getTime()) ? at : null);

const second = objectOf<Second>({ ...brief, fmt: whole(2), issuedAt: instant });
const third = objectOf<Third>({ ...brief, fmt: whole(3), issuedAt: unixTime });

const checks = { 1: first, 2: second, 3: third };

/** What is sealed, in the newest format. */
export function versionContents(of: VersionContents & Owner): Contents {
  const { name, v, issuedAt } = of;
  const { value, fields } = of.fields;
  return {
    ...{ fmt: 3, purpose: 'version', of: digestOf(of) },
    ...{ name, v, binding: listOf(of.binding), issuedAt: secondsOf(issuedAt), value, fields },
  };
}

/** Where an envelope is none that `versionContents` makes, or once did, or null. */
export const versionProblem = (envelope: Envelope): string | null =>
  checks[envelope.fmt](envelope, 'version');

/** What a sound envelope says. */
export function contentsOf(
  envelope: Envelope,
): Omit<VersionContents, 'fields'> & { value: Secret; fields: Record<string, string> } {
  const said = envelope as unknown as First | Second | Third;
  const { name, v, value, fields } = said;
  const bound = Array.isArray(said.binding) ? bindingOf(said.binding) : said.binding;
  const issuedAt = typeof said.issuedAt === 'number' ? timeOf(said.issuedAt) : said.issuedAt;
  return { name, v, binding: bound, issuedAt, value: new Secret(value), fields };
}

/** Whether a sound envelope belongs to this owner. */
export function isOf(envelope: Envelope, owner: Owner): boolean {
  const said = envelope as unknown as First | Second | Third;
  if ('of' in said) return said.of === digestOf(owner);
  return said.repo === owner.repo && said.uid === owner.uid;
}

/** Neither a lineage nor a uid holds a space. */
const digestOf = ({ repo, uid }: Owner): string =>
  createHash('sha256').update(`${repo} ${uid}`).digest().subarray(0, 16).toString('base64url');

const secondsOf = (time: string): number => Math.floor(Date.parse(time) / 1000);
const timeOf = (seconds: number): string => new Date(seconds * 1000).toISOString();

function listOf({ type, host, port, account, tls, ...more }: Binding): unknown[] {
  return [type, host, port, account, tls, ...(Object.keys(more).length === 0 ? [] : [more])];
}

function bindingOf([type, host, port, account, tls, more = {}]: unknown[]): Binding {
  return { ...(more as object), type, host, port, account, tls } as Binding;
}
