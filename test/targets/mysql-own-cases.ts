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

  it('discards an older second value when there is no grace (T4)', async () => {
    const job = await account({ actor: 'target', retain: true });
    const [second, secondText] = draw();
    const [third] = draw();
    expect(await rotatorOf(job).set(second, {})).toMatchObject({ r: 'applied' });
    const next = { ...job, retain: false, current: second, mark: { ...job.mark, version: 3 } };
    expect(await rotatorOf(next).set(third, {})).toMatchObject({ r: 'applied' });
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

/** MariaDB alone: `VIA a OR b`, the stored hash, other ways to log in. */
export function mariadbCases(server: () => DatabaseServer): void {
  const { rotatorOf, account, limitedAdmin, named, draw, accepts } = casesFor(server);

  it('works without sight of mysql.global_priv, and says what that costs', async () => {
    const job = { ...(await account({ actor: 'target' })), admin: await limitedAdmin() };
    const [next, text] = draw();
    expect(await rotatorOf(job).preflight()).toMatchObject({
      r: 'ready',
      witness: false,
      warnings: [expect.stringContaining('global_priv')],
    });
    expect(await rotatorOf(job).set(next, {})).toMatchObject({ r: 'applied' });
    expect(await rotatorOf(job).witness(next, {})).toBe('unknown');
    expect(await rotatorOf(job).retire(next)).toMatchObject({ r: 'retired' });
    expect(await accepts(job.username, text)).toBe(true);
  });

  it('does not retire to a value that is not live', async () => {
    const job = await account({ actor: 'target' });
    expect(await rotatorOf(job).retire(draw()[0])).toMatchObject({ r: 'refused' });
    expect(await accepts(job.username, value(job).reveal())).toBe(true);
  });

  it('refuses an account with a way to log in that it would take away', async () => {
    const job = await account({ actor: 'target' });
    const hash = `'${(await server().query(`SELECT PASSWORD('${value(job).reveal()}') p`))[0]?.p}'`;
    await server().query(
      `ALTER USER ${named(job)} IDENTIFIED VIA mysql_native_password USING ${hash} OR unix_socket`,
    );
    for (const actor of ['target', 'self'] as const) {
      expect(await rotatorOf({ ...job, actor }).preflight()).toMatchObject({
        r: 'refused',
        why: 'unsupported',
      });
    }
  });

  it('does not let an account with two values change only one of them', async () => {
    const job = await account({ actor: 'target', retain: true });
    const [next] = draw();
    expect(await rotatorOf(job).set(next, {})).toMatchObject({ r: 'applied' });
    const self: RotationJob = { ...job, actor: 'self', retain: false, current: next };
    expect(await rotatorOf(self).preflight()).toMatchObject({ r: 'refused', why: 'unsupported' });
    expect(await rotatorOf(self).retire(next)).toMatchObject({ r: 'refused' });
  });

  it('says blocked (4150)', async () => {
    const job = await account({ actor: 'target' });
    await server().query('SET GLOBAL max_password_errors=2');
    try {
      const preflight = await rotatorOf({ ...job, current: draw()[0] }).preflight();
      expect(preflight).toMatchObject({ r: 'ready', warnings: [expect.stringContaining('not tried')] });
      for (const _ of [1, 2]) await rotatorOf(job).probe(draw()[0]);
      expect(await rotatorOf(job).probe(value(job))).toMatchObject({ r: 'blocked', code: '4150' });
    } finally {
      await server().query('SET GLOBAL max_password_errors=4294967295');
      await server().query('FLUSH PRIVILEGES');
    }
  });
}
