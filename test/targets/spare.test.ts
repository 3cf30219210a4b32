import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Secret } from '../../src/secret.ts';
import type { RotationJob } from '../../src/targets/driver.ts';
import { driverOf } from '../../src/targets/registry.ts';
import { SpareLogins } from '../../src/targets/spare.ts';
import { startMariadb } from '../servers/mysql.ts';
import { findMariadb } from '../servers/mysql-installation.ts';
import type { DatabaseServer } from '../servers/server.ts';

/** One privileged connection for one rotation after the other, and a new one where the server has ended it. */
describe.skipIf(!findMariadb())('spare logins', () => {
  let server: DatabaseServer;
  const admin = { username: 'kt_admin', password: new Secret('Admin-0123456789-abc') };
  const accounts = ['spare_a', 'spare_b', 'spare_c'];

  beforeAll(async () => {
    server = await startMariadb();
    await server.query(`CREATE USER kt_admin@'%' IDENTIFIED BY '${admin.password.reveal()}'`);
    await server.query("GRANT ALL PRIVILEGES ON *.* TO kt_admin@'%' WITH GRANT OPTION");
    for (const name of accounts) await server.query(`CREATE USER ${name}@'%' IDENTIFIED BY 'first-value-1'`);
  }, 60_000);
  afterAll(() => server?.stop());

  const sessions = async (): Promise<string[]> =>
    (await server.query("SELECT id FROM information_schema.processlist WHERE user='kt_admin'")).map((row) =>
      String(row.id),
    );

  function jobs(spare: SpareLogins): RotationJob[] {
    const target: RotationJob['target'] = {
      name: 'db',
      type: 'mysql',
      host: server.host,
      port: server.port,
      verifyHost: undefined,
      database: undefined,
      tls: { mode: 'verify', ca: server.caPem, caFile: undefined, serverName: 'localhost' },
      credentials: undefined,
      concurrency: 8,
      timeout: 5_000,
      source: { file: 'a.yaml', line: 1, column: 1 },
    };
    return accounts.map((username) => ({
      target,
      username,
      host: '%',
      account: { usernames: [username], host: '%' },
      actor: 'target',
      // each rotation resolves the target's credentials anew
      admin: { username: admin.username, password: new Secret(admin.password.reveal()) },
      current: undefined,
      retain: false,
      mark: { uid: '01M7XF74DBP7714ZB9PVR24E5P', version: 2 },
      spare,
    }));
  }

  it('are one connection for all accounts, ended with the run, and replaced when the server ends it', async () => {
    const driver = await driverOf('mysql');
    if (driver.machine !== 'chosen') throw new Error('not the machine of chosen values');
    const spare = new SpareLogins();
    const seen: string[] = [];
    for (const [index, job] of jobs(spare).entries()) {
      const one = driver.rotator(job);
      expect(await one.set(new Secret(`Second-value-${index}`), {})).toMatchObject({ r: 'applied' });
      await one.close();
      const open = await sessions();
      expect(open).toHaveLength(1);
      seen.push(...open);
      if (index === 1) await server.query(`KILL ${open[0]}`);
    }
    expect(seen[1]).toBe(seen[0]);
    expect(seen[2]).not.toBe(seen[0]);
    await spare.close();
    await expect.poll(sessions, { timeout: 5_000 }).toEqual([]);
  });

  it('are asked once what stays as it is, and for each account what does not', async () => {
    const driver = await driverOf('mysql');
    if (driver.machine !== 'chosen') throw new Error('not the machine of chosen values');
    const spare = new SpareLogins();
    const before = readFileSync(server.logFile).length;
    for (const job of jobs(spare)) {
      const one = driver.rotator(job);
      expect(await one.preflight()).toMatchObject({ r: 'ready', witness: true });
      expect(await one.set(new Secret(`Third-value-of-${job.username}`), {})).toMatchObject({ r: 'applied' });
      await one.close();
    }
    await spare.close();
    const log = readFileSync(server.logFile).subarray(before).toString();
    const asked = (what: RegExp): number => log.match(what)?.length ?? 0;
    expect([asked(/SHOW GRANTS/g), asked(/SELECT VERSION\(\)/g), asked(/PASSWORD VALIDATION/g)]).toEqual([
      1, 1, 1,
    ]);
    expect([asked(/SELECT Priv p /g), asked(/ALTER USER /g), asked(/DO 0/g)]).toEqual([3, 3, 2]);
  });

  it('are never an account of its own, nor a login with another value', async () => {
    const spare = new SpareLogins();
    const [job] = jobs(spare);
    if (!job?.admin) throw new Error('no job');
    spare.keep(job.target, job.admin, 'held', () => undefined);
    expect(spare.take(job.target, { ...job.admin, password: new Secret('other-value-1') })).toBeUndefined();
    expect(spare.take({ ...job.target }, job.admin)).toBeUndefined();
    expect(spare.take(job.target, job.admin)).toBe('held');
    expect(spare.take(job.target, job.admin)).toBeUndefined();
  });
});
