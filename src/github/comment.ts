/** The one comment that a pull request has of us: made once, changed in place, never anybody else's. */
import { inert } from '../output/markdown.ts';
import { type GithubApi, repositoryPath } from '../output/notify/github-api.ts';
import { Undelivered } from '../output/notify/http.ts';
import { planMarker } from '../output/plan-markdown.ts';

/** GitHub's limit for a comment, in characters. */
export const commentLimit = 65_536;

const perPage = 100;
/** More comments than a person reads. */
const mostPages = 50;

/** First line of the comment of the project in `folder`: there may be several in a repository. */
export const markerOf = (folder: string): string =>
  folder === '' ? planMarker : `<!-- keyturn plan ${inert(folder).replaceAll('--', '&#45;-')} -->`;

export interface CommentPlace {
  /** `owner/name`. */
  repository: string;
  /** Of the pull request. */
  number: number;
}

export interface Comment {
  /** First line of the body, by which it is found again. */
  marker: string;
  body: string;
  /** False: only a comment that is there is changed. */
  create: boolean;
}

/**
 * Brings the comment up to date. Throws `Undelivered`. Only what the token's own account wrote counts as ours: anybody
 * may write a comment that starts like it.
 */
export async function stick(
  github: GithubApi,
  { repository, number }: CommentPlace,
  { marker, body, create }: Comment,
): Promise<void> {
  const repo = repositoryPath(repository);
  const found = await findOwn(github, `${repo}/issues/${number}/comments`, marker);
  if (found === null) {
    if (create) await github.post(`${repo}/issues/${number}/comments`, { body });
  } else if (found.body !== body) await github.patch(`${repo}/issues/comments/${found.id}`, { body });
}

async function findOwn(github: GithubApi, path: string, marker: string): Promise<Written | null> {
  let me: string | null | undefined;
  for (let page = 1; page <= mostPages; page += 1) {
    const listed = await github.get(`${path}?per_page=${perPage}&page=${page}`);
    if (!Array.isArray(listed)) throw new Undelivered('an answer that is no list');
    for (const one of listed.map(writtenOf)) {
      if (one === null || !`${one.body.replaceAll('\r\n', '\n')}\n`.startsWith(`${marker}\n`)) continue;
      if (me === undefined) me = await ownLogin(github);
      if (me === null ? one.bot : one.login === me) return one;
    }
    if (listed.length < perPage) return null;
  }
  return null;
}

/** Whose token it is; null for that of a job or an app, which may not ask: those write as a bot. */
async function ownLogin(github: GithubApi): Promise<string | null> {
  try {
    const answer = await github.get('/user');
    return typeof answer === 'object' && answer !== null && 'login' in answer ? String(answer.login) : null;
  } catch (error) {
    if (error instanceof Undelivered && /^HTTP 40[134]$/.test(error.code)) return null;
    throw error;
  }
}

interface Written {
  id: number;
  body: string;
  login: string;
  bot: boolean;
}

function writtenOf(one: unknown): Written | null {
  const { id, body, user } = (typeof one === 'object' && one !== null ? one : {}) as {
    id?: unknown;
    body?: unknown;
    user?: { login?: unknown; type?: unknown } | null;
  };
  if (typeof id !== 'number' || typeof body !== 'string') return null;
  return { id, body, login: String(user?.login ?? ''), bot: user?.type === 'Bot' };
}
