import { lstat, readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import pLimit from 'p-limit';
import { KeyturnError } from '../errors.ts';
import type { ManifestFile } from './parse.ts';
import type { Problems } from './problems.ts';

/** More than any person writes; less than it takes to keep a parser busy. */
const largest = 1024 * 1024;

const top = (file: string) => ({ file, line: 1, column: 1 });

/** Whether `path` is `folder` or below it. Both must be real paths. */
export const isBelow = (folder: string, path: string): boolean =>
  path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);

/**
 * `keyturn.yaml` and every `*.yaml` and `*.yml` below `manifests/`, sorted by path. Paths are relative to
 * `root`, with slashes. What cannot be read is reported and left out.
 * Throws KeyturnError where there is no `keyturn.yaml`.
 */
export async function findManifests(root: string, problems: Problems): Promise<ManifestFile[]> {
  const inside = await realpath(root).catch(() => root);
  const paths: string[] = [];
  if (await mayRead(root, 'keyturn.yaml', inside, problems)) paths.push('keyturn.yaml');
  if ((await lstat(join(root, 'manifests')).catch(() => undefined)) !== undefined) {
    await walk(root, 'manifests', inside, problems, paths);
  }
  const limit = pLimit(32);
  const files = await Promise.all(paths.map((path) => limit(() => read(root, path, problems))));
  return files
    .filter((file) => file !== undefined)
    .toSorted((a, b) => (a.path === b.path ? 0 : a.path < b.path ? -1 : 1));
}

async function walk(
  root: string,
  folder: string,
  inside: string,
  problems: Problems,
  paths: string[],
): Promise<void> {
  if ((await lstat(join(root, folder))).isSymbolicLink()) {
    problems.add(
      top(folder),
      folder,
      'is a symbolic link',
      'make it a folder: manifests are not looked for behind links',
    );
    return;
  }
  if (!(await stat(join(root, folder))).isDirectory()) {
    problems.add(top(folder), folder, 'is not a folder', 'keep manifests as files below manifests/');
    return;
  }
  for (const entry of await readdir(join(root, folder), { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) await walk(root, path, inside, problems, paths);
    else if (/\.ya?ml$/.test(entry.name) && (await mayRead(root, path, inside, problems))) paths.push(path);
    else if (entry.isSymbolicLink() && (await stat(join(root, path)).catch(() => undefined))?.isDirectory()) {
      await walk(root, path, inside, problems, paths);
    }
  }
}

async function mayRead(root: string, path: string, inside: string, problems: Problems): Promise<boolean> {
  const real = await realpath(join(root, path)).catch(() => undefined);
  if (real === undefined) {
    if (path === 'keyturn.yaml') {
      throw new KeyturnError(path, 'not found here', {
        hint: 'run keyturn init, or change to the repository',
      });
    }
    problems.add(top(path), path, 'is a link to nothing', 'restore what it points to, or remove it');
    return false;
  }
  if (!isBelow(inside, real)) {
    problems.add(
      top(path),
      path,
      'is a link that leaves the repository',
      'put the file itself into the repository',
    );
    return false;
  }
  const found = await stat(real);
  if (!found.isFile()) {
    problems.add(top(path), path, 'is not a file', 'rename the folder, or remove it');
    return false;
  }
  if (found.size > largest) {
    problems.add(top(path), path, 'is larger than 1 MiB', 'split it into several files');
    return false;
  }
  return true;
}

async function read(root: string, path: string, problems: Problems): Promise<ManifestFile | undefined> {
  const bytes = await readFile(join(root, path)).catch(() => undefined);
  if (bytes === undefined) {
    problems.add(top(path), path, 'cannot be read', 'check the rights on it');
    return undefined;
  }
  try {
    return { path, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch {
    problems.add(top(path), path, 'is not UTF-8 text', 'save it as UTF-8');
    return undefined;
  }
}
