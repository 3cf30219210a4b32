/** One commit by plumbing on a fetched base, in an index of its own (protocol G1, G2). */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Oid, Publication } from './contract.ts';
import { writeBlobs } from './objects.ts';
import { done, type Git, text } from './plumbing.ts';

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
  const tree = await writeTree(git, publication);
  const parent = publication.base === null ? [] : ['-p', publication.base];
  const sign = authorship.sign ? ['-S'] : ['--no-gpg-sign'];
  const answer = await git.feed(
    ['commit-tree', ...sign, ...parent, '-F', '-', tree],
    message(publication, random),
    { env: authorship.env },
  );
  return text(done(answer, 'git commit'));
}

async function writeTree(git: Git, publication: Publication): Promise<Oid> {
  const kept = publication.writes.flatMap((write) =>
    write.bytes === null ? [] : [{ path: write.path, bytes: write.bytes }],
  );
  const oids = await writeBlobs(
    git,
    kept.map((write) => write.bytes),
  );
  const zero = '0'.repeat(publication.base?.length ?? oids[0]?.length ?? 40);
  const removals = publication.writes.filter((write) => write.bytes === null);
  const lines = [
    // removals first, so that a folder may take the place of a file
    ...removals.map((write) => `0 ${zero}\t${write.path}\0`),
    ...kept.map((write, index) => `100644 ${oids[index]}\t${write.path}\0`),
  ];
  const scratch = await mkdtemp(join(tmpdir(), 'keyturn-index-'));
  try {
    const env = { GIT_INDEX_FILE: join(scratch, 'index') };
    const start = publication.base === null ? ['--empty'] : [publication.base];
    done(await git.feed(['read-tree', ...start], '', { env }), 'git index');
    done(await git.feed(['update-index', '-z', '--index-info'], lines.join(''), { env }), 'git index');
    return text(done(await git.feed(['write-tree'], '', { env }), 'git tree'));
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
