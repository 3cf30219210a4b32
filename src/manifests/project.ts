/** `keyturn.yaml` alone, for commands that must work while other manifests are wrong or unread. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KeyturnError } from '../errors.ts';
import { toProject } from './defaults.ts';
import type { Project } from './model.ts';
import { parseFile } from './parse.ts';
import { Problems } from './problems.ts';
import { readManifest } from './schema.ts';

/** Throws ManyErrors or KeyturnError when keyturn.yaml declares no valid Project. */
export async function loadProject(root: string): Promise<Project> {
  const path = 'keyturn.yaml';
  const text = await readFile(join(root, path), 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new KeyturnError(path, `cannot be read (${error.code})`, { hint: 'run keyturn init' });
  });
  const problems = new Problems();
  for (const document of parseFile({ path, text: () => text }, problems).documents) {
    const written = (await readManifest(document, problems))?.written;
    if (written?.kind === 'Project' && problems.empty) return toProject(written);
  }
  problems.throwIfAny();
  throw new KeyturnError(path, 'declares no Project', { hint: 'run keyturn init' });
}
