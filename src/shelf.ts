/** Files of one commit of the clone: the newest at the remote, or, where that cannot be reached, of the clone itself. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KeyturnError } from './errors.ts';
import { openRepository } from './git/open.ts';
import { projectRoot } from './here.ts';
import type { Host } from './host.ts';

/** Files of one commit. */
export interface Shelf {
  place: string;
  /** Those among `paths` that are there. */
  read: (paths: readonly string[]) => Promise<Map<string, Uint8Array>>;
  /** Paths of the files below a folder. */
  below: (folder: string) => Promise<string[]>;
}

/** The clone around `cwd`, whose newest commit is on its way; the promise is in an object, to be waited for later. */
export async function fetchShelf(host: Host, notes: string[]): Promise<{ shelf: Promise<Shelf> }> {
  const root = projectRoot(host.cwd);
  const { env, clock, random } = host;
  // git looks around while keyturn.yaml is read, and waits for the remote while age is loaded
  const stateRef = Promise.resolve().then(() => stateRefOf(root));
  const repository = await openRepository(root, { stateRef, env, clock, random });
  const revision = (await stateRef) ?? 'HEAD';
  const fetching = repository.fetch().catch((error: unknown) => {
    if (!(error instanceof KeyturnError)) throw error;
    notes.push(`${error.message}; this is what the clone holds and may be out of date`);
    return repository.commitAt(revision);
  });
  const shelf = fetching.then(
    (tip): Shelf => ({
      place: repository.place,
      read: (paths) => repository.readFiles(tip, paths),
      below: async (folder) => [...(await repository.list(tip, [folder])).keys()],
    }),
  );
  shelf.catch(() => undefined);
  return { shelf };
}

/** A line that may name `state`, by escapes too; a comment cannot. */
const mayNameState = /^(?![ \t]*#).*(?:state|\\)/m;

/**
 * `state.ref`, of which keyturn.yaml mostly says nothing. Then nothing else in it concerns a reader, and to parse and
 * judge it takes as long as all the rest.
 */
async function stateRefOf(root: string): Promise<string | undefined> {
  const text = await readFile(join(root, 'keyturn.yaml'), 'utf8').catch(() => undefined);
  if (text !== undefined && !mayNameState.test(text)) return undefined;
  const { loadProject } = await import('./manifests/project.ts');
  return (await loadProject(root)).stateRef;
}
