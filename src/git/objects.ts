/** Reading and writing objects: no worktree, no index, no filters, bytes as they are. */
import { KeyturnError } from '../errors.ts';
import type { Oid, Tip } from './contract.ts';
import { done, type Git } from './plumbing.ts';

/** Regular files below the folders (`''` is the top) at a commit: path -> blob. Empty for a null tip. */
export async function listFiles(git: Git, tip: Tip, folders: string[]): Promise<Map<string, Oid>> {
  const files = new Map<string, Oid>();
  if (tip === null || folders.length === 0) return files;
  const below = folders.includes('') ? [] : folders;
  const listing = await git.feed(['ls-tree', '-r', '-z', '--full-tree', tip, '--', ...below]);
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
  const fields = done(await git.feed([...log, '--', folder]), tip)
    .out.toString()
    .split('\0');
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const oid = fields[at]?.split(' ')[3];
    const path = fields[at + 1];
    if (oid && path) files.set(path, oid);
  }
  return files;
}

/** Blobs by id through one process. Throws when one is not here. */
export async function readBlobs(git: Git, blobs: Oid[]): Promise<Map<Oid, Uint8Array>> {
  const found = new Map<Oid, Uint8Array>();
  const wanted = [...new Set(blobs)];
  if (wanted.length === 0) return found;
  const { out } = done(await git.feed(['cat-file', '--batch'], `${wanted.join('\n')}\n`), 'git objects');
  let at = 0;
  for (const oid of wanted) {
    const end = out.indexOf(0x0a, at);
    const [, type, size] = out.subarray(at, end).toString().split(' ');
    if (type !== 'blob') {
      throw new KeyturnError(oid, type === 'missing' ? 'object is not here' : 'is not a file', {
        hint: 'run `git fsck`; in a partial clone run `git fetch --refetch`',
      });
    }
    const start = end + 1;
    at = start + Number(size);
    found.set(oid, new Uint8Array(out.subarray(start, at)));
    at += 1;
  }
  return found;
}

/**
 * Stores every content as a blob and returns the ids in the same order. One `fast-import` instead of one
 * `hash-object -w` a file: the same objects, unfiltered and fsynced, ten times sooner for a wave.
 */
export async function writeBlobs(git: Git, contents: Uint8Array[]): Promise<Oid[]> {
  if (contents.length === 0) return [];
  const parts: Uint8Array[] = [];
  for (const [index, bytes] of contents.entries()) {
    parts.push(Buffer.from(`blob\nmark :${index + 1}\ndata ${bytes.length}\n`), bytes, Buffer.from('\n'));
  }
  parts.push(Buffer.from(contents.map((_, index) => `get-mark :${index + 1}\n`).join('')));
  parts.push(Buffer.from('done\n'));
  const answer = await git.feed(['fast-import', '--quiet', '--done'], Buffer.concat(parts));
  const oids = done(answer, 'git objects').out.toString().split('\n').filter(Boolean);
  if (oids.length !== contents.length) throw new KeyturnError('git objects', 'fast-import lost a file');
  return oids;
}
