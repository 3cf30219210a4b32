/** One commit by plumbing on a fetched base, without worktree or index (protocol G1, G2). */
import { KeyturnError } from '../errors.ts';
import type { Oid, Publication } from './contract.ts';
import { writeTree } from './objects.ts';
import { done, type Git, lastWords, text } from './plumbing.ts';

export interface Authorship {
  /** `commit.gpgSign`; the key and its format are git's business. */
  sign: boolean;
  /** Stands in where neither git's configuration nor the environment names anybody. */
  env: Record<string, string>;
}

/** `subject`, `body` and the nonce that keeps two equal commits apart (T1). */
export function message(publication: Publication, random: (n: number) => Uint8Array): string {
  const nonce = Buffer.from(random(16)).toString('hex');
  const paragraphs = [publication.subject, publication.body.trim(), `Keyturn-Nonce: ${nonce}`];
  return `${paragraphs.filter(Boolean).join('\n\n')}\n`;
}

/** Writes blobs, tree and commit; no ref moves. Throws a KeyturnError when the disk refuses. */
export async function writeCommit(
  git: Git,
  publication: Publication,
  authorship: Authorship,
  random: (n: number) => Uint8Array,
): Promise<Oid> {
  const tree = await writeTree(git, publication.base, publication.writes);
  const parent = publication.base === null ? [] : ['-p', publication.base];
  const sign = authorship.sign ? ['-S'] : ['--no-gpg-sign'];
  const answer = await git.run(['commit-tree', ...sign, ...parent, '-F', '-', tree], {
    input: message(publication, random),
    env: authorship.env,
  });
  if (authorship.sign && answer.code !== 0)
    throw new KeyturnError('git commit', `could not be signed: ${lastWords(answer.err)}`, {
      hint: 'commit.gpgSign is on: check user.signingKey and gpg.format, or `git config commit.gpgSign false`',
    });
  return text(done(answer, 'git commit'));
}
