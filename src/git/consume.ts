/** Single files of somebody else's repository, for consumers without a clone: one commit, the blobs asked for, nothing kept. */
import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KeyturnError } from '../errors.ts';
import { conceal } from '../redact.ts';
import { openObjects } from './batch.ts';
import { listFiles, readFiles } from './objects.ts';
import { createGit, done } from './plumbing.ts';
import { unreadable } from './refusals.ts';

export interface Foreign {
  /** For messages, without the credentials that the address may carry. */
  place: string;
  /** The files among `paths` that are there. */
  read(paths: readonly string[]): Promise<Map<string, Uint8Array>>;
  /** Paths of the files below a folder. */
  below(folder: string): Promise<string[]>;
}

const ours = 'refs/keyturn/read';

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
  const git = createGit(folder, env);
  const objects = openObjects(git);
  try {
    const call = { network: timeout };
    done(await git.run(['init', '--quiet', '--bare']), place);
    await appendFile(join(folder, 'config'), remoteConfig(url));
    const how = ['--verbose', '--depth=1', '--no-tags', '--filter=blob:none'];
    const answer = await git.run(['fetch', ...how, 'origin', `+${ref}:${ours}`], call);
    if (answer.code !== 0) {
      if (/couldn't find remote ref/i.test(answer.err))
        throw new KeyturnError(place, 'there is no such ref', {
          hint: 'name the branch that holds the values with --ref',
        });
      throw unreadable(place, answer);
    }
    return await work({
      place,
      read: (paths) => readFiles(objects, ours, paths),
      below: async (below) => [...(await listFiles(git, ours, [below])).keys()],
    });
  } finally {
    objects.close();
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** A remote that sends blobs when they are asked for. In the file, because an address may hold a token: no argument. */
const remoteConfig = (url: string): string => `[remote "origin"]
	url = "${url.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"
	promisor = true
	partialclonefilter = blob:none
`;

/** `https://user:token@host/…` without the middle, which no message may repeat from now on. */
function withoutCredentials(url: string): string {
  const found = /^([a-z+]+:\/\/)([^@/]+)@/i.exec(url);
  if (!found) return url;
  const [all, scheme = '', login = ''] = found;
  const [, token] = login.split(':');
  conceal(token ?? login);
  return `${scheme}${url.slice(all.length)}`;
}
