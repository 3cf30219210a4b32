/** Which files are manifests, and how to read them. */
import { type Dirent, lstatSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { join, sep } from 'node:path';
import { KeyturnError } from '../errors.ts';
import type { ManifestFile } from './parse.ts';
import type { Problems } from './problems.ts';
import { attempt, readText } from './texts.ts';

const top = (file: string) => ({ file, line: 1, column: 1 });

/** Whether `path` is `folder` or below it. Both must be real paths. */
export const isBelow = (folder: string, path: string): boolean =>
  path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);

/**
 * `keyturn.yaml` and every `*.yaml` and `*.yml` below `manifests/`, sorted by path. Paths are relative to
 * `root`, with slashes. What is no file below `root` is reported and left out; what cannot be read, once it is asked for.
 * Throws KeyturnError where there is no `keyturn.yaml`.
 */
export function findManifests(root: string, problems: Problems): ManifestFile[] {
  const inside = attempt(() => realpathSync(root)) ?? root;
  const look: Look = { root, inside, problems, files: [] };
  addIfAllowed(look, 'keyturn.yaml');
  if (attempt(() => lstatSync(join(root, 'manifests'))) !== undefined) walk(look, 'manifests');
  return look.files.sort((a, b) => (a.path === b.path ? 0 : a.path < b.path ? -1 : 1));
}

interface Look {
  root: string;
  /** `root` without links. */
  inside: string;
  problems: Problems;
  files: ManifestFile[];
}

function walk(look: Look, folder: string): void {
  const { root, problems } = look;
  if (lstatSync(join(root, folder)).isSymbolicLink()) {
    problems.add(
      top(folder),
      folder,
      'is a symbolic link',
      'make it a folder: manifests are not looked for behind links',
    );
    return;
  }
  if (!statSync(join(root, folder)).isDirectory()) {
    problems.add(top(folder), folder, 'is not a folder', 'keep manifests as files below manifests/');
    return;
  }
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) walk(look, path);
    else if (/\.ya?ml$/.test(entry.name)) addIfAllowed(look, path, entry);
    else if (entry.isSymbolicLink() && attempt(() => statSync(join(root, path)))?.isDirectory()) {
      walk(look, path);
    }
  }
}

function addIfAllowed(look: Look, path: string, entry?: Dirent): void {
  const say = (what: string, hint: string): void => look.problems.add(top(path), path, what, hint);
  const file = join(look.root, path);
  // only what may be a link can lead elsewhere: the folders on the way here are none
  if (entry?.isFile() !== true) {
    const real = attempt(() => realpathSync(file));
    if (real === undefined) {
      if (path === 'keyturn.yaml')
        throw new KeyturnError(path, 'not found here', {
          hint: 'run keyturn init, or change to the repository',
        });
      say('is a link to nothing', 'restore what it points to, or remove it');
      return;
    }
    if (!isBelow(look.inside, real)) {
      say('is a link that leaves the repository', 'put the file itself into the repository');
      return;
    }
    if (!statSync(real).isFile()) {
      say('is not a file', 'rename the folder, or remove it');
      return;
    }
  }
  look.files.push({
    path,
    location: file,
    text: () => {
      const text = readText(file);
      if (typeof text === 'string') return text;
      say(text.what, text.hint);
      return undefined;
    },
  });
}
