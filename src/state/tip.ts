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

export function bytesOf(blobs: ReadonlyMap<Oid, Uint8Array>, blob: Oid, path: string): Uint8Array {
  const bytes = blobs.get(blob);
  if (!bytes) throw new KeyturnError(path, 'could not be read from the fetched commit', { exit: 75 });
  return bytes;
}
