import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type PostgresServer, startPostgres } from '../servers/postgresql.ts';
import { Bench, day, hour, later } from './bench.ts';
import type { Desk } from './desk.ts';

/** What people are told and how often, a crash at every step included, with a real receiver and a real remote. */

let server: PostgresServer;
let bench: Bench;
let desk: Desk;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());
beforeEach(async () => {
  bench = await Bench.set(server);
  return async () => {
    desk.leave();
    await bench.web.stop();
  };
});

describe('notifications', () => {
  const channels = '  channels: { ops: { type: webhook, url: { env: HOOK } } }\n';
  const notify = ', schedule: { every: 10d }, notify: { before: [2d, 1d], channels: [ops] }';
  const events = (): string[] => bench.web.received.map(({ body }) => JSON.parse(body).event);

  it('come once each, in the order of life, and cost no commit when there is nothing new', async () => {
    desk = await bench.desk(notify, channels);
    expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
    expect(events()).toEqual(['rotated']);
    for (const [ahead, expected] of [
      [7 * day, ['rotated']],
      [8 * day + hour, ['rotated', 'before']],
      [8 * day + 2 * hour, ['rotated', 'before']],
      [9 * day + hour, ['rotated', 'before', 'before']],
      [10 * day + hour, ['rotated', 'before', 'before', 'rotated']],
      [10 * day + 2 * hour, ['rotated', 'before', 'before', 'rotated']],
    ] as const) {
      later(desk, ahead);
      expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
      expect(events()).toEqual(expected);
    }
    const tip = desk.tip();
    desk.ahead += hour;
    await desk.keyturn(['apply']);
    expect(desk.tip()).toBe(tip);
    expect(desk.git('rev-parse', 'HEAD')).toBe(tip);
    const value = (await desk.keyturn(['get', 'pg/app'])).out;
    expect(bench.web.received.map(({ body }) => body).join()).not.toContain(value);
  });

  it('a channel that is down fails nothing, costs no commit an hour, and is told later', async () => {
    desk = await bench.desk(notify, channels);
    bench.web.answer = () => ({ status: 503 });
    const down = await desk.keyturn(['apply']);
    expect(down).toMatchObject({ code: 0 });
    expect(down.err).toContain('channel ops: 1 message not delivered (HTTP 503), the next run tries again');
    const tip = desk.tip();
    later(desk, hour);
    await desk.keyturn(['apply']);
    expect(desk.tip()).toBe(tip);
    bench.web.answer = () => ({ status: 200 });
    desk.ahead += hour;
    await desk.keyturn(['apply']);
    desk.ahead += hour;
    await desk.keyturn(['apply']);
    expect(events()).toEqual(['rotated']);
  });

  it('failures and overdue are told, once', async () => {
    desk = await bench.desk(notify, channels);
    await desk.keyturn(['apply']);
    const { ADMIN } = desk.env;
    desk.env = { ...desk.env, ADMIN: 'not-the-admin-value' };
    for (const ahead of [10 * day + hour, 10 * day + 3 * hour, 13 * day, 13 * day + hour]) {
      later(desk, ahead);
      await desk.keyturn(['apply']);
    }
    expect(events().filter((event) => event !== 'before')).toEqual(['rotated', 'blocked', 'overdue']);
    desk.env = { ...desk.env, ADMIN };
    later(desk, 15 * day);
    expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
    expect(events().at(-1)).toBe('rotated');
  });

  it('a removed reader is told in the claim that locks them out', async () => {
    desk = await bench.desk(notify, channels);
    const reader = desk.colleague('reader');
    const [recipient] =
      /age1\S+/.exec((await reader.keyturn(['keygen', '--reader', '--out', '../id'])).err) ?? [];
    desk.write(
      'manifests/role.yaml',
      `apiVersion: keyturn/v1\nkind: Role\nmetadata: { name: r }\nspec: { members: [{ name: bob, recipient: ${recipient} }], secrets: ["pg/**"] }\n`,
    );
    desk.push();
    await desk.keyturn(['apply']);
    desk.write('manifests/role.yaml', '');
    desk.push();
    later(desk, hour);
    expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
    expect(events()).toEqual(['rotated', 'reader-removed', 'rotated']);
    expect(bench.web.received[1]?.body).toContain('reader removed: bob');
  });

  it('inside GitHub Actions an annotation is a line of the log', async () => {
    desk = await bench.desk(
      ', schedule: { every: 10d }, notify: { channels: [job] }',
      '  channels: { job: { type: annotation } }\n',
    );
    await desk.keyturn(['apply']);
    later(desk, 13 * day);
    desk.env = { ...desk.env, ADMIN: 'not-the-admin-value', GITHUB_ACTIONS: 'true' };
    expect((await desk.keyturn(['apply'])).err).toContain('::warning::pg/app: overdue since');
  });

  /** Every point at which a run that rotates and tells may die. */
  const crashes = [
    'claim.afterPush',
    'promote.beforeCommit',
    'promote.afterPush',
    'tell.note.beforeCommit',
    'tell.note.afterPush',
    'tell.told.beforeCommit',
    'tell.told.afterPush',
  ];

  it.each(crashes)('none is lost and none is new after a crash at %s', async (point) => {
    desk = await bench.desk(notify, channels);
    await desk.keyturn(['apply']);
    // the rotation of this run comes with a reminder that was missed, so that every push happens
    later(desk, point.startsWith('tell.note') ? 9 * day + hour : 10 * day + hour);
    let struck = false;
    desk.failpoint = async (name) => {
      if (name !== point || struck) return;
      struck = true;
      throw new Error(`crash at ${name}`);
    };
    const crashed = await desk.keyturn(['apply']);
    expect(struck).toBe(true);
    expect(crashed.code).not.toBe(0);
    for (let run = 1; run <= 3; run += 1) {
      desk.ahead += hour;
      await desk.keyturn(['apply']);
    }
    const ids = bench.web.received.map(({ headers }) => headers['idempotency-key']);
    const told = point.startsWith('tell.note') ? ['rotated', 'before'] : ['rotated', 'rotated'];
    const first = bench.web.received.filter((_, index) => ids.indexOf(ids[index]) === index);
    expect(first.map(({ body }) => JSON.parse(body).event)).toEqual(told);
    // only a death between the receiver's answer and the push that notes it repeats one, under the same key
    expect(bench.web.received).toHaveLength(point === 'tell.told.beforeCommit' ? 3 : 2);
    expect(new Set(ids).size).toBe(2);
    const tip = desk.tip();
    desk.ahead += hour;
    await desk.keyturn(['apply']);
    expect(desk.tip()).toBe(tip);
  });
});

