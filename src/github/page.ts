/** What a plan shows besides its log: the job summary, and the comment of the pull request. */
import { inert } from '../output/markdown.ts';
import { githubApi } from '../output/notify/github-api.ts';
import { Undelivered } from '../output/notify/http.ts';
import type { PageOptions } from '../output/plan-markdown.ts';
import { commentLimit, markerOf, stick } from './comment.ts';
import type { PullRequest } from './event.ts';
import type { Job } from './job.ts';

export interface Page {
  title: string;
  /** Null for what makes no page. */
  render: (options: PageOptions) => string | null;
  /** Says nothing new: no comment is made for it, only one that is there is changed. */
  empty: boolean;
}

/** To the job summary always, to the pull request where there is one and the token may write there. Never fails the job. */
export async function publish(
  { context, inputs, pull, folder }: Job,
  { title, render, empty }: Page,
): Promise<void> {
  const { host, console } = context;
  const { env } = host;
  const marker = markerOf(folder);
  const footer = pull === null ? '' : footerOf(env, pull);
  const page = render({ marker, title, limit: commentLimit - footer.length });
  if (page === null) return;
  console.summary(page);
  if (pull === null || inputs.token === null) return;
  if (pull.fork) {
    console.words('keyturn: no comment: the token of a fork only reads; it is in the job summary');
    return;
  }
  try {
    const github = githubApi(inputs.token, env.GITHUB_API_URL ?? 'https://api.github.com');
    const place = { repository: env.GITHUB_REPOSITORY ?? '', number: pull.number };
    await stick(github, place, { marker, body: `${page}${footer}`, create: !empty });
  } catch (error) {
    if (!(error instanceof Undelivered)) throw error;
    const hint = error.code === 'HTTP 403' ? '; give the job `permissions: pull-requests: write`' : '';
    console.command({
      name: 'warning',
      message: `comment: not written (${error.code})${hint}; it is in the job summary`,
    });
  }
}

function footerOf(env: NodeJS.ProcessEnv, { head }: PullRequest): string {
  const { GITHUB_SERVER_URL = 'https://github.com', GITHUB_REPOSITORY = '', GITHUB_RUN_ID = '' } = env;
  const run = `${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}/actions/runs/${GITHUB_RUN_ID}`;
  return `\n<sub>of ${inert(head.slice(0, 10))}, by [this run](${run})</sub>\n`;
}
