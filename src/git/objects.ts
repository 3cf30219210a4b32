/** Reading and writing objects: no worktree, no index, no filters, bytes as they are. */
import { randomUUID } from 'node:crypto';
import { KeyturnError } from '../errors.ts';
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

/** Blobs by id through one process. Throws when one is not here. */
export async function readBlobs(git: Git, blobs: Oid[]): Promise<Map<Oid, Uint8Array>> {
  const found = new Map<Oid, Uint8Array>();
  const wanted = [...new Set(blobs)];
  if (wanted.length === 0) return found;
  const { out } = done(
    await git.run(['cat-file', '--batch'], { input: `${wanted.join('\n')}\n` }),
    'git objects',
  );
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
 * The tree of `base` with these files written and removed, durable and unfiltered: its id. One `fast-import`, which
 * touches the folders on the way to what changes and no others, however large the repository is; no index, no ref.
 */
export async function writeTree(git: Git, base: Tip, writes: readonly Write[]): Promise<Oid> {
  // a commit is the only thing that fast-import makes trees for; this one is never anybody's
  const draft = `refs/keyturn/draft-${randomUUID()}`;
  const parts: (Uint8Array | string)[] = [
    `commit ${draft}\nmark :1\ncommitter keyturn <keyturn@localhost> 0 +0000\ndata 0\n`,
    base === null ? '' : `from ${base}\n`,
  ];
  // removals first, so that a folder may take the place of a file
  for (const { path, bytes } of writes) if (bytes === null) parts.push(`D ${quoted(path)}\n`);
  for (const { path, bytes } of writes)
    if (bytes !== null) parts.push(`M 100644 inline ${quoted(path)}\ndata ${bytes.length}\n`, bytes, '\n');
  const none = '0'.repeat(base?.length ?? 40);
  parts.push(`\nls :1 ""\nreset ${draft}\nfrom ${none}\n\ndone\n`);
  const input = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const answer = done(await git.run(['fast-import', '--quiet', '--done'], { input }), 'git objects');
  const tree = /^040000 tree ([0-9a-f]+)\t/.exec(answer.out.toString())?.[1];
  if (tree === undefined) throw new KeyturnError('git objects', 'fast-import made no tree');
  return tree;
}

const quoted = (path: string): string =>
  `"${path.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
