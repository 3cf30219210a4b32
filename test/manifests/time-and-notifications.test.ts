import { describe, expect, it } from 'vitest';
import { notifyEvents } from '../../src/manifests/model.ts';
import { desired, join, mysql, project, said, secret } from './fixtures.ts';

const day = 86_400_000;
const app = (more: string): string => join(mysql(), secret('app', more));

describe('schedules', () => {
  it('can be paused, moved behind the hour, and kept apart', async () => {
    const more = 'schedule: { hour: 3, offset: 12h, paused: true, pair: blue-green, apart: 36h }';
    const { secrets } = await desired(join(mysql(), secret('a', more), secret('b', more)));
    expect(secrets.get('a')).toMatchObject({
      schedule: { paused: true, offset: day / 2, pair: 'blue-green', apart: 1.5 * day },
      ownSchedule: true,
    });
    const plain = await desired(app(''));
    expect(plain.secrets.get('app')).toMatchObject({
      schedule: { paused: false, pair: undefined, apart: day },
      ownSchedule: false,
      verifyEvery: undefined,
      drift: 'alarm',
    });
  });

  it.each([
    [
      'schedule: { offset: 12h }',
      'spec.schedule.offset moves the due time behind the hour, and there is none | add hour, or keep two secrets apart by giving both the same pair',
    ],
    [
      'schedule: { hour: 3, offset: 2d }',
      'spec.schedule.offset 2d is a day or more | write less than 24h; the same pair on two secrets keeps them apart for longer',
    ],
    [
      'schedule: { pair: lonely }',
      'spec.schedule.pair names a pair of one | give the other secret the same pair, or remove this key',
    ],
  ])('%s', async (more, message) => {
    expect(await said(app(more))).toEqual([`app: ${message}`]);
  });

  it('a pair that needs more room than its interval has', async () => {
    const more = 'schedule: { every: 1d, pair: p, apart: 24h }';
    expect(await said(join(mysql(), secret('a', more), secret('b', more)))).toEqual([
      'a: 2 secrets that keep 24h apart do not fit into 1d | write a shorter apart, or a longer every',
      'b: 2 secrets that keep 24h apart do not fit into 1d | write a shorter apart, or a longer every',
    ]);
  });
});

describe('drift', () => {
  it('is looked for as often as asked, and may be everybody’s default', async () => {
    const common = project('defaults: { verify: { every: 7d }, drift: reset }');
    const { secrets } = await desired(app('authenticateAs: target'), { project: common });
    expect(secrets.get('app')).toMatchObject({ verifyEvery: 7 * day, drift: 'reset' });
  });

  it.each([
    [
      'verify: { every: 7d }\ndrift: adopt',
      'spec.drift: adopt takes the value of spec.initial, and there is none | add initial: { password: { env: NAME } }, or write drift: alarm',
    ],
    [
      'verify: { every: 7d }\ndrift: reset',
      'spec.drift: reset needs the credentials of the target, and the account changes its own value | write authenticateAs: target, or drift: alarm',
    ],
    [
      'authenticateAs: target\ndrift: reset',
      'spec.drift has nothing that finds drift | add verify: { every: 7d }',
    ],
  ])('%s', async (more, message) => {
    expect(await said(app(more))).toEqual([`app: ${message}`]);
  });
});

describe('notifications', () => {
  const channels = (text: string): string => project(`channels: { ops: ${text} }`);
  const hook = channels('{ type: webhook, url: { env: OPS } }');

  it('are for every event unless said, and may be everybody’s default', async () => {
    const { secrets } = await desired(app('notify: { channels: [ops] }'), { project: hook });
    expect(secrets.get('app')?.notify).toEqual({ before: [], events: [...notifyEvents], channels: ['ops'] });
    const some = await desired(app('notify: { on: [overdue, failed] }'), {
      project: `${hook}  defaults: { notify: { before: [7d], channels: [ops] } }\n`,
    });
    expect(some.secrets.get('app')?.notify).toEqual({
      before: [7 * day],
      events: ['failed', 'overdue'],
      channels: ['ops'],
    });
  });

  it('who is told is no part of how a secret rotates', async () => {
    const [a, b] = await Promise.all(
      ['notify: { channels: [ops] }', ''].map((more) => desired(app(more), { project: hook })),
    );
    expect(a?.secrets.get('app')?.specDigest).toBe(b?.secrets.get('app')?.specDigest);
  });

  it('a channel of every type', async () => {
    const text = `channels:
  hook: { type: webhook, url: { env: A }, signingKey: { env: B } }
  slack: { type: slack, url: { env: A } }
  teams: { type: teams, url: { env: A } }
  mail: { type: email, url: { env: A }, from: a@b.example, to: [c@d.example] }
  issue: { type: github-issue, token: { env: A }, repository: acme/secrets }
  job: { type: annotation }`;
    const { project: made } = await desired(app(''), { project: project(text) });
    expect(made.channels).toMatchObject({
      hook: { type: 'webhook', signingKey: { env: 'B' } },
      mail: { to: ['c@d.example'] },
      issue: { repository: 'acme/secrets' },
      job: { type: 'annotation' },
    });
  });

  it.each([
    [
      '{ type: email, url: { env: A } }',
      [
        'spec.channels.ops has no from, which a channel of type email needs | add from: keyturn@example.org',
        'spec.channels.ops has no to, which a channel of type email needs | add to: [ops@example.org]',
      ],
    ],
    [
      '{ type: annotation, url: { env: A } }',
      ['spec.channels.ops.url means nothing to a channel of type annotation | remove it'],
    ],
    [
      '{ type: github-issue, token: { secret: nobody } }',
      ['spec.channels.ops.token.secret refers to no rotated secret'],
    ],
    ['{ type: slack, url: https://hooks.example.org/a-literal }', ['spec.channels.ops.url']],
    ['{ type: slack, url: { file: ../../outside } }', ['spec.channels.ops.url.file leaves the repository']],
  ])('%s', async (text, messages) => {
    const found = await said(app(''), { project: channels(text) });
    expect(found).toHaveLength(messages.length);
    for (const [index, message] of messages.entries())
      expect(found[index]).toContain(message.replace('.token.secret', '.token'));
    expect(found.join()).not.toContain('a-literal');
  });

  it.each([
    [
      'notify: { before: [30d], channels: [ops] }',
      'spec.notify.before tells of a rotation before the one before it, every 30d',
    ],
    ['notify: { before: [1d] }', 'spec.notify.before has nobody to tell'],
    ['notify: { on: [rotatd], channels: [ops] }', 'did you mean "rotated"?'],
  ])('%s', async (more, message) => {
    expect((await said(app(more), { project: hook })).join()).toContain(message);
  });
});
