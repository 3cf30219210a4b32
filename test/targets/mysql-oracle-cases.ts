import { expect, it } from 'vitest';
import { Secret } from '../../src/secret.ts';
import type { RotationJob } from '../../src/targets/driver.ts';
import type { DatabaseServer } from '../servers/server.ts';
import { casesFor } from './mysql-cases.ts';

const value = (job: RotationJob): Secret => job.current ?? new Secret('');

/** Oracle's MySQL alone: dual passwords, attribute, REPLACE, history, lockout. */
export function oracleCases(server: () => DatabaseServer): void {
  const { rotatorOf, account, limitedAdmin, named, draw, accepts } = casesFor(server);

  it('needs nothing but CREATE USER, and marks the version in the same statement (T5)', async () => {
    const job = { ...(await account({ actor: 'target' })), admin: await limitedAdmin(), retain: true };
    const rotator = rotatorOf(job);
    const [next, text] = draw();
    const preflight = await rotator.preflight();
    expect(preflight).toMatchObject({
      r: 'ready',
      witness: true,
      markedVersion: null,
      baseline: { mark: 'none' },
      warnings: [],
    });
    expect(await rotator.set(next, {})).toMatchObject({ r: 'applied' });
    expect(await rotator.retire(next)).toMatchObject({ r: 'retired' });
    expect(await accepts(job.username, text)).toBe(true);
    expect(await rotatorOf(job).preflight()).toMatchObject({ r: 'ready', markedVersion: job.mark.version });
    expect(
      await rotatorOf({ ...job, actor: 'self', retain: false, current: next }).preflight(),
    ).toMatchObject({
      r: 'ready',
      witness: false,
      markedVersion: job.mark.version,
    });
    const other = { ...job, mark: { uid: 'another', version: 9 } };
    expect(await rotatorOf(other).witness(next, { mark: 'none' })).toBe('unknown');
  });

  it('keeps other attributes of the account', async () => {
    const job = await account({ actor: 'target' });
    await server().query(`ALTER USER ${named(job)} ATTRIBUTE '{"team":"billing"}'`);
    expect(await rotatorOf(job).set(draw()[0], {})).toMatchObject({ r: 'applied' });
    const sql = `SELECT ATTRIBUTE->>'$.team' team FROM information_schema.user_attributes WHERE USER='${job.username}'`;
    expect(await server().query(sql)).toEqual([{ team: 'billing' }]);
  });

  it('keeps an older second value through a change without grace, until it is retired (T4)', async () => {
    const job = await account({ actor: 'target', retain: true });
    const [second, secondText] = draw();
    const [third] = draw();
    expect(await rotatorOf(job).set(second, {})).toMatchObject({ r: 'applied' });
    const next = { ...job, retain: false, current: second, mark: { ...job.mark, version: 3 } };
    expect(await rotatorOf(next).set(third, {})).toMatchObject({ r: 'applied' });
    expect(await accepts(job.username, value(job).reveal()), 'the server kept it').toBe(true);
    expect(await rotatorOf(next).retire(third)).toMatchObject({ r: 'retired' });
    expect(await accepts(job.username, value(job).reveal())).toBe(false);
    expect(await accepts(job.username, secondText)).toBe(false);
  });

  it('does not discard what may be in use after a newer version was set', async () => {
    const job = await account({ actor: 'target', retain: true });
    const newer = { ...job, mark: { ...job.mark, version: job.mark.version + 1 } };
    expect(await rotatorOf(newer).set(draw()[0], {})).toMatchObject({ r: 'applied' });
    expect(await rotatorOf(job).retire(value(job))).toMatchObject({ r: 'refused' });
    expect(await accepts(job.username, value(job).reveal())).toBe(true);
  });

  it("refuses a zombie's change by itself (T6, 3891)", async () => {
    const job = await account({ actor: 'self' });
    const zombie = rotatorOf(job);
    expect(await zombie.preflight()).toMatchObject({ r: 'ready' });
    const [live, text] = draw();
    expect(await rotatorOf(job).set(live, {})).toMatchObject({ r: 'applied' });
    expect(await zombie.set(draw()[0], {})).toMatchObject({ r: 'refused', why: 'bad-current', code: '3891' });
    expect(await accepts(job.username, text)).toBe(true);
  });

  it('names a refused history, though the value is live (3638)', async () => {
    const job = await account({ actor: 'target' });
    await server().query(`ALTER USER ${named(job)} PASSWORD HISTORY 5`);
    const [next, text] = draw();
    expect(await rotatorOf(job).set(next, {})).toMatchObject({ r: 'applied' });
    expect(await rotatorOf(job).set(next, {})).toMatchObject({ r: 'refused', why: 'history', code: '3638' });
    expect(await accepts(job.username, text)).toBe(true);
  });

  it('names a refused policy (1819)', async () => {
    await server().query("INSTALL COMPONENT 'file://component_validate_password'");
    try {
      const job = { ...(await account({ actor: 'target' })), retain: true };
      expect(await rotatorOf(job).set(new Secret('onlylowercase'), {})).toMatchObject({
        r: 'refused',
        why: 'policy',
        code: '1819',
      });
      expect(await accepts(job.username, value(job).reveal())).toBe(true);
    } finally {
      await server().query("UNINSTALL COMPONENT 'file://component_validate_password'");
    }
  });

  it('says blocked, and spends no attempt where two would block (3955)', async () => {
    const job = await account({ actor: 'target' });
    await server().query(`ALTER USER ${named(job)} FAILED_LOGIN_ATTEMPTS 2 PASSWORD_LOCK_TIME 1`);
    const careful = { ...job, current: draw()[0] };
    expect(await rotatorOf(careful).preflight()).toMatchObject({
      r: 'ready',
      warnings: [expect.stringContaining('not tried')],
    });
    for (const _ of [1, 2]) await rotatorOf(job).probe(draw()[0]);
    expect(await rotatorOf(job).probe(value(job))).toMatchObject({ r: 'blocked', code: '3955' });
    expect(await rotatorOf({ ...job, actor: 'self' }).preflight()).toMatchObject({ r: 'blocked' });
    await server().query(`ALTER USER ${named(job)} FAILED_LOGIN_ATTEMPTS 3 PASSWORD_LOCK_TIME 1`);
    for (const _ of [1, 2, 3]) await rotatorOf(job).probe(draw()[0]);
    expect(await rotatorOf(job).preflight()).toMatchObject({ r: 'blocked' });
  });

  it('knows that nobody writes where super_read_only is set', async () => {
    const job = await account({ actor: 'target' });
    await server().query('SET GLOBAL super_read_only=1');
    try {
      expect(await rotatorOf(job).preflight()).toMatchObject({ r: 'refused', why: 'readonly' });
      expect(await rotatorOf(job).set(draw()[0], {})).toMatchObject({
        r: 'refused',
        why: 'readonly',
        code: '1290',
      });
    } finally {
      await server().query('SET GLOBAL super_read_only=0');
      await server().query('SET GLOBAL read_only=0');
    }
  });

  it('needs SYSTEM_USER for an account that has it', async () => {
    const job = await account({ actor: 'target' });
    await server().query(`GRANT SYSTEM_USER ON *.* TO ${named(job)}`);
    const admin = await limitedAdmin();
    await server().query(`GRANT SELECT ON mysql.* TO '${admin.username}'@'%'`);
    expect((await rotatorOf({ ...job, admin }).preflight()).r).toBe('refused');
    expect(await rotatorOf(job).preflight()).toMatchObject({ r: 'ready' });
  });

  it('says which privilege lets an account keep its own old value', async () => {
    const job = { ...(await account({ actor: 'self' })), retain: true };
    const hint = expect.stringContaining('APPLICATION_PASSWORD_ADMIN');
    expect(await rotatorOf(job).preflight()).toMatchObject({ r: 'refused', why: 'permission', hint });
    expect(await rotatorOf(job).set(draw()[0], {})).toMatchObject({
      r: 'refused',
      why: 'permission',
      code: '1227',
    });
  });
}
