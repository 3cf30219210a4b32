/** One commit by plumbing on a fetched base, without worktree or index (protocol G1, G2). */
import { KeyturnError } from '../errors.ts';
import type { Oid, Publication } from './contract.ts';
import { writeObjects } from './objects.ts';
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
  const words = message(publication, random);
  const by = await peopleOf(git, authorship);
  const { commit, tree } = await writeObjects(git, publication, { ...by, message: words });
  if (!authorship.sign) return commit;
  const parent = publication.base === null ? [] : ['-p', publication.base];
  const answer = await git.run(['commit-tree', '-S', ...parent, '-F', '-', tree], {
    input: words,
    env: authorship.env,
  });
  if (answer.code !== 0)
    throw new KeyturnError('git commit', `could not be signed: ${lastWords(answer.err)}`, {
      hint: 'commit.gpgSign is on: check user.signingKey and gpg.format, or `git config commit.gpgSign false`',
    });
  return text(answer);
}

interface People {
  author: string;
  committer: string;
}

const asked = new WeakMap<Authorship, Promise<People>>();

/** `Ada <ada@example.org>` as git would write it, asked once for all commits. Throws a KeyturnError. */
async function peopleOf(git: Git, authorship: Authorship): Promise<People> {
  const ident = async (role: string): Promise<string> => {
    const answer = await git.run(['var', `GIT_${role}_IDENT`], { env: authorship.env });
    return text(done(answer, 'git identity')).replace(/ \d+ [+-]\d{4}$/, '');
  };
  const ask = async (): Promise<People> => {
    const [author, committer] = await Promise.all([ident('AUTHOR'), ident('COMMITTER')]);
    return { author, committer };
  };
  const people = asked.get(authorship) ?? ask();
  asked.set(authorship, people);
  return people;
}
