import { describe, expect, it } from 'vitest';
import { Secret } from '../../src/secret.ts';
import type { RotationJob } from '../../src/targets/driver.ts';
import { lacksPlugins } from '../servers/mysql-installation.ts';
import type { DatabaseServer } from '../servers/server.ts';
import { casesFor } from './mysql-cases.ts';

const value = (job: RotationJob): Secret => job.current ?? new Secret('');

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

  describe.skipIf(lacksPlugins())('with plugins that judge passwords', () => {
    it('shows them the value, and names their refusal (1819, hidden behind 1396)', async () => {
      await server().query("INSTALL SONAME 'simple_password_check'");
      try {
        for (const actor of ['target', 'self'] as const) {
          const job = await account({ actor });
          const weak = await rotatorOf(job).set(new Secret('onlylowercase'), {});
          expect(weak).toMatchObject({ r: 'refused', why: 'policy', code: '1819' });
          const [next, text] = draw();
          expect(await rotatorOf(job).set(next, {})).toMatchObject({ r: 'applied' });
          expect(await accepts(job.username, text)).toBe(true);
        }
        const job = await account({ actor: 'target', retain: true });
        const [next, text] = draw();
        expect(await rotatorOf(job).set(next, {})).toMatchObject({ r: 'applied' });
        expect(await accepts(job.username, value(job).reveal())).toBe(true);
        expect(await rotatorOf(job).retire(next)).toMatchObject({ r: 'retired' });
        expect(await accepts(job.username, text)).toBe(true);
      } finally {
        await server().query("UNINSTALL SONAME 'simple_password_check'");
      }
    });

    it('cannot keep a value where each is taken only once', async () => {
      await server().query("INSTALL SONAME 'password_reuse_check'");
      try {
        const job = await account({ actor: 'target', retain: true });
        expect(await rotatorOf(job).preflight()).toMatchObject({ r: 'refused', why: 'unsupported' });
        expect(await rotatorOf({ ...job, retain: false }).set(draw()[0], {})).toMatchObject({ r: 'applied' });
      } finally {
        await server().query("UNINSTALL SONAME 'password_reuse_check'");
      }
    });

    it('refuses an account whose method the client does not speak (ed25519)', async () => {
      await server().query("INSTALL SONAME 'auth_ed25519'");
      const job = await account({ actor: 'target' });
      await server().query(
        `ALTER USER ${named(job)} IDENTIFIED VIA ed25519 USING PASSWORD('${value(job).reveal()}')`,
      );
      expect(await rotatorOf(job).preflight()).toMatchObject({ r: 'refused', why: 'unsupported' });
      expect(await rotatorOf(job).probe(value(job))).toMatchObject({ r: 'inconclusive' });
    });
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
