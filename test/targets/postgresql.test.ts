import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Tls } from '../../src/manifests/model.ts';
import { Secret } from '../../src/secret.ts';
import type { Account, ChosenRotator, RotationJob, Target } from '../../src/targets/driver.ts';
import {
  loginFailure,
  probeFailure,
  retireFailure,
  setFailure,
} from '../../src/targets/postgresql/classify.ts';
import type { Failure } from '../../src/targets/postgresql/connect.ts';
import { matches, scramVerifier } from '../../src/targets/postgresql/scram.ts';
import { postgresql } from '../../src/targets/postgresql.ts';
import { describeRotator, freshValue } from '../conformance.ts';
import { startCutProxy } from '../servers/cut-proxy.ts';
import { type PostgresServer, startPostgres } from '../servers/postgresql.ts';

let server: PostgresServer;
let made = 0;
const plain: Tls = { mode: 'disable', ca: undefined, caFile: undefined, serverName: undefined };

const targetOf = (tls: Tls = plain, host = server.host): Target => ({
  name: 'test/postgresql',
  type: 'postgresql',
  host,
  port: server.port,
  verifyHost: undefined,
  database: undefined,
  tls,
  credentials: undefined,
  concurrency: 8,
  timeout: 5_000,
  source: { file: 'test.yaml', line: 1, column: 1 },
});

interface Wanted {
  actor?: RotationJob['actor'];
  alternating?: boolean;
  /** What follows `CREATE ROLE x LOGIN PASSWORD 'y'`. */
  attributes?: string;
  tls?: Tls;
}

async function makeJob({
  actor = 'target',
  alternating,
  attributes = '',
  tls,
}: Wanted = {}): Promise<RotationJob> {
  const username = `App "${++made}"`;
  const current = freshValue();
  await server.query(
    `CREATE ROLE ${pg.escapeIdentifier(username)} LOGIN PASSWORD '${current}' ${attributes}`,
  );
  const account: Account = { usernames: [username], host: undefined };
  if (alternating) {
    await server.query(`CREATE ROLE ${pg.escapeIdentifier(`${username} b`)} LOGIN ${attributes}`);
    account.usernames = [username, `${username} b`];
  }
  return {
    target: targetOf(tls),
    username,
    host: undefined,
    account,
    actor,
    admin:
      actor === 'target'
        ? { username: server.adminUser, password: new Secret(server.adminPassword) }
        : undefined,
    current: new Secret(current),
    retain: alternating === true,
    mark: { uid: 'uid', version: 1 },
  };
}

async function accepts(username: string, password: string): Promise<boolean> {
  const client = new pg.Client({
    host: server.host,
    port: server.port,
    user: username,
    password,
    database: 'postgres',
    ssl: false,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.code === '28P01') return false;
    throw error;
  }
  await client.end();
  return true;
}

async function makeAdmin(attributes: string) {
  const username = `admin_${++made}`;
  const password = freshValue();
  await server.query(`CREATE ROLE ${username} LOGIN PASSWORD '${password}' ${attributes}`);
  return { username, password: new Secret(password) };
}

/** Runs `use` with a rotator and closes it. */
async function withRotator<T>(job: RotationJob, use: (rotator: ChosenRotator) => Promise<T>): Promise<T> {
  const rotator = postgresql.rotator(job);
  try {
    return await use(rotator);
  } finally {
    await rotator.close();
  }
}
const role = (job: RotationJob) => pg.escapeIdentifier(job.username);
const currentOf = (job: RotationJob) => job.current ?? new Secret('');
const probeCurrent = (job: RotationJob) => withRotator(job, (rotator) => rotator.probe(currentOf(job)));

describeRotator('postgresql', {
  driver: postgresql,
  can: { retain: { self: false, target: false }, witness: { self: false, target: true } },
  statement: /ALTER ROLE/,
  start: async () => {
    server = await startPostgres();
  },
  stop: () => server.stop(),
  account: ({ actor, alternating }) => makeJob({ actor, alternating: alternating === true }),
  accepts,
  powerless: () => makeAdmin(''),
});