describe('the heartbeat', () => {
  const heartbeat = '  heartbeat: { url: { env: HOOK } }\n';
  const beats = (): unknown[] => bench.web.received.map(({ body }) => JSON.parse(body));

  it('tells a monitor of every whole apply, with something to do or without, and of nothing else', async () => {
    desk = await bench.desk('', heartbeat);
    expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
    expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
    const beat = { format: 1, project: 'acme', exit: 0, serial: expect.any(Number), at: expect.any(String) };
    expect(beats()).toEqual([beat, beat]);
    later(desk, 2 * hour);
    for (const args of [['plan'], ['apply', '--only', 'pg/*'], ['rotate', 'pg/app'], ['verify'], ['recover']])
      expect(await desk.keyturn(args), args.join(' ')).toMatchObject({ code: 0 });
    expect(beats()).toHaveLength(2);
  });

  it('fails no run', async () => {
    desk = await bench.desk('', heartbeat);
    bench.web.answer = () => ({ status: 500 });
    const down = await desk.keyturn(['apply']);
    expect(down).toMatchObject({ code: 0 });
    expect(down.err).toContain('heartbeat: not sent (HTTP 500)');
    delete desk.env.HOOK;
    const unset = await desk.keyturn(['apply']);
    expect(unset).toMatchObject({ code: 0 });
    expect(unset.err).toContain('heartbeat: not sent (');
    expect(desk.tip()).toBe(desk.git('rev-parse', 'HEAD'));
  });
});
