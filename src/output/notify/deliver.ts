/** Takes messages to their channels. Nothing here throws: a channel that is down is said, and tried by the next run. */
import { KeyturnError } from '../../errors.ts';
import type { Channel, ValueRef } from '../../manifests/model.ts';
import type { Secret } from '../../secret.ts';
import { sendEmail } from './email.ts';
import { sendIssue } from './github.ts';
import { Undelivered } from './http.ts';
import type { Message } from './message.ts';
import { sendSlack, sendTeams, sendWebhook } from './webhook.ts';

export interface Post {
  message: Message;
  channel: string;
}

export interface Tools {
  channels: Readonly<Record<string, Channel>>;
  /** The value behind a channel's reference. */
  resolve: (ref: ValueRef, subject: string) => Promise<Secret>;
  /** The line of a channel of type annotation. */
  announce: (message: Message) => void;
  env: Readonly<Record<string, string | undefined>>;
  now: () => Date;
}

export interface Delivered<P> {
  /** Those that were accepted. */
  posts: P[];
  /** One phrase for each channel that did not take everything: `ops: not delivered (ECONNREFUSED)`. */
  problems: string[];
}

/** Channels side by side, the messages of one in order; after its first failure a channel is left alone for this run. */
export async function deliver<P extends Post>(posts: readonly P[], tools: Tools): Promise<Delivered<P>> {
  const queues = [...Map.groupBy(posts, (post) => post.channel)];
  const ended = await Promise.all(queues.map(([name, queue]) => deliverTo(name, queue, tools)));
  return {
    posts: ended.flatMap(({ posts: accepted }) => accepted),
    problems: ended.flatMap(({ problems }) => problems),
  };
}

async function deliverTo<P extends Post>(
  name: string,
  queue: readonly P[],
  tools: Tools,
): Promise<Delivered<P>> {
  const channel = tools.channels[name];
  const accepted: P[] = [];
  if (!channel) return { posts: accepted, problems: [] };
  try {
    for (const post of queue) {
      await send(channel, `channel ${name}`, post.message, tools);
      accepted.push(post);
    }
    return { posts: accepted, problems: [] };
  } catch (error) {
    const left = queue.length - accepted.length;
    const count = left === 1 ? '1 message' : `${left} messages`;
    const why =
      error instanceof Undelivered
        ? error.code
        : error instanceof KeyturnError
          ? error.what
          : 'internal error';
    return {
      posts: accepted,
      problems: [`channel ${name}: ${count} not delivered (${why}), the next run tries again`],
    };
  }
}

async function send(channel: Channel, subject: string, message: Message, tools: Tools): Promise<void> {
  const { resolve, env } = tools;
  switch (channel.type) {
    case 'webhook': {
      const key = channel.signingKey && (await resolve(channel.signingKey, subject));
      return sendWebhook(await resolve(channel.url, subject), key, message, tools.now());
    }
    case 'slack':
      return sendSlack(await resolve(channel.url, subject), message);
    case 'teams':
      return sendTeams(await resolve(channel.url, subject), message);
    case 'email':
      return sendEmail(await resolve(channel.url, subject), channel, message);
    case 'github-issue':
      return sendIssue(
        await resolve(channel.token, subject),
        {
          api: env.GITHUB_API_URL ?? 'https://api.github.com',
          repository: channel.repository ?? env.GITHUB_REPOSITORY ?? '',
        },
        message,
      );
    case 'annotation':
      tools.announce(message);
  }
}
