/** Reading and writing objects: no worktree, no index, no filters, bytes as they are. */
import { randomUUID } from 'node:crypto';
import { KeyturnError } from '../errors.ts';
import type { Objects } from './batch.ts';
import type { Oid, Tip, Write } from './contract.ts';
import { done, type Git } from './plumbing.ts';

/** Regular files below the folders (`''` is the top) at a commit: path -> blob. Empty for a null tip. */
export async function listFiles(git: Git, tip: Tip, folders: string[]): Promise<Map<string, Oid>> {
  const files = new Map<string, Oid>();
  if (tip === null || folders.length === 0) return files;
  const below = folders.includes('') ? [] : folders;
  const listing = await git.run(['ls-tree', '-r', '-z', '--full-tree', tip, '--', ...below]);
  for (const entry of done(listing, tip).out.toString().split('\0')) {
    const parts = /^100\d{3} blob ([0-9a-f]+)\t(.+)$/s.exec(entry);
    if (parts?.[1] && parts[2]) files.set(parts[2], parts[1]);
  }
  return files;
}

/** Every file below `folder` that a commit up to `tip` added, as it was then. A shallow clone's history ends early. */
export async function listAdded(git: Git, tip: Tip, folder: string): Promise<Map<string, Oid>> {
  const files = new Map<string, Oid>();
  if (tip === null) return files;
  const log = ['log', '--format=', '--raw', '--no-abbrev', '--no-renames', '--diff-filter=A', '-z', tip];
  const fields = done(await git.run([...log, '--', folder]), tip)
    .out.toString()
    .split('\0');
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const oid = fields[at]?.split(' ')[3];
    const path = fields[at + 1];
    if (oid && path) files.set(path, oid);
  }
  return files;
}

/** Blobs by id. Throws when one is not here. */
export async function readBlobs(objects: Objects, blobs: Oid[]): Promise<Map<Oid, Uint8Array>> {
  const read = [...new Set(blobs)].map(async (oid) => {
    const found = await objects.get(oid);
    if (found?.type === 'blob') return [oid, found.bytes] as const;
    throw new KeyturnError(oid, found === null ? 'object is not here' : 'is not a file', {
      hint: 'run `git fsck`; in a partial clone run `git fetch --refetch`',
    });
  });
  return new Map(await Promise.all(read));
}

/** The regular files among `paths` at a commit, with what is in them. None for a null tip. */
export async function readFiles(
  objects: Objects,
  tip: Tip,
  paths: readonly string[],
): Promise<Map<string, Uint8Array>> {
  const folders = new Map<string, Promise<Map<string, Oid>>>();
  const read = paths.map(async (path) => {
    const parts = path.split('/');
    // git would take them for something relative to where it runs
    if (tip === null || parts.some((part) => /^\.{0,2}$/.test(part))) return [];
    const name = parts.pop() ?? '';
    const folder = parts.join('/');
    const entries = folders.get(folder) ?? filesIn(objects, `${tip}:${folder}`);
    folders.set(folder, entries);
    const blob = (await entries).get(name);
    return blob === undefined ? [] : [[path, blob] as const];
  });
  const found = new Map((await Promise.all(read)).flat());
  const blobs = await readBlobs(objects, [...found.values()]);
  return new Map([...found].map(([path, blob]) => [path, blobs.get(blob) ?? new Uint8Array()]));
}

/** The regular files right in one folder: name -> blob. None where there is no such folder. */
async function filesIn(objects: Objects, tree: string): Promise<Map<string, Oid>> {
  const files = new Map<string, Oid>();
  const found = await objects.get(tree);
  if (found?.type !== 'tree') return files;
  const bytes = Buffer.from(found.bytes);
  const idLength = found.oid.length / 2;
  for (let at = 0; at < bytes.length; ) {
    const [space, zero] = [bytes.indexOf(0x20, at), bytes.indexOf(0, at)];
    const end = zero + 1 + idLength;
    const mode = bytes.toString('latin1', at, space);
    if (mode.startsWith('100'))
      files.set(bytes.toString('utf8', space + 1, zero), bytes.toString('hex', zero + 1, end));
    at = end;
  }
  return files;
}

/**
 * A commit on `base` with these files written and removed, durable and unfiltered, and its tree. One `fast-import`,
 * which touches the folders on the way to what changes and no others, however large the repository is; no index, no ref.
 */
export async function writeObjects(
  git: Git,
  { base, writes }: { base: Tip; writes: readonly Write[] },
  { author, committer, message }: { author: string; committer: string; message: string },
): Promise<{ commit: Oid; tree: Oid }> {
  // fast-import makes commits on branches only; this one is taken back before it is written
  const draft = `refs/keyturn/draft-${randomUUID()}`;
  const words = Buffer.from(message);
  const parts: (Uint8Array | string)[] = [
    `commit ${draft}\nmark :1\nauthor ${author} now\ncommitter ${committer} now\ndata ${words.length}\n`,
    words,
    base === null ? '' : `from ${base}\n`,
  ];
  // removals first, so that a folder may take the place of a file
  for (const { path, bytes } of writes) if (bytes === null) parts.push(`D ${quoted(path)}\n`);
  for (const { path, bytes } of writes)
    if (bytes !== null) parts.push(`M 100644 inline ${quoted(path)}\ndata ${bytes.length}\n`, bytes, '\n');
  parts.push(`\nls :1 ""\nget-mark :1\nreset ${draft}\n\ndone\n`);
  const input = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const args = ['-c', keptWhole, 'fast-import', '--quiet', '--done', '--date-format=now'];
  const answer = done(await git.run(args, { input }), 'git objects');
  const [, tree, commit] = /^040000 tree ([0-9a-f]+)\t\n([0-9a-f]+)\n$/.exec(answer.out.toString()) ?? [];
  if (tree === undefined || commit === undefined)
    throw new KeyturnError('git objects', 'fast-import made no commit');
  return { commit, tree };
}

/** Of a wave, git would make a file of each object and wait for the disk each time; of a few rotations it still does. */
const keptWhole = 'fastimport.unpackLimit=32';

const quoted = (path: string): string =>
  `"${path.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
