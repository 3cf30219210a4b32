/** What the state branch holds at one fetched commit. */
import { KeyturnError } from '../errors.ts';
import type { Oid, StateRepository, Tip } from '../git/contract.ts';
import type { Identity } from './identity.ts';
import { type Folded, fold } from './journal.ts';

/** Folders that keyturn writes; nothing else of the tree is looked at. */
export const listTip = (repository: StateRepository, tip: Tip): Promise<Map<string, Oid>> =>
  repository.list(tip, ['state', 'values', 'requests']);

/** The values alone, which are as many as everything else together is little. */
export const listValues = (repository: StateRepository, tip: Tip): Promise<Map<string, Oid>> =>
  repository.list(tip, ['values']);

/** The files of one fetched commit by path; those of values are listed once one is asked for, as few runs do. */
export class TipFiles {
  readonly #repository: StateRepository;
  readonly #tip: Tip;
  readonly #listed: ReadonlyMap<string, Oid>;
  #values: Promise<ReadonlyMap<string, Oid>> | undefined;

  constructor(repository: StateRepository, tip: Tip, listed: ReadonlyMap<string, Oid>) {
    this.#repository = repository;
    this.#tip = tip;
    this.#listed = listed;
  }

  /** Paths below a `folder` of `requests/`. */
  below(folder: string): string[] {
    return [...this.#listed.keys()].filter((path) => path.startsWith(`${folder}/`));
  }

  /** Throws KeyturnError (exit 3) for a file that is not there, and (exit 75) where git cannot tell. */
  async read(path: string): Promise<Uint8Array> {
    const blob = this.#listed.get(path) ?? (await this.#valueAt(path));
    if (blob === undefined)
      throw new KeyturnError(path, `is not in ${this.#repository.place}`, {
        hint: 'somebody removed it; restore it from the history of the branch',
        exit: 3,
      });
    return bytesOf(await this.#repository.read([blob]), blob, path);
  }

  async #valueAt(path: string): Promise<Oid | undefined> {
    if (!path.startsWith('values/')) return undefined;
    const values = this.#values ?? listValues(this.#repository, this.#tip);
    this.#values = values;
    // no answer is asked for again, not remembered
    values.catch(() => {
      if (this.#values === values) this.#values = undefined;
    });
    return (await values).get(path);
  }
}

/** The folded journal and every path but those of values. Throws KeyturnError as `fold` does, and (exit 3) for values whose state is gone. */
export async function readTip(
  repository: StateRepository,
  tip: Tip,
  identity: Identity,
): Promise<{ folded: Folded; files: Map<string, Oid> }> {
  const files = await repository.list(tip, ['state', 'requests']);
  const journal = [...files].filter(([path]) => path.startsWith('state/'));
  if (journal.length === 0 && (await listValues(repository, tip)).size > 0)
    throw new KeyturnError('state', `${repository.place} has values but no state`, {
      hint: 'somebody removed state/; restore it from the history of the branch',
      exit: 3,
    });
  const blobs = await repository.read(journal.map(([, blob]) => blob));
  const bytes = new Map(journal.map(([path, blob]) => [path, bytesOf(blobs, blob, path)]));
  return { folded: await fold(bytes, identity), files };
}

function bytesOf(blobs: ReadonlyMap<Oid, Uint8Array>, blob: Oid, path: string): Uint8Array {
  const bytes = blobs.get(blob);
  if (!bytes) throw new KeyturnError(path, 'could not be read from the fetched commit', { exit: 75 });
  return bytes;
}
