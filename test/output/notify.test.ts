import { createHmac } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Channel, ValueRef } from '../../src/manifests/model.ts';
import { notifyEvents } from '../../src/manifests/model.ts';
import { deliver, type Tools } from '../../src/output/notify/deliver.ts';
import { type Message, messageOf } from '../../src/output/notify/message.ts';
import { Secret } from '../../src/secret.ts';
import { type Mailbox, type Receiver, startMailbox, startReceiver } from '../servers/receivers.ts';

let web: Receiver;
let mailbox: Mailbox;
let announced: Message[];
/** Nobody listens there any more. */
let dead: string;

beforeEach(async () => {
  web = await startReceiver();
  mailbox = await startMailbox();
  announced = [];
  const closed = await startReceiver();
  dead = closed.url;
  await closed.stop();
  return async () => {
    await web.stop();
    await mailbox.stop();
  };
});
afterEach(() => expect(web.received.every(({ path }) => path !== '/elsewhere')).toBe(true));

const now = new Date('2026-11-20T12:00:30.000Z');
const message = (more: Partial<Message> = {}): Message => ({
  ...messageOf({
    id: 'ab'.repeat(16),
    event: 'rotated',
    project: 'acme',
    secret: 'prod/app',
    uid: 'UID1',
    target: 'prod/db',
    version: 8,
    at: '2026-11-20T12:00:00.000Z',
    facts: { why: 'due' },
  }),
  ...more,
});

const values: Record<string, () => string> = {
  HOOK: () => `${web.url}/hook`,
  KEY: () => 'signing-key-of-the-hook',
  MAIL: () => `smtp://user%40acme:mail-password@127.0.0.1:${mailbox.port}`,
  OPEN_MAIL: () => `smtp://127.0.0.1:${mailbox.port}`,
  TOKEN: () => 'token-of-the-robot',
  PLAIN: () => 'http://hooks.example.org/hook',
  PLAIN_MAIL: () => 'http://127.0.0.1/',
  WORDS: () => 'a-value-that-is-no-address',
  DEAD: () => `${dead}/hook`,
};

const tools = (channels: Record<string, Channel>): Tools => ({
  channels,
  resolve: async (ref: ValueRef) => new Secret('env' in ref ? (values[ref.env]?.() ?? '') : ''),
  announce: (one) => announced.push(one),
  env: { GITHUB_API_URL: web.url, GITHUB_REPOSITORY: 'acme/secrets' },
  now: () => now,
});

const send = (channel: Channel, ...messages: Message[]) =>
  deliver(
    (messages.length === 0 ? [message()] : messages).map((one) => ({ message: one, channel: 'ops' })),
    tools({ ops: channel }),
  );

describe('a webhook', () => {
  test('gets JSON with an idempotency key, signed', async () => {
    const ended = await send({ type: 'webhook', url: { env: 'HOOK' }, signingKey: { env: 'KEY' } });
    expect(ended).toMatchObject({ posts: [{ channel: 'ops' }], problems: [] });
    const [got] = web.received;
    expect(JSON.parse(got?.body ?? '')).toEqual({
      format: 1,
      id: 'ab'.repeat(16),
      event: 'rotated',
      project: 'acme',
      secret: 'prod/app',
      target: 'prod/db',
      version: 8,
      at: '2026-11-20T12:00:00.000Z',
      title: 'prod/app: rotated, now v8',
      text: 'A new version is current (due). keyturn get prod/app reads it.',
      facts: { why: 'due' },
    });
    expect(got?.headers['idempotency-key']).toBe('ab'.repeat(16));
    const seconds = now.getTime() / 1000;
    const mac = createHmac('sha256', 'signing-key-of-the-hook')
      .update(`${seconds}.${got?.body}`)
      .digest('hex');
    expect(got?.headers['keyturn-signature']).toBe(`t=${seconds},v1=${mac}`);
  });

  test('is not followed elsewhere, and never reached in clear text', async () => {
    web.answer = ({ path }) => ({ status: path === '/hook' ? 302 : 200 });
    const hook = (env: string): Channel => ({ type: 'webhook', url: { env }, signingKey: undefined });
    expect((await send(hook('HOOK'))).posts).toEqual([]);
    expect((await send(hook('PLAIN'))).problems).toEqual([
      'channel ops: 1 message not delivered (no https:// address), the next run tries again',
    ]);
  });

  test('that is down is said without its address, and left alone after the first failure', async () => {
    const ended = await send(
      { type: 'webhook', url: { env: 'DEAD' }, signingKey: undefined },
      message(),
      message(),
    );
    expect(ended.posts).toEqual([]);
    expect(ended.problems).toEqual([
      'channel ops: 2 messages not delivered (ECONNREFUSED), the next run tries again',
    ]);
    web.answer = () => ({ status: 503 });
    expect((await send({ type: 'slack', url: { env: 'HOOK' } })).problems).toEqual([
      'channel ops: 1 message not delivered (HTTP 503), the next run tries again',
    ]);
    expect((await send({ type: 'slack', url: { env: 'WORDS' } })).problems.join()).not.toContain('a-value');
  });

  test('keeps what it took before it failed', async () => {
    let asked = 0;
    web.answer = () => {
      asked += 1;
      return { status: asked > 2 ? 500 : 200 };
    };
    const ended = await send({ type: 'slack', url: { env: 'HOOK' } }, message(), message(), message());
    expect(ended.posts).toHaveLength(2);
  });
});

