import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type PostgresServer, startPostgres } from '../servers/postgresql.ts';
import { appManifest, Bench, day, hour, later } from './bench.ts';
import type { Desk } from './desk.ts';

/** Wishes, adoption, drift, the calendar and the end of a secret, on a real PostgreSQL and a real remote. */

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

describe('a wish', () => {
  it('needs the right to push, and neither an identity nor to be first', async () => {
    desk = await bench.desk();
    await desk.keyturn(['apply']);
    later(desk, hour);
    const colleague = desk.colleague('bob');
    colleague.ahead = desk.ahead;
    desk.write('README.md', 'somebody pushes meanwhile\n');
    desk.push();
    const wish = await colleague.keyturn(['rotate', '--flag', 'pg/app', '--reason', 'leak INC-42']);
    expect(wish).toMatchObject({ code: 0 });
    expect((await colleague.keyturn(['rotate', '--flag', 'pg/nobody'])).err).toContain('no such secret');
    desk.git('pull', '--quiet');

    expect((await desk.keyturn(['apply'])).err).toContain('asked for: leak INC-42');
    expect(desk.git('ls-files', 'requests')).toBe('');
    expect((await desk.keyturn(['history', 'pg/app'])).out).toContain(
      'v2 pending (flagged: asked for: leak INC-42',
    );
  });

  it('older than the last rotation is not obeyed, and leaves with the next claim', async () => {
    desk = await bench.desk();
    await desk.keyturn(['apply']);
    desk.write(
      'requests/old.json',
      JSON.stringify({ secret: 'pg/app', reason: 'old', at: '2020-01-01T00:00:00.000Z' }),
    );
    desk.push();
    later(desk, hour);
    expect(await desk.keyturn(['plan', '--detailed-exitcode'])).toMatchObject({ code: 0 });
    expect((await desk.keyturn(['rotate', 'pg/app'])).code).toBe(0);
    expect(desk.has('requests/old.json')).toBe(false);
  });

  it('that cannot be granted is tried by every run, and written down once a day', async () => {
    desk = await bench.desk();
    await desk.keyturn(['apply']);
    later(desk, hour);
    await desk.keyturn(['rotate', '--flag', 'pg/app']);
    desk.env = { ...desk.env, ADMIN: 'not-the-admin-value' };
    expect((await desk.keyturn(['apply'])).code).toBe(3);
    const tip = desk.tip();
    for (const hours of [2, 3, 24]) {
      later(desk, hours * hour);
      expect((await desk.keyturn(['apply'])).code).toBe(3);
    }
    expect(desk.tip()).toBe(tip);
    later(desk, 26 * hour);
    await desk.keyturn(['apply']);
    expect(desk.tip()).not.toBe(tip);
  });

  it('for what a target logs in with waits for a yes', async () => {
    desk = await bench.desk();
    await server.query("create role keyturn_root superuser login password 'root-value'");
    try {
      desk.write(
        'manifests/target.yaml',
        bench
          .targetManifest()
          .replace(
            /credentials: .*/,
            'credentials: { username: keyturn_root, password: { secret: pg/root } }',
          ),
      );
      desk.write(
        'manifests/root.yaml',
        'apiVersion: keyturn/v1\nkind: RotatedSecret\nmetadata: { name: pg/root }\nspec: { target: pg, rotator: target, initial: { password: { env: ROOT } } }\n',
      );
      desk.push();
      desk.env = { ...desk.env, ROOT: 'root-value' };
      expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
      later(desk, hour);
      const asked = await desk.keyturn(['rotate', 'pg/root', '--reason', 'leaver']);
      expect(asked.err).toContain('it is what pg logs in with and needs --yes');
      expect((await desk.keyturn(['list'])).out).toMatch(/pg\/root +pg +v1/);
      expect(await desk.keyturn(['--yes', 'rotate', 'pg/root'])).toMatchObject({ code: 0 });
      expect((await desk.keyturn(['list'])).out).toMatch(/pg\/root +pg +v2/);

      later(desk, 40 * day);
      expect((await desk.keyturn(['apply', '--only', 'pg/root'])).err).toContain('or a schedule of its own');
      desk.write(
        'manifests/root.yaml',
        `${desk.read('manifests/root.yaml').trimEnd().slice(0, -1)}, schedule: { every: 30d } }\n`,
      );
      desk.push();
      expect(await desk.keyturn(['apply', '--only', 'pg/root'])).toMatchObject({ code: 0 });
      expect((await desk.keyturn(['list'])).out).toMatch(/pg\/root +pg +v3/);
    } finally {
      await server.query('drop role keyturn_root');
    }
  });
});

