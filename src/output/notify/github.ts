/** GitHub issues: one open issue a secret, labelled keyturn; every further message is a comment on it. */
import type { Secret } from '../../secret.ts';
import { inert } from '../markdown.ts';
import { request, Undelivered } from './http.ts';
import type { Message } from './message.ts';

const label = 'keyturn';

/** Looks for the message's id before it writes, so a second attempt writes nothing. `api` comes from the runner. */
export async function sendIssue(
  token: Secret,
  place: { api: string; repository: string },
  message: Message,
): Promise<void> {
  if (!/^[A-Za-z0-9-]+\/[A-Za-z0-9._-]+$/.test(place.repository)) throw new Undelivered('no repository');
  const issues = `${place.api.replace(/\/$/, '')}/repos/${place.repository}/issues`;
  const headers = {
    authorization: `Bearer ${token.reveal()}`,
    accept: 'application/vnd.github+json',
    'x-github-api-version': '2022-11-28',
  };
  const get = async (url: string): Promise<Written[]> =>
    writtenOf(await request(url, { method: 'GET', headers }));
  const post = (url: string, body: object): Promise<unknown> =>
    request(url, { method: 'POST', headers, body: JSON.stringify(body) });

  const secretMark = `<!-- keyturn secret ${message.uid} -->`;
  const messageMark = `<!-- keyturn message ${message.id} -->`;
  const body = `**${inert(message.title)}**\n\n${inert(message.text)}\n\n${messageMark}`;
  const issue = (await get(`${issues}?labels=${label}&state=open&per_page=100`)).find((one) =>
    one.body.startsWith(secretMark),
  );
  if (!issue) {
    await post(issues, {
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
  if (!told.some((comment) => comment.body.includes(messageMark))) await post(comments, { body });
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
