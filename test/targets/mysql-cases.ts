import { readFileSync } from 'node:fs';
import { afterEach, expect, it } from 'vitest';
import { Secret } from '../../src/secret.ts';
import type { ChosenRotator, Credentials, RotationJob } from '../../src/targets/driver.ts';
import { mysql } from '../../src/targets/mysql.ts';
import { type AccountOptions, freshValue } from '../conformance.ts';
import { startCutProxy } from '../servers/cut-proxy.ts';
import type { DatabaseServer } from '../servers/server.ts';
import { accepts, freshJob, targetOf } from './mysql-fixture.ts';

/** What the cases of one server need; `server` is running when they do. */
export function casesFor(server: () => DatabaseServer) {
  const open: ChosenRotator[] = [];
  afterEach(async () => {
    for (const rotator of open.splice(0)) await rotator.close();
  });
  const rotatorOf = (job: RotationJob): ChosenRotator => {
    const rotator = mysql.rotator(job);
    open.push(rotator);
    return rotator;
  };
  const account = (options: AccountOptions & { host?: string }) => freshJob(server(), options);
  /** An administrator with nothing but CREATE USER. */
  const limitedAdmin = async (): Promise<Credentials> => {
    const { username, current } = await account({ actor: 'self' });
    await server().query(`GRANT CREATE USER ON *.* TO '${username}'@'%'`);
    return { username, password: current ?? new Secret('') };
  };
  const named = (job: RotationJob) => `'${job.username}'@'${job.host}'`;
  const draw = (): [Secret, string] => {
    const text = freshValue();
    return [new Secret(text), text];
  };
  return {
    rotatorOf,
    account,
    limitedAdmin,
    named,
    draw,
    accepts: (u: string, v: string) => accepts(server(), u, v),
  };
}

