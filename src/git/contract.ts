/** What the rest of the house may ask of git. Everything is plumbing on fetched objects: no worktree, index or HEAD. */

export type Oid = string;

/** The commit at the state ref, or null while the ref does not exist. */
export type Tip = Oid | null;

export interface Write {
  /** Slash-separated, relative to the top level. */
  path: string;
  /** null removes the path. */
  bytes: Uint8Array | null;
}

export interface Publication {
  base: Tip;
  writes: Write[];
  subject: string;
  body: string;
}

/** Decided by reading the remote, never by an exit code alone (protocol G4). */
export type PublishOutcome =
  | { r: 'published'; tip: Oid }
  /** Somebody else's commit is at the tip and ours is not below it: this push is dead for good. */
  | { r: 'moved'; tip: Tip }
  /** The remote said no (protected branch, no rights, hook). Nothing was written. */
  | { r: 'refused'; why: 'protected' | 'forbidden' | 'hook' | 'other'; detail: string }
  /** The remote cannot be read: it may or may not have the commit. */
  | { r: 'unknown'; detail: string };

export interface StateRepository {
  /** For messages: `origin (refs/heads/main)` or `this repository (refs/heads/main), no remote`. */
  readonly place: string;
  /** Brings the tip's commit here (depth 1 is enough) and returns it. Throws KeyturnError, exit 75, when unreachable. */
  fetch(): Promise<Tip>;
  /** Files below the given folders at a fetched commit: path -> blob. Empty for a null tip. */
  list(tip: Tip, folders: string[]): Promise<Map<string, Oid>>;
  /** Blobs by id, in one go. */
  read(blobs: Oid[]): Promise<Map<Oid, Uint8Array>>;
  /** One commit with a nonce on `base`, pushed with a lease on `base`. Retries the same commit object until decided. */
  publish(publication: Publication): Promise<PublishOutcome>;
  /** Fast-forwards the user's branch if that is safe (G10); says in words what it did or why not, or null if nothing was needed. */
  followTip(tip: Oid): Promise<string | null>;
}
