/** Single files of somebody else's repository, for consumers without a clone: one commit, the blobs asked for, nothing kept. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KeyturnError } from '../errors.ts';
import { conceal } from '../redact.ts';
import { listFiles, readBlobs } from './objects.ts';
import { createGit, done } from './plumbing.ts';
import { unreadable } from './refusals.ts';

export interface Foreign {
  /** For messages, without the credentials that the address may carry. */
  place: string;
  /** The files among `paths` that are there. */
  read(paths: readonly string[]): Promise<Map<string, Uint8Array>>;
}

/**
 * Gives `work` the newest commit of `ref` at `url`. Servers that can (partial clone) send only the files that are
 * read. Throws KeyturnError when it cannot be reached; the scratch repository is gone afterwards, whatever happens.
 */
export async function withForeign<T>(
  options: { url: string; ref: string | undefined; env: NodeJS.ProcessEnv; timeout?: number },
  work: (foreign: Foreign) => Promise<T>,
): Promise<T> {
  const { url, env, timeout = 30_000 } = options;
  const ref = options.ref ?? 'HEAD';
  const place = `${withoutCredentials(url)} (${ref})`;
  if (url.startsWith('-') || ref.startsWith('-'))
    throw new KeyturnError(place, 'is no address of a repository', {
      hint: 'write an address as for git clone',
    });
  const folder = await mkdtemp(join(tmpdir(), 'keyturn-read-'));
  try {
    const git = createGit(folder, env);
    const call = { network: timeout };
    for (const args of [
      ['init', '--quiet', '--bare'],
      ['config', 'remote.origin.url', url],
      ['config', 'remote.origin.promisor', 'true'],
      ['config', 'remote.origin.partialclonefilter', 'blob:none'],
    ])
      done(await git.run(args), place);
    const how = ['--verbose', '--depth=1', '--no-tags', '--filter=blob:none'];
    const answer = await git.run(['fetch', ...how, 'origin', `+${ref}:refs/keyturn/read`], call);
    if (answer.code !== 0) {
      if (/couldn't find remote ref/i.test(answer.err))
        throw new KeyturnError(place, 'there is no such ref', {
          hint: 'name the branch that holds the values with --ref',
        });
      throw unreadable(place, answer);
    }
    return await work({
      place,
      read: async (paths) => {
        const listed = await listFiles(git, 'refs/keyturn/read', [...paths]);
        const blobs = await readBlobs(git, [...listed.values()]);
        return new Map([...listed].map(([path, blob]) => [path, blobs.get(blob) ?? new Uint8Array()]));
      },
    });
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** `https://user:token@host/…` without the middle, which no message may repeat from now on. */
function withoutCredentials(url: string): string {
  const found = /^([a-z+]+:\/\/)([^@/]+)@/i.exec(url);
  if (!found) return url;
  const [all, scheme = '', login = ''] = found;
  const [, token] = login.split(':');
  conceal(token ?? login);
  return `${scheme}${url.slice(all.length)}`;
}