describe('adoption', () => {
  it('asks the target once and changes nothing there; the first rotation waits for its due date', async () => {
    desk = await bench.desk(', initial: { password: { env: INITIAL } }, schedule: { every: 30d }');
    const before = await bench.row();
    expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
    expect((await desk.keyturn(['get', 'pg/app'])).out).toBe('initial-app-value');
    later(desk, 29 * day);
    expect((await desk.keyturn(['apply'])).err).toContain('nothing to do');
    expect(await bench.row()).toEqual(before);

    expect(await desk.keyturn(['adopt', 'pg/app'], 'initial-app-value')).toMatchObject({ code: 0 });
    expect(await bench.row()).toEqual(before);
    later(desk, 29 * day + 30 * day + hour);
    expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
    expect(await bench.row()).not.toEqual(before);
  });

  it('of a value that is not accepted is said at once, and tried again a day later', async () => {
    desk = await bench.desk(', initial: { password: { env: INITIAL } }');
    desk.env = { ...desk.env, INITIAL: 'not-the-app-value' };
    const before = await bench.row();
    expect((await desk.keyturn(['apply'])).code).toBe(3);
    const tip = desk.tip();
    for (const hours of [1, 2, 23]) {
      later(desk, hours * hour);
      const waiting = await desk.keyturn(['apply']);
      expect(waiting.err).toContain('the target did not accept it, tried again in');
    }
    expect(desk.tip()).toBe(tip);
    desk.env = { ...desk.env, INITIAL: 'initial-app-value' };
    later(desk, 25 * hour);
    expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
    expect((await desk.keyturn(['get', 'pg/app'])).out).toBe('initial-app-value');
    expect(await bench.row()).toEqual(before);
  });
});

describe('drift', () => {
  const verify = ', initial: { password: { env: INITIAL } }, verify: { every: 7d }';

  it('is looked for, written down once, and is the next plan’s matter: alarm', async () => {
    desk = await bench.desk(verify);
    await desk.keyturn(['apply']);
    later(desk, 8 * day);
    expect((await desk.keyturn(['apply'])).err).toMatch(
      /\* verify {3}pg\/app v1 {3}login due 2[34]h ago \(every 7d\)/,
    );
    const tip = desk.tip();
    desk.ahead += hour;
    expect((await desk.keyturn(['apply'])).err).toContain('nothing to do');
    expect(desk.tip()).toBe(tip);

    await server.query("alter role app password 'changed-by-hand'");
    desk.ahead += 8 * day;
    expect((await desk.keyturn(['apply'])).code).toBe(3);
    const after = desk.tip();
    desk.ahead += hour;
    const blocked = await desk.keyturn(['apply']);
    expect(blocked).toMatchObject({ code: 3 });
    expect(blocked.err).toContain('keyturn reconcile pg/app sets a new value');
    expect(desk.tip()).toBe(after);
    expect(await bench.accepts('changed-by-hand')).toBe(true);

    expect(await desk.keyturn(['adopt', 'pg/app'], 'changed-by-hand')).toMatchObject({ code: 0 });
    expect((await desk.keyturn(['plan', '--detailed-exitcode'])).code).toBe(0);
  });

  it('reset sets a new value in the run after', async () => {
    desk = await bench.desk(`${verify}, drift: reset`);
    await desk.keyturn(['apply']);
    await server.query("alter role app password 'changed-by-hand'");
    later(desk, 8 * day);
    expect((await desk.keyturn(['apply'])).code).toBe(3);
    desk.ahead += hour;
    const reset = await desk.keyturn(['apply']);
    expect(reset).toMatchObject({ code: 0 });
    expect(reset.err).toContain('drift: reset');
    expect(await bench.accepts((await desk.keyturn(['get', 'pg/app'])).out)).toBe(true);
    expect(await bench.accepts('changed-by-hand')).toBe(false);
  });

  it('adopt takes what initial names, once the target accepts that', async () => {
    desk = await bench.desk(`${verify}, drift: adopt`);
    await desk.keyturn(['apply']);
    await server.query("alter role app password 'changed-by-hand'");
    later(desk, 8 * day);
    await desk.keyturn(['apply']);
    desk.env = { ...desk.env, INITIAL: 'changed-by-hand' };
    const before = await bench.row();
    desk.ahead += hour;
    expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
    expect((await desk.keyturn(['get', 'pg/app'])).out).toBe('changed-by-hand');
    expect(await bench.row()).toEqual(before);
  });
});