test('Slack and Teams get what they read as text, not as markup', async () => {
  const hostile = message({ title: 'a <!channel> & *b*', text: 'see [x](https://evil.example) <@U1>' });
  await send({ type: 'slack', url: { env: 'HOOK' } }, hostile);
  await send({ type: 'teams', url: { env: 'HOOK' } }, hostile);
  const [slack, teams] = web.received.map(({ body }) => JSON.parse(body));
  expect(slack).toEqual({ text: '*a &lt;!channel&gt; &amp; b*\nsee [x](https://evil.example) &lt;@U1&gt;' });
  expect(teams.attachments[0].contentType).toBe('application/vnd.microsoft.card.adaptive');
  expect(teams.attachments[0].content.body[1].text).toBe('see \\[x\\]\\(https://evil.example\\) \\<@U1\\>');
});

describe('e-mail', () => {
  const mail = (env: string): Channel => ({
    type: 'email',
    url: { env },
    from: 'keyturn@acme.example',
    to: ['ops@acme.example', 'dba@acme.example'],
  });

  test('arrives, with a Message-ID that a second copy would have too', async () => {
    expect(await send(mail('MAIL'))).toMatchObject({ posts: [{}], problems: [] });
    const [got] = mailbox.mails;
    expect(got).toMatchObject({
      from: 'keyturn@acme.example',
      to: ['ops@acme.example', 'dba@acme.example'],
      user: 'user@acme',
    });
    expect(got?.text).toContain(`Message-ID: <${'ab'.repeat(16)}@keyturn>`);
    expect(got?.text).toContain('Subject: [acme] prod/app: rotated, now v8');
    expect(got?.text).toContain('keyturn get prod/app reads it');
    expect(await send(mail('OPEN_MAIL'))).toMatchObject({ posts: [{}], problems: [] });
    expect(mailbox.mails[1]?.user).toBeNull();
  });

  test('that is refused is not delivered, and no password is told', async () => {
    values.WRONG = () => `smtp://user:another-password@127.0.0.1:${mailbox.port}`;
    const { posts, problems } = await send(mail('WRONG'));
    expect(posts).toEqual([]);
    expect(problems).toEqual(['channel ops: 1 message not delivered (EAUTH 535), the next run tries again']);
    mailbox.refuses.add('dba@acme.example');
    expect((await send(mail('OPEN_MAIL'))).posts).toEqual([]);
    expect((await send(mail('PLAIN_MAIL'))).problems.join()).toContain('no smtps:// address');
  });
});

describe('a GitHub issue', () => {
  const issue: Channel = { type: 'github-issue', token: { env: 'TOKEN' }, repository: undefined };
  let issues: { number: number; body: string; title: string; comments: { body: string }[] }[];

  beforeEach(() => {
    issues = [];
    web.answer = ({ method, path, headers, body }) => {
      if (headers.authorization !== 'Bearer token-of-the-robot') return { status: 401 };
      const number = /^\/repos\/acme\/secrets\/issues\/(\d+)\/comments/.exec(path)?.[1];
      const one = issues.find((candidate) => candidate.number === Number(number));
      if (one && method === 'GET') return { status: 200, body: one.comments };
      if (one) {
        one.comments.push(JSON.parse(body));
        return { status: 201, body: {} };
      }
      if (!path.startsWith('/repos/acme/secrets/issues')) return { status: 404 };
      if (method === 'GET') return { status: 200, body: issues };
      issues.push({ number: issues.length + 1, comments: [], ...JSON.parse(body) });
      return { status: 201, body: {} };
    };
  });

  test('is opened once for a secret, and further messages are comments', async () => {
    await send(issue);
    const second = message({ id: 'cd'.repeat(16), title: 'prod/app: overdue', text: 'see @everyone and #1' });
    await send(issue, second);
    expect(issues).toHaveLength(1);
    expect(issues[0]?.title).toBe('keyturn: prod/app');
    expect(issues[0]?.comments).toHaveLength(1);
    expect(issues[0]?.comments[0]?.body).not.toMatch(/@everyone|#1\b/);
    await send(issue, message({ uid: 'UID2', secret: 'prod/other' }));
    expect(issues).toHaveLength(2);
  });

  test('is not written twice, however often the message is sent', async () => {
    const second = message({ id: 'cd'.repeat(16) });
    for (let attempt = 0; attempt < 3; attempt += 1) await send(issue, message(), second);
    expect(issues).toHaveLength(1);
    expect(issues[0]?.comments).toHaveLength(1);
  });
});

test('an annotation is handed to whoever prints it', async () => {
  expect((await send({ type: 'annotation' })).posts).toHaveLength(1);
  expect(announced).toHaveLength(1);
});

test('a channel that fails takes no other with it', async () => {
  const ended = await deliver(
    ['dead', 'hook'].map((channel) => ({ message: message(), channel })),
    tools({
      dead: { type: 'slack', url: { env: 'DEAD' } },
      hook: { type: 'webhook', url: { env: 'HOOK' }, signingKey: undefined },
    }),
  );
  expect(ended.posts.map(({ channel }) => channel)).toEqual(['hook']);
  expect(ended.problems).toHaveLength(1);
});

test.each(['before', ...notifyEvents] as const)('%s is said in whole words, harmless ones', (event) => {
  const { title, text } = messageOf({
    id: 'x',
    event,
    project: 'acme',
    secret: 'prod/app',
    uid: 'U',
    target: 'db',
    version: 3,
    at: now.toISOString(),
    facts: {
      due: '2026-12-01T03:00:00.000Z',
      why: 'due',
      class: 'permission',
      code: '1227',
      step: 'preflight',
      keys: 'AKIAIOSFODNN7EXAMPLE',
      reason: 'reader removed: bob\u001b[31m\nand more',
    },
  });
  expect(`${title} ${text}`).not.toMatch(/undefined|null|\p{Cc}/u);
  expect(title).toMatch(/^prod\/app: \S/);
  expect(text).toMatch(/^\S.*\.$/);
});
