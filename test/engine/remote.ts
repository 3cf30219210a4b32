/** A remote ref in memory with git's semantics: content-addressed blobs, commits, compare-and-swap pushes. */
import { createHash } from 'node:crypto';
import { KeyturnError } from '../../src/errors.ts';
import type { Publication, PublishOutcome, StateRepository, Tip } from '../../src/git/contract.ts';
import type { Hand } from './scheduler.ts';

interface Commit {
  parent: Tip;
  tree: ReadonlyMap<string, string>;
}

export class MemoryRemote {
  tip: Tip = null;
  /** Pushes that reached the ref. */
  pushes = 0;
  /** Sent, not answered and not yet arrived: the scheduler may let them arrive later. */
  inFlight: string[] = [];
  #commits = new Map<string, Commit>();
  /** By the SHA-256 of their bytes, as in the digests of records. */
  #blobs = new Map<string, Uint8Array>();

  fork(): MemoryRemote {
    const copy = new MemoryRemote();
    copy.tip = this.tip;
    copy.#commits = new Map(this.#commits);
    copy.#blobs = new Map(this.#blobs);
    return copy;
  }

  blob(id: string): Uint8Array {
    const bytes = this.#blobs.get(id);
    if (!bytes) throw new Error(`no blob ${id}`);
    return bytes;
  }

  tree(tip: Tip): ReadonlyMap<string, string> {
    return tip === null ? new Map() : (this.#commits.get(tip)?.tree ?? new Map());
  }

  commit({ base, writes }: Publication): string {
    const tree = new Map(this.tree(base));
    for (const { path, bytes } of writes) {
      if (bytes === null) {
        tree.delete(path);
        continue;
      }
      const id = createHash('sha256').update(bytes).digest('hex');
      this.#blobs.set(id, bytes);
      tree.set(path, id);
    }
    const id = `commit-${this.#commits.size + 1}`;
    this.#commits.set(id, { parent: base, tree });
    return id;
  }

  /** Moves the ref to `commit` if it still is at the commit's parent. */
  push(commit: string): PublishOutcome {
    if (this.#commits.get(commit)?.parent !== this.tip) return { r: 'moved', tip: this.tip };
    this.tip = commit;
    this.pushes += 1;
    return { r: 'published', tip: commit };
  }
}

/** One runner's view of the remote: every call that would use the network is in the scheduler's hand. */
export function repositoryOf(remote: MemoryRemote, hand: Hand): StateRepository {
  const unknown: PublishOutcome = { r: 'unknown', detail: 'the remote does not answer' };
  return {
    place: 'origin (refs/heads/main)',
    fetch: () =>
      hand.act('fetch', {
        ok: () => remote.tip,
        unreachable: () => {
          throw new KeyturnError('origin', 'cannot be reached', { exit: 75 });
        },
      }),
    list: async (tip, folders) =>
      new Map([...remote.tree(tip)].filter(([path]) => folders.some((f) => path.startsWith(`${f}/`)))),
    read: async (ids) => new Map(ids.map((id) => [id, remote.blob(id)])),
    publish: async (publication) => {
      const commit = remote.commit(publication);
      const sent = await hand.act<PublishOutcome>('publish', {
        ok: () => remote.push(commit),
        'applied, no answer': () => {
          remote.push(commit);
          return unknown;
        },
        'not applied, no answer': () => unknown,
        'arrives later': () => {
          remote.inFlight.push(commit);
          return unknown;
        },
        refused: () => ({ r: 'refused', why: 'forbidden', detail: 'no rights' }),
      });
      // it is in for good, and by the time that the ref is looked at somebody may have built on it
      if (sent.r !== 'published') return sent;
      return hand.act<PublishOutcome>('look', { ok: () => ({ r: 'published', tip: remote.tip ?? commit }) });
    },
    followTip: async () => null,
  };
}