describe('postgresql verifiers', () => {
  it('are those of RFC 7677', async () => {
    const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');
    // StoredKey and ServerKey of the example exchange: its proof and its server signature follow from them.
    const verifier = await scramVerifier('pencil', 4096, salt);
    expect(verifier).toBe(
      'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
    );
  });

  it('differ on every call and match their value alone', async () => {
    const [one, other] = [await scramVerifier('pencil', 4096), await scramVerifier('pencil', 4096)];
    expect(one).not.toBe(other);
    expect(await matches(one, 'pencil', 'user')).toBe(true);
    expect(await matches(one, 'pencils', 'user')).toBe(false);
  });

  it('of md5 are recognised, of unknown form or for text beyond ASCII not judged', async () => {
    const md5 = 'md520c46e3762c864548e296b33c3406aa9';
    expect(await matches(md5, 'pencil', 'user')).toBe(true);
    expect(await matches(md5, 'pencil', 'other')).toBe(false);
    expect(await matches('SCRAM-SHA-512$1:a$b:c', 'pencil', 'user')).toBeUndefined();
    expect(await matches(await scramVerifier('ﬁ', 4096), 'ﬁ', 'user')).toBeUndefined();
  });
});

describe('postgresql classifier', () => {
  const failure = (code: string, part: Partial<Failure> = {}): Failure => ({
    origin: 'server',
    code,
    routine: '',
    authenticated: false,
    asked: true,
    ...part,
  });
  const codes = [
    '28P01',
    '28000',
    '3D000',
    '42501',
    '42704',
    '22023',
    '25006',
    '53300',
    '55000',
    '57014',
    '57P01',
    '57P03',
    '08006',
    '08P01',
    'XX000',
    'ZZZZZ',
    'ECONNRESET',
    'TIMEOUT',
    'CLOSED',
    '',
  ];

  it.each(codes)('gives %s exactly one class in every state, and never takes no answer for a no', (code) => {
    for (const origin of ['server', 'client'] as const)
      for (const authenticated of [false, true])
        for (const asked of [false, true]) {
          const given = failure(code, { origin, authenticated, asked });
          const probe = probeFailure(given);
          expect(probe.detail).toMatch(/^[a-z]/);
          expect(['applied', 'not-sent']).not.toContain(setFailure(given).r);
          if (origin === 'client') {
            expect(['unreachable', 'inconclusive']).toContain(probe.r);
            expect(setFailure(given).r).toBe('ambiguous');
            expect(loginFailure(given).r).toBe('unreachable');
            expect(retireFailure(given).r).toBe('unreachable');
          }
          if (authenticated && !asked) expect(probe.r).toBe('inconclusive');
          if (probe.r.startsWith('ok')) expect([authenticated, asked]).toEqual([true, true]);
        }
  });

  it.each([
    ['42501', 'permission'],
    ['42704', 'no-account'],
    ['25006', 'readonly'],
    ['22023', 'policy'],
  ])('takes %s for a refusal: %s', (code, why) => {
    expect(setFailure(failure(code))).toMatchObject({ r: 'refused', why, code });
  });

  it('is ambiguous about an answer that it does not know', () => {
    expect(setFailure(failure('XX000')).r).toBe('ambiguous');
  });
});

