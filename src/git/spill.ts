/**
 * Refs beside the branch, for what must not be lost when the branch refuses a push (protocol §7.4). Each holds one
 * file and has a name of its own, so that nobody can be there first.
 */
import type { Objects } from './batch.ts';
import { type Authorship, writeCommit } from './commit.ts';
import { listFiles, readBlobs } from './objects.ts';
import { type Git, text } from './plumbing.ts';
import { sentence } from './refusals.ts';

export interface SideRefs {
  /** Null once the remote has it; else why not. Never throws. */
  put(name: string, bytes: Uint8Array): Promise<string | null>;
  /** Every file whose ref's name begins so; unreadable ones are left out. */
  find(prefix: string): Promise<Uint8Array[]>;
  drop(prefix: string): Promise<void>;
}

const folder = 'refs/heads/keyturn-spill/';
const file = 'values/spill.age';

export function sideRefs(
  git: Git,
  objects: Objects,
  {
    remote,
    who,
    random,
    timeout,
  }: {
    remote: string | null;
    who: Authorship;
    random: (n: number) => Uint8Array;
    timeout: number;
  },
): SideRefs {
  const call = { network: timeout };
  const refs = async (prefix: string): Promise<string[]> => {
    if (remote === null) return [];
    const answer = await git.run(['ls-remote', '--refs', remote, `${folder}${prefix}*`], call);
    return text(answer)
      .split('\n')
      .flatMap((line) => line.split('\t')[1] ?? []);
  };
  return {
    async put(name, bytes) {
      if (remote === null) return 'there is no remote';
      try {
        const publication = {
          base: null,
          writes: [{ path: file, bytes }],
          subject: 'keyturn: spill',
          body: '',
        };
        const commit = await writeCommit(git, publication, who, random);
        const args = ['push', '--porcelain', '--no-verify', remote, `${commit}:${folder}${name}`];
        const sent = sentence(await git.run(args, call));
        return sent.r === 'sent' ? null : sent.detail;
      } catch {
        return 'git failed';
      }
    },
    async find(prefix) {
      const found: Uint8Array[] = [];
      for (const ref of await refs(prefix)) {
        const pin = ref.replace(/^refs\/heads\//, 'refs/keyturn/');
        const fetch = ['fetch', '--verbose', '--no-tags', '--no-write-fetch-head', '--refmap=', '--depth=1'];
        const answer = await git.run([...fetch, remote ?? '', `+${ref}:${pin}`], call);
        if (answer.code !== 0) continue;
        const commit = text(await git.run(['rev-parse', '--verify', `${pin}^{commit}`]));
        const blobs = await readBlobs(objects, [...(await listFiles(git, commit, ['values'])).values()]);
        found.push(...blobs.values());
        await git.run(['update-ref', '-d', pin]);
      }
      return found;
    },
    async drop(prefix) {
      const gone = await refs(prefix);
      if (remote !== null && gone.length > 0)
        await git.run(['push', '--porcelain', '--no-verify', remote, ...gone.map((ref) => `:${ref}`)], call);
    },
  };
}
