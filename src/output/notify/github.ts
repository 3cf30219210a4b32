/** GitHub issues: one open issue a secret, labelled keyturn; every further message is a comment on it. */
import type { Secret } from '../../secret.ts';
import { inert } from '../markdown.ts';
import { githubApi, repositoryPath } from './github-api.ts';
import { Undelivered } from './http.ts';
import type { Message } from './message.ts';

const label = 'keyturn';

/** Looks for the message's id before it writes, so a second attempt writes nothing. `api` comes from the runner. */
export async function sendIssue(
  token: Secret,
  place: { api: string; repository: string },
  message: Message,
): Promise<void> {
  const issues = `${repositoryPath(place.repository)}/issues`;
  const github = githubApi(token, place.api);
  const get = async (path: string): Promise<Written[]> => writtenOf(await github.get(path));

  const secretMark = `<!-- keyturn secret ${message.uid} -->`;
  const messageMark = `<!-- keyturn message ${message.id} -->`;
  const body = `**${inert(message.title)}**\n\n${inert(message.text)}\n\n${messageMark}`;
  const issue = (await get(`${issues}?labels=${label}&state=open&per_page=100`)).find((one) =>
    one.body.startsWith(secretMark),
  );
  if (!issue) {
    await github.post(issues, {
      title: `keyturn: ${message.secret}`,
      body: `${secretMark}\n${body}`,
      labels: [label],
    });
    return;
  }
  if (issue.body.includes(messageMark)) return;
  const comments = `${issues}/${issue.number}/comments`;
  const since = encodeURIComponent(message.at);
  const told = await get(`${comments}?since=${since}&per_page=100`);
  if (!told.some((comment) => comment.body.includes(messageMark))) await github.post(comments, { body });
}

interface Written {
  number: number;
  body: string;
}

function writtenOf(answer: unknown): Written[] {
  if (!Array.isArray(answer)) throw new Undelivered('an answer that is no list');
  return answer.flatMap((one: unknown): Written[] => {
    if (typeof one !== 'object' || one === null || !('body' in one) || typeof one.body !== 'string')
      return [];
    const number = 'number' in one && typeof one.number === 'number' ? one.number : 0;
    return [{ number, body: one.body }];
  });
}