/** What MySQL and MariaDB have in common (protocol §1.1, §3.6). */
export function commonCases(server: () => DatabaseServer): void {
  const { rotatorOf, account, limitedAdmin, named, draw, accepts } = casesFor(server);
  const awkward = `x' PASSWORD EXPIRE -- \\' "\\`;

  it.each([true, false])(
    'quotes an adopted value under NO_BACKSLASH_ESCAPES (retain: %s)',
    async (retain) => {
      await server().query("SET GLOBAL sql_mode='NO_BACKSLASH_ESCAPES'");
      try {
        const job = { ...(await account({ actor: 'target' })), current: new Secret(awkward), retain };
        const doubled = awkward.replaceAll("'", "''");
        await server().query(
          `ALTER USER ${named(job)} IDENTIFIED BY '${server().kind === 'mysql' ? doubled.replaceAll('\\', '\\\\') : doubled.replaceAll('\\', '\\\\')}'`,
        );
        const [value, text] = draw();
        const self: RotationJob = { ...job, actor: 'self', retain: false };
        const rotator = rotatorOf(retain ? job : self);
        expect(await rotator.preflight()).toMatchObject({ r: 'ready', warnings: [] });
        expect(await rotator.set(value, {})).toMatchObject({ r: 'applied' });
        expect(await rotator.probe(value)).toMatchObject({ r: 'ok' });
        expect(await accepts(job.username, text)).toBe(true);
        expect(await accepts(job.username, awkward)).toBe(retain);
      } finally {
        await server().query("SET GLOBAL sql_mode=''");
      }
    },
  );

  it('takes 256 bytes and refuses 257 unsent (T15); without TLS 213, which a 2048 bit RSA key can carry', async () => {
    const plain = await account({ actor: 'target' });
    const tls = { mode: 'verify', ca: server().caPem, caFile: undefined, serverName: undefined } as const;
    for (const [job, most] of [
      [plain, 213],
      [{ ...plain, target: targetOf(server(), { tls }) }, 256],
    ] as const) {
      expect(mysql.constraints(job.target).maxLength).toBe(most);
      const longest = new Secret('a'.repeat(most));
      expect(await rotatorOf(job).set(longest, {})).toMatchObject({ r: 'applied' });
      expect(await rotatorOf(job).probe(longest)).toMatchObject({ r: 'ok' });
      expect(await accepts(job.username, longest.reveal())).toBe(true);
      expect(await rotatorOf(job).set(new Secret('a'.repeat(most + 1)), {})).toMatchObject({
        r: 'refused',
        why: 'policy',
      });
    }
  });

  it.each(['PASSWORD EXPIRE', 'ACCOUNT LOCK'])(
    'knows the right value on an account with %s (T9)',
    async (clause) => {
      const job = await account({ actor: 'target' });
      await server().query(`ALTER USER ${named(job)} ${clause}`);
      expect(await rotatorOf(job).probe(job.current ?? new Secret(''))).toMatchObject({ r: 'ok-restricted' });
      expect(await rotatorOf(job).probe(draw()[0])).toMatchObject({ r: 'denied' });
      expect(await rotatorOf(job).preflight()).toMatchObject({
        r: 'ready',
        warnings: [expect.stringContaining('expired or locked')],
      });
      expect(await rotatorOf({ ...job, actor: 'self' }).preflight()).toMatchObject({
        r: 'refused',
        why: 'permission',
      });
    },
  );

  it("tells 'u'@'%' from 'u'@'127.0.0.1' (T10)", async () => {
    const job = await account({ actor: 'target' });
    const value = job.current?.reveal();
    await server().query(`CREATE USER '${job.username}'@'127.0.0.1' IDENTIFIED BY '${value}'`);
    const rotator = rotatorOf(job);
    expect(await rotator.probe(job.current ?? new Secret(''))).toMatchObject({
      r: 'inconclusive',
      code: 'OTHER_ACCOUNT',
    });
    expect(await rotator.preflight()).toMatchObject({ r: 'refused', why: 'unsupported' });
    const self: RotationJob = { ...job, actor: 'self' };
    expect(await rotatorOf(self).preflight()).toMatchObject({ r: 'refused', why: 'unsupported' });
    expect(await rotatorOf(self).set(draw()[0], {})).toMatchObject({ r: 'not-sent' });
    expect(await accepts(job.username, value ?? '')).toBe(true);

    const right: RotationJob = { ...job, host: '127.0.0.1', account: { ...job.account, host: '127.0.0.1' } };
    const [next] = draw();
    expect(await rotatorOf(right).set(next, {})).toMatchObject({ r: 'applied' });
    expect(await rotatorOf(right).probe(next)).toMatchObject({ r: 'ok' });
  });

  it('sees a read-only server before and at the change (1290)', async () => {
    const job = { ...(await account({ actor: 'target' })), admin: await limitedAdmin() };
    await server().query('SET GLOBAL read_only=1');
    try {
      for (const actor of ['target', 'self'] as const) {
        const rotator = rotatorOf({ ...job, actor });
        expect(await rotator.preflight()).toMatchObject({ r: 'refused', why: 'readonly' });
        expect(await rotator.set(draw()[0], {})).toMatchObject({
          r: 'refused',
          why: 'readonly',
          code: '1290',
        });
      }
    } finally {
      await server().query('SET GLOBAL read_only=0');
    }
    expect(await rotatorOf(job).probe(job.current ?? new Secret(''))).toMatchObject({ r: 'ok' });
  });

  it('verifies at verifyHost and changes at host', async () => {
    const job = await account({ actor: 'target' });
    const elsewhere = { ...job, target: targetOf(server(), { verifyHost: '127.0.0.2' }) };
    const [value, text] = draw();
    expect(await rotatorOf(elsewhere).preflight()).toMatchObject({ r: 'unreachable' });
    expect(await rotatorOf(elsewhere).set(value, {})).toMatchObject({ r: 'applied' });
    expect(await rotatorOf(elsewhere).probe(value)).toMatchObject({ r: 'unreachable', code: 'ECONNREFUSED' });
    expect(await accepts(job.username, text)).toBe(true);
  });

  it('warns of a pair with different grants, and needs both users', async () => {
    const job = await account({ actor: 'target', alternating: true });
    expect(await rotatorOf(job).preflight()).toMatchObject({ r: 'ready', warnings: [] });
    await server().query(`GRANT PROCESS ON *.* TO ${named(job)}`);
    expect(await rotatorOf(job).preflight()).toMatchObject({
      warnings: ['alternating users have different grants'],
    });
    const other = job.account.usernames.find((username) => username !== job.username);
    await server().query(`DROP USER '${other}'@'%'`);
    expect(await rotatorOf(job).preflight()).toMatchObject({ r: 'refused', why: 'no-account' });
    expect(await rotatorOf({ ...job, actor: 'self' }).preflight()).toMatchObject({
      r: 'refused',
      why: 'unsupported',
    });
  });

  it('never locks the only user', async () => {
    const job = await account({ actor: 'target' });
    expect(await rotatorOf(job).retire(undefined)).toMatchObject({ r: 'refused' });
    expect(await accepts(job.username, job.current?.reveal() ?? '')).toBe(true);
  });

  it('offers the server no local files', async () => {
    const job = await account({ actor: 'target' });
    const proxy = await startCutProxy({ host: server().host, port: server().port });
    try {
      const through = { ...job, target: { ...job.target, port: proxy.port } };
      expect(await rotatorOf(through).probe(job.current ?? new Secret(''))).toMatchObject({ r: 'ok' });
      const capabilities = Buffer.from(proxy.sent.slice(4, 8), 'latin1').readUInt32LE();
      expect(capabilities & 0x200, 'protocol 4.1').not.toBe(0);
      expect(capabilities & 0x80, 'local files').toBe(0);
    } finally {
      await proxy.stop();
    }
  });

  it("leaves no value in the server's log", async () => {
    const drawn: string[] = [];
    for (const actor of ['target', 'self'] as const) {
      const job = await account({ actor });
      const [value, text] = draw();
      drawn.push(text);
      expect(await rotatorOf(job).set(value, {})).toMatchObject({ r: 'applied' });
    }
    const log = readFileSync(server().logFile, 'latin1');
    expect(log).toMatch(/ALTER USER/);
    for (const text of drawn) expect(log.includes(text)).toBe(false);
  });
}
