import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { isMotoMissing, type Moto, startMoto } from '../servers/moto.ts';
import { type Receiver, startReceiver } from '../servers/receivers.ts';
import { day, hour, later } from './bench.ts';
import { type Desk, takeDesk } from './desk.ts';

/** A key that keyturn did not make: people are told which, once, whatever dies on the way. */

describe.skipIf(isMotoMissing())('a foreign key', () => {
  let moto: Moto;
  let web: Receiver;
  let desk: Desk;
  let user = '';
  let users = 0;
  beforeAll(async () => {
    moto = await startMoto();
  }, 60_000);
  afterAll(() => moto?.stop());
  beforeEach(async () => {
    users += 1;
    user = `user-${users}`;
    await moto.createUser(user);
    web = await startReceiver();
    desk = takeDesk({ AWS_ADMIN: moto.admin.secretAccessKey, HOOK: `${web.url}/hook` });
    await desk.keyturn(['init', '--name', 'acme']);
    later(desk, 0);
    const project = desk.read('keyturn.yaml').replace(', hour: 3, timezone: UTC', '');
    desk.write('keyturn.yaml', `${project}  channels: { ops: { type: webhook, url: { env: HOOK } } }\n`);
    for (const path of ['targets/db.yaml', 'roles/app.yaml', 'secrets/app-db.yaml'])
      desk.write(`manifests/${path}`, '');
    desk.write(
      'manifests/aws.yaml',
      `apiVersion: keyturn/v1
kind: Target
metadata: { name: aws }
spec:
  type: aws
  accountId: "123456789012"
  endpoint: ${moto.url}
  tls: { mode: disable }
  credentials: { accessKeyId: ${moto.admin.accessKeyId}, secretAccessKey: { env: AWS_ADMIN } }
---
apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: key }
spec:
  target: aws
  authenticateAs: target
  account: { username: ${user} }
  schedule: { every: 10d }
  notify: { channels: [ops] }
`,
    );
    desk.push('Declare');
    expect(await desk.keyturn(['apply', '--yes'])).toMatchObject({ code: 0 });
    return async () => {
      desk.leave();
      await web.stop();
    };
  });
  /** But what is said of every secret that waits for days. */
  const told = () =>
    web.received.map(({ body }) => JSON.parse(body)).filter(({ event }) => event !== 'overdue');
  const applied = async (at: number): Promise<number> => {
    later(desk, at);
    return (await desk.keyturn(['apply', '--yes'])).code;
  };

  it('is told once, by its id, and again only when it is another', async () => {
    const stranger = await moto.createKey(user);
    for (const at of [10 * day + hour, 10 * day + 2 * hour, 11 * day + 3 * hour, 12 * day + 4 * hour])
      await applied(at);
    expect(told().map(({ event }) => event)).toEqual(['rotated', 'foreign-key']);
    expect(told()[1]).toMatchObject({
      title: 'key: a key that keyturn did not make',
      text: expect.stringContaining(stranger.accessKeyId),
      facts: { keys: stranger.accessKeyId },
    });
    expect(JSON.stringify(told())).not.toContain(stranger.secretAccessKey);
    const tip = desk.tip();
    await applied(12 * day + 5 * hour);
    expect(desk.tip()).toBe(tip);

    await moto.deleteKey(user, stranger.accessKeyId);
    expect(await applied(13 * day + 6 * hour)).toBe(0);
    expect(told().map(({ event }) => event)).toEqual(['rotated', 'foreign-key', 'rotated']);
    expect(await applied(21 * day)).toBe(0);
    const next = await moto.createKey(user);
    await applied(30 * day);
    expect(told().at(-1)).toMatchObject({ event: 'foreign-key', facts: { keys: next.accessKeyId } });
  }, 60_000);

  const points = [
    'promote.beforeCommit',
    'promote.afterPush',
    'tell.note.beforeCommit',
    'tell.note.afterPush',
    'tell.told.beforeCommit',
    'tell.told.afterPush',
  ];

  it.each(points)(
    'is told, and is no second piece of news after a crash at %s',
    async (point) => {
      const stranger = await moto.createKey(user);
      let struck = false;
      desk.failpoint = async (name) => {
        if (name !== point || struck) return;
        struck = true;
        throw new Error(`crash at ${name}`);
      };
      await applied(10 * day + hour);
      expect(struck).toBe(true);
      for (const at of [10 * day + 2 * hour, 10 * day + 3 * hour, 11 * day + 4 * hour]) await applied(at);
      const [first, ...more] = web.received.slice(1);
      expect(JSON.parse(first?.body ?? '{}')).toMatchObject({
        event: 'foreign-key',
        facts: { keys: stranger.accessKeyId },
      });
      // only a death between the receiver's answer and the push that notes it repeats one, under the same key
      expect(more).toHaveLength(point === 'tell.told.beforeCommit' ? 1 : 0);
      for (const again of more)
        expect(again.headers['idempotency-key']).toBe(first?.headers['idempotency-key']);
      expect(await moto.keys(user)).toHaveLength(2);
    },
    60_000,
  );
});
