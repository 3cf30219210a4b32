/** Documents -> manifests of the written form, by the JSON Schemas that editors use too. */
import type { ErrorObject } from 'ajv';
import type { ManifestDocument } from './parse.ts';
import type { Problems } from './problems.ts';
import { explain } from './schema-words.ts';
import { didYouMean } from './suggest.ts';
import type { Kind, Validators } from './validators.ts';
import type { WrittenManifest } from './written.ts';

export const apiVersion = 'keyturn/v1';

/** In the order in which they are named to people. */
const kinds: readonly Kind[] = ['Project', 'Target', 'Role', 'RotatedSecret'];

const isKind = (word: unknown): word is Kind => kinds.some((kind) => kind === word);

export interface Manifest<Written extends WrittenManifest = WrittenManifest> {
  document: ManifestDocument;
  written: Written;
}

let loaded: Promise<Validators> | undefined;

/** `keyturn/v2` and later: written for a newer keyturn. */
export function isFuture(document: ManifestDocument): boolean {
  const version = (document.value as { apiVersion?: unknown } | null)?.apiVersion;
  const generation = typeof version === 'string' ? /^keyturn\/v([1-9]\d{0,5})/.exec(version)?.[1] : undefined;
  return generation !== undefined && (Number(generation) > 1 || version !== apiVersion);
}

/** What to say of a document that `isFuture`. */
export const future = {
  what: 'is written for a newer keyturn',
  hint: `this one reads ${apiVersion}: upgrade it with npm install keyturn@latest`,
};

/** The manifest, or undefined after everything wrong with it has been reported, each mistake once. */
export async function readManifest(
  document: ManifestDocument,
  problems: Problems,
): Promise<Manifest | undefined> {
  const { value, subject } = document;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    problems.add(
      document.at(''),
      subject,
      'a manifest must be a map',
      'write apiVersion, kind, metadata and spec',
    );
    return undefined;
  }
  const { apiVersion: version, kind } = value as { apiVersion?: unknown; kind?: unknown };
  if (isFuture(document)) {
    problems.add(document.at('/apiVersion'), subject, future.what, future.hint);
    return undefined;
  }
  if (version !== apiVersion) {
    const what = version === undefined ? 'apiVersion is missing' : 'apiVersion is not one of keyturn';
    problems.add(document.at('/apiVersion'), subject, what, `write apiVersion: ${apiVersion}`);
    return undefined;
  }
  if (!isKind(kind)) {
    const what = kind === undefined ? 'kind is missing' : 'there is no such kind';
    const hint = didYouMean(typeof kind === 'string' ? kind : '', kinds, `write one of ${kinds.join(', ')}`);
    problems.add(document.at('/kind'), subject, what, hint);
    return undefined;
  }
  loaded ??= import('./validators.ts').then(({ loadValidators }) => loadValidators());
  const validate = (await loaded)[kind];
  if (validate(value)) return { document, written: value as WrittenManifest };
  const errors: ErrorObject[] = validate.errors ?? [];
  for (const { pointer, what, hint } of explain(errors))
    problems.add(document.at(pointer), subject, what, hint);
  return undefined;
}
