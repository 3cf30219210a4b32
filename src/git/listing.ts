/** Files of commits. What this run has committed itself need not be listed again: the base is known, and what was written. */
import { createHash } from 'node:crypto';
import type { Oid, Publication, Tip } from './contract.ts';
import { listFiles } from './objects.ts';
import type { Git } from './plumbing.ts';

export class Listing {
  readonly #git: Git;
  /** The newest that was asked for or made. */
  #known: { tip: Oid; folders: readonly string[]; files: Map<string, Oid> } | undefined;

  constructor(git: Git) {
    this.#git = git;
  }

  /** Files below the folders at a fetched commit, or at one of `made`: path -> blob. Nobody changes what it gives. */
  async of(tip: Tip, folders: string[]): Promise<Map<string, Oid>> {
    const known = this.#known;
    if (known?.tip === tip && known.folders.join('\0') === folders.join('\0')) return known.files;
    const files = await listFiles(this.#git, tip, folders);
    if (tip !== null) this.#known = { tip, folders, files };
    return files;
  }

  /** `commit` is the base of `publication` with its writes, none of which stands where there was a folder. */
  made(commit: Oid, { base, writes }: Publication): void {
    if (this.#known === undefined || this.#known.tip !== base) return;
    const { folders } = this.#known;
    const files = new Map(this.#known.files);
    const mine = writes.filter(({ path }) => folders.some((folder) => path.startsWith(`${folder}/`)));
    for (const { path, bytes } of mine) if (bytes === null) files.delete(path);
    for (const { path, bytes } of mine) if (bytes !== null) files.set(path, blobId(bytes, commit.length));
    this.#known = { tip: commit, folders, files };
  }
}

/** Git's name for a file's bytes, in a repository whose ids are so long. */
const blobId = (bytes: Uint8Array, length: number): Oid =>
  createHash(length === 64 ? 'sha256' : 'sha1')
    .update(`blob ${bytes.length}\0`)
    .update(bytes)
    .digest('hex');