describe('the calendar', () => {
  it('prints what rotates when, as text, markdown and JSON', async () => {
    desk = await bench.desk(', schedule: { every: 10d, hour: 3, timezone: Europe/Berlin }');
    await desk.keyturn(['apply']);
    const { out, code } = await desk.keyturn(['plan', '--days', '30']);
    expect(code).toBe(0);
    expect(out.trimEnd().split('\n')).toHaveLength(4);
    expect(out).toMatch(/03:00 Europe\/Berlin +pg\/app +v2/);
    expect((await desk.keyturn(['plan', '--days', '30', '--format', 'markdown'])).out).toContain('| when |');
    expect(JSON.parse((await desk.keyturn(['plan', '--days', '30', '--json'])).out)).toHaveLength(3);
    expect((await desk.keyturn(['plan', '--days', '30', '--only', 'other/*'])).out).toContain(
      'nothing rotates',
    );
    expect((await desk.keyturn(['plan', '--days', '0'])).code).toBe(1);
  });

  it('--fail-overdue tells a monitor that the job has stopped', async () => {
    desk = await bench.desk(', schedule: { every: 10d, overdueAfter: 1d }');
    await desk.keyturn(['apply']);
    later(desk, 10 * day + 23 * hour);
    expect(await desk.keyturn(['plan', '--fail-overdue'])).toMatchObject({ code: 0 });
    later(desk, 11 * day + hour);
    const late = await desk.keyturn(['plan', '--fail-overdue']);
    expect(late.code).toBe(3);
    expect(late.err).toMatch(/overdue: pg\/app, should have been rotated 2[45]h ago/);
  });
});

describe('the end of a secret', () => {
  it('unmanaged is said until destroy, which protection refuses', async () => {
    desk = await bench.desk();
    await desk.keyturn(['apply']);
    expect((await desk.keyturn(['destroy', 'pg/app'])).err).toContain('is still declared');
    desk.write('manifests/app.yaml', '');
    desk.push();
    for (let run = 0; run < 2; run += 1) {
      const plan = await desk.keyturn(['apply']);
      expect(plan).toMatchObject({ code: 0 });
      expect(plan.err).toContain('unmanaged, its manifest is gone');
    }
    const refused = await desk.keyturn(['destroy', 'pg/app']);
    expect(refused.code).toBe(3);
    expect(refused.err).toContain('is protected against deletion');

    desk.write('manifests/app.yaml', appManifest(', deleteProtection: false'));
    desk.push();
    await desk.keyturn(['apply']);
    const { out: value } = await desk.keyturn(['get', 'pg/app']);
    desk.write('manifests/app.yaml', '');
    desk.push();
    const destroyed = await desk.keyturn(['destroy', 'pg/app']);
    expect(destroyed).toMatchObject({ code: 0 });
    expect(destroyed.err).toContain('left as it is at the target');
    expect(desk.git('ls-files', 'values')).toBe('');
    expect((await desk.keyturn(['plan'])).out).toContain('nothing to do');
    expect(await bench.accepts(value)).toBe(true);
  });

  it('--retire makes the target refuse its value', async () => {
    desk = await bench.desk(', deleteProtection: false');
    await desk.keyturn(['apply']);
    const { out: value } = await desk.keyturn(['get', 'pg/app']);
    expect(await bench.accepts(value)).toBe(true);
    desk.write('manifests/app.yaml', '');
    desk.push();
    const destroyed = await desk.keyturn(['destroy', 'pg/app', '--retire']);
    expect(destroyed).toMatchObject({ code: 0 });
    expect(destroyed.err).toContain('pg accepts no value of it any more');
    expect(await bench.accepts(value)).toBe(false);
  });

  it('--retire says where it could not', async () => {
    desk = await bench.desk(', deleteProtection: false');
    await desk.keyturn(['apply']);
    desk.write('manifests/app.yaml', '');
    desk.write('manifests/target.yaml', '');
    desk.push();
    const destroyed = await desk.keyturn(['destroy', 'pg/app', '--retire']);
    expect(destroyed).toMatchObject({ code: 0 });
    expect(destroyed.err).toContain('left as it is at the target: there is no target pg any more');
  });
});
