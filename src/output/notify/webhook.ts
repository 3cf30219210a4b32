/** A generic webhook, Slack and Microsoft Teams: each is one POST of JSON. */
import { createHmac } from 'node:crypto';
import type { Secret } from '../../secret.ts';
import { request } from './http.ts';
import type { Message } from './message.ts';

/**
 * The message as JSON. `Idempotency-Key` is the message's id. With a key, `Keyturn-Signature: t=<seconds>,v1=<hex>` is
 * the HMAC-SHA256 of `<t>.<body>`: a receiver computes it, and refuses what is older than it likes.
 */
export async function sendWebhook(
  url: Secret,
  signingKey: Secret | undefined,
  message: Message,
  now: Date,
): Promise<void> {
  const { id, event, project, secret, target, version, at, title, text, facts } = message;
  const body = JSON.stringify({
    format: 1,
    id,
    event,
    project,
    secret,
    target,
    version,
    at,
    title,
    text,
    facts,
  });
  const seconds = Math.floor(now.getTime() / 1000);
  const signature =
    signingKey && createHmac('sha256', signingKey.reveal()).update(`${seconds}.${body}`).digest('hex');
  await request(url.reveal(), {
    method: 'POST',
    headers: {
      'idempotency-key': id,
      ...(signature === undefined ? {} : { 'keyturn-signature': `t=${seconds},v1=${signature}` }),
    },
    body,
  });
}

/** Slack's incoming webhook. It knows no idempotency key. */
export async function sendSlack(url: Secret, message: Message): Promise<void> {
  const harmless = (text: string): string =>
    text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  const text = `*${harmless(message.title).replaceAll('*', '')}*\n${harmless(message.text)}`;
  await request(url.reveal(), { method: 'POST', body: JSON.stringify({ text }) });
}

/** The webhook of a Teams workflow: an adaptive card. It knows no idempotency key. */
export async function sendTeams(url: Secret, message: Message): Promise<void> {
  const plain = (text: string): string => text.replaceAll(/[\\`*_[\]()#<>]/g, (c) => `\\${c}`);
  const block = (text: string, more: object): object => ({ type: 'TextBlock', text, wrap: true, ...more });
  const card = {
    $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
    type: 'AdaptiveCard',
    version: '1.4',
    body: [
      block(plain(message.title), {
        weight: 'Bolder',
        ...(message.level === 'warning' ? { color: 'Attention' } : {}),
      }),
      block(plain(message.text), {}),
      {
        type: 'FactSet',
        facts: [
          { title: 'Project', value: message.project },
          { title: 'Id', value: message.id },
        ],
      },
    ],
  };
  const attachment = {
    contentType: 'application/vnd.microsoft.card.adaptive',
    contentUrl: null,
    content: card,
  };
  await request(url.reveal(), {
    method: 'POST',
    body: JSON.stringify({ type: 'message', attachments: [attachment] }),
  });
}