describe('postgresql', () => {
  beforeAll(async () => {
    server = await startPostgres({ tls: true, settings: { scram_iterations: '8192' } });
  });
  afterAll(() => server.stop());

  describe('what the server says, before and after it has checked the password', () => {
    const cases: [string, string, string, string][] = [
      // After the password: a wrong one never comes so far.
      ['NOLOGIN', 'ALTER ROLE # NOLOGIN', 'ok-restricted', '28000'],
      ['CONNECTION LIMIT', 'ALTER ROLE # CONNECTION LIMIT 0', 'ok', '53300'],
      // Before or instead of it: a wrong one is answered alike.
      ['VALID UNTIL', "ALTER ROLE # VALID UNTIL '2001-01-01'", 'denied', '28P01'],
      ['PASSWORD NULL', 'ALTER ROLE # PASSWORD NULL', 'denied', '28P01'],
      [
        'a role of its own in the settings',
        'CREATE ROLE "of #"; GRANT "of #" TO #; ALTER ROLE # SET role = "of #"',
        'inconclusive',
        'OTHER_ROLE',
      ],
    ];
    it.each(cases)('%s', async (_what, sql, r, code) => {
      const job = await makeJob();
      const bare = job.username.replaceAll('"', '');
      await server.query(sql.replaceAll('"of #"', `"of ${bare}"`).replaceAll('#', role(job)));
      expect(await probeCurrent(job)).toMatchObject({ r, code });
      expect(await withRotator(job, (rotator) => rotator.probe(new Secret('wrong')))).toMatchObject({
        r: 'denied',
      });
    });

    it.each([
      ['no such database', 'no_such_database', '3D000'],
      ['no right to connect', 'closed', '42501'],
      ['a database that takes nobody', 'template0', '55000'],
    ])('%s: the value is right all the same', async (_what, database, code) => {
      if (database === 'closed') {
        await server.query('CREATE DATABASE closed');
        await server.query('REVOKE CONNECT ON DATABASE closed FROM PUBLIC');
      }
      const job = await makeJob();
      const there = { ...job, target: { ...job.target, database } };
      expect(await probeCurrent(there)).toMatchObject({ r: 'ok', code });
      expect(await withRotator(there, (rotator) => rotator.probe(new Secret('wrong')))).toMatchObject({
        r: 'denied',
      });
    });

    it('pg_hba.conf: rejected is unreachable, let in unasked proves nothing, in clear is never answered', async () => {
      const job = await makeJob();
      const rule = (method: string) =>
        `host all "${job.username.replaceAll('"', '""')}" 127.0.0.1/32 ${method}`;
      await server.admit([rule('reject')]);
      expect(await probeCurrent(job)).toMatchObject({ r: 'unreachable', code: '28000' });
      await server.admit([rule('trust')]);
      expect(await withRotator(job, (rotator) => rotator.probe(new Secret('wrong')))).toMatchObject({
        r: 'inconclusive',
        code: 'NO_PASSWORD_ASKED',
      });
      await server.admit([rule('password')]);
      const proxy = await startCutProxy(server);
      expect(await probeCurrent({ ...job, target: { ...job.target, port: proxy.port } })).toMatchObject({
        r: 'unreachable',
        code: 'CLEARTEXT',
      });
      expect(proxy.sent).not.toContain(currentOf(job).reveal());
      await proxy.stop();
      await server.admit([]);
    });
  });

  it('never shows the value to the server: not in its log, not in pg_stat_activity, not on the wire', async () => {
    const value = freshValue();
    const job = await makeJob();
    const proxy = await startCutProxy(server);
    await withRotator({ ...job, target: { ...job.target, port: proxy.port } }, async (rotator) => {
      expect(await rotator.set(new Secret(value), {})).toMatchObject({ r: 'applied' });
      const shown = await server.query(
        "SELECT query FROM pg_stat_activity WHERE application_name = 'keyturn'",
      );
      expect(JSON.stringify(shown)).toContain('ALTER ROLE');
      expect(JSON.stringify(shown)).not.toContain(value);
      expect(await rotator.probe(new Secret(value))).toMatchObject({ r: 'ok' });
    });
    await expect
      .poll(() => readFile(server.logFile, 'utf8'))
      .toContain(`ALTER ROLE ${role(job)} PASSWORD 'SCRAM-SHA-256$8192:`);
    expect(await readFile(server.logFile, 'utf8')).not.toContain(value);
    expect(proxy.sent).not.toContain(value);
    await proxy.stop();
  });

  it('derives the same keys as the server, with as many rounds as the server wants', async () => {
    const job = await makeJob();
    const [row] = await server.query(
      `SELECT rolpassword AS p FROM pg_authid WHERE rolname = '${job.username}'`,
    );
    expect(String(row?.p)).toMatch(/^SCRAM-SHA-256\$8192:/);
    expect(await matches(String(row?.p), currentOf(job).reveal(), job.username)).toBe(true);
  });

  it('recognises a value that the server keeps as md5, and warns before it moves to SCRAM', async () => {
    const job = await makeJob();
    await server.query("SET password_encryption = 'md5'");
    await server.query(`ALTER ROLE ${role(job)} PASSWORD '${currentOf(job).reveal()}'`);
    await server.query('RESET password_encryption');
    await withRotator({ ...job, current: undefined }, async (rotator) => {
      expect(await rotator.preflight()).toMatchObject({
        r: 'ready',
        warnings: [expect.stringContaining('md5')],
      });
      expect(await rotator.witness(currentOf(job), {})).toBe('applied');
      expect(await rotator.witness(new Secret('wrong'), {})).toBe('not-applied');
    });
  });

  it('takes an administrator with CREATEROLE and ADMIN OPTION, who has no witness', async () => {
    const admin = await makeAdmin('CREATEROLE');
    const job = { ...(await makeJob()), admin };
    await server.query(`GRANT ${role(job)} TO ${admin.username}`);
    await withRotator(job, async (rotator) => {
      expect(await rotator.preflight()).toMatchObject({
        r: 'refused',
        why: 'permission',
        hint: expect.stringContaining('ADMIN OPTION'),
      });
      await server.query(`GRANT ${role(job)} TO ${admin.username} WITH ADMIN OPTION`);
      expect(await rotator.preflight()).toMatchObject({ r: 'ready', witness: false, warnings: [] });
      const value = new Secret(freshValue());
      expect(await rotator.set(value, {})).toMatchObject({ r: 'applied' });
      expect(await rotator.witness(value, {})).toBe('unknown');
    });
  });

  it('does not promise an administrator below a superuser the password of one', async () => {
    const admin = await makeAdmin('CREATEROLE');
    const job = { ...(await makeJob({ attributes: 'SUPERUSER' })), admin };
    await withRotator(job, async (rotator) => {
      expect(await rotator.preflight()).toMatchObject({ r: 'refused', why: 'permission' });
      expect(await rotator.set(new Secret(freshValue()), {})).toMatchObject({
        r: 'refused',
        why: 'permission',
      });
    });
  });

  it('changes nobody else when the settings of the role make it another one', async () => {
    const job = await makeJob({ actor: 'self' });
    await server.query(
      `CREATE ROLE owner_${made}; GRANT owner_${made} TO ${role(job)}; ALTER ROLE ${role(job)} SET role = owner_${made}`,
    );
    await withRotator(job, async (rotator) => {
      expect(await rotator.preflight()).toMatchObject({ r: 'refused', code: 'OTHER_ROLE' });
      expect(await rotator.set(new Secret(freshValue()), {})).toMatchObject({
        r: 'refused',
        code: 'OTHER_ROLE',
      });
    });
    expect(await accepts(job.username, currentOf(job).reveal())).toBe(true);
  });

  it('says that a role is expired, and knows from the verifier what its denial does not tell', async () => {
    const job = await makeJob({ attributes: "VALID UNTIL '2001-01-01'" });
    await withRotator(job, async (rotator) => {
      const preflight = await rotator.preflight();
      expect(preflight).toMatchObject({
        r: 'ready',
        warnings: expect.arrayContaining([expect.stringContaining('VALID UNTIL')]),
      });
      expect(await rotator.probe(currentOf(job))).toMatchObject({
        r: 'ok-restricted',
        detail: expect.stringContaining('VALID UNTIL'),
      });
      expect(await rotator.probe(new Secret('wrong'))).toMatchObject({ r: 'denied' });
    });
  });

  it('refuses at preflight a role that may not log in, and a server that takes no change', async () => {
    const job = await makeJob();
    await server.query(`ALTER ROLE ${role(job)} NOLOGIN`);
    await withRotator(job, async (rotator) => {
      expect(await rotator.preflight()).toMatchObject({
        r: 'refused',
        hint: `ALTER ROLE ${role(job)} LOGIN`,
      });
    });
    const admin = await makeAdmin('SUPERUSER');
    await server.query(`ALTER ROLE ${admin.username} SET default_transaction_read_only = on`);
    await withRotator({ ...(await makeJob()), admin }, async (rotator) => {
      expect(await rotator.preflight()).toMatchObject({ r: 'refused', why: 'readonly' });
      expect(await rotator.set(new Secret(freshValue()), {})).toMatchObject({
        r: 'refused',
        why: 'readonly',
        code: '25006',
      });
    });
  });

  it('hears a password check of the server say no', async () => {
    const admin = await makeAdmin('SUPERUSER');
    await server.query(`ALTER ROLE ${admin.username} SET session_preload_libraries = 'passwordcheck'`);
    const job = { ...(await makeJob()), username: admin.username, admin };
    const set = await withRotator(job, (rotator) => rotator.set(new Secret(admin.username), {}));
    expect(set).toMatchObject({ r: 'refused', why: 'policy', code: '22023' });
  });

  it('lets no statement come to life after it gave up on it', async () => {
    const job = await makeJob();
    const value = freshValue();
    const hasty = { ...job, target: { ...job.target, timeout: 300 } };
    await server.query(`BEGIN; ALTER ROLE ${role(job)} CONNECTION LIMIT 9`);
    await withRotator(hasty, async (rotator) => {
      expect(await rotator.set(new Secret(value), {})).toMatchObject({ r: 'ambiguous', code: '57014' });
    });
    await server.query('ROLLBACK');
    expect(await accepts(job.username, value)).toBe(false);
    expect(await accepts(job.username, currentOf(job).reveal())).toBe(true);
  });

  it('warns when the two roles of a pair may do different things, and never shuts out a single role', async () => {
    const job = await makeJob({ alternating: true });
    const preflight = () => withRotator(job, (rotator) => rotator.preflight());
    expect(await preflight()).toMatchObject({ r: 'ready', warnings: [] });
    await server.query(
      `CREATE ROLE readers_${made}; GRANT readers_${made} TO ${role(job)}; ALTER ROLE ${role(job)} CREATEDB`,
    );
    await server.query(`CREATE TABLE t${made} (); GRANT SELECT ON t${made} TO ${role(job)}`);
    expect(await preflight()).toMatchObject({
      warnings: [
        'alternating roles have different attributes',
        'alternating roles are members of different roles',
        'alternating roles have different grants of their own',
      ],
    });
    const single = await makeJob();
    expect(await withRotator(single, (rotator) => rotator.retire(undefined))).toMatchObject({ r: 'refused' });
    expect(await accepts(single.username, currentOf(single).reveal())).toBe(true);
  });

  it('talks only to a server whose certificate the CA signed for that name', async () => {
    const ca = server.caPem;
    const trusting: Tls = { mode: 'verify', ca, caFile: 'ca.pem', serverName: undefined };
    const job = await makeJob({ tls: trusting });
    expect(await probeCurrent(job)).toMatchObject({ r: 'ok' });
    expect(await probeCurrent({ ...job, target: targetOf(trusting, 'localhost') })).toMatchObject({
      r: 'ok',
    });
    const wrong: [string, Tls][] = [
      ['system CAs', { ...trusting, ca: undefined }],
      ['another name', { ...trusting, serverName: 'db.internal' }],
    ];
    for (const [why, tls] of wrong) {
      const there = { ...job, target: targetOf(tls, 'localhost') };
      expect(await probeCurrent(there), why).toMatchObject({ r: 'unreachable' });
      const set = await withRotator(there, (rotator) => rotator.set(new Secret(freshValue()), {}));
      expect(set, why).toMatchObject({ r: 'not-sent' });
    }
    expect(postgresql.binding(job.target, job.account).tls).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(postgresql.binding(targetOf({ ...trusting, ca: undefined }), job.account).tls).toBe('system');
  });

  it('does not fall back to plain text where the server speaks no TLS', async () => {
    const bare = await startPostgres();
    try {
      const job = await makeJob({ tls: { ...plain, mode: 'verify' } });
      const there = { ...job, target: { ...job.target, port: bare.port } };
      expect(await probeCurrent(there)).toMatchObject({ r: 'unreachable', code: 'NO_TLS' });
    } finally {
      await bare.stop();
    }
  });
});
