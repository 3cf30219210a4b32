/** Sessions that meet each other, and rotations. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { putOnRecord } from '../../src/connect/record.ts';
import { heartbeat } from '../../src/connect/visit.ts';
import { openRepository } from '../../src/git/open.ts';
import { endOf, readSessions } from '../../src/state/sessions.ts';
import { type PostgresServer, startPostgres } from '../servers/postgresql.ts';
import { family, nameOf, type Running, type Stage, setStage, start, startBob } from './stage.ts';

let server: PostgresServer;
let stage: Stage;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());
afterEach(() => stage.leave());

async function set(access: string): Promise<void> {
  await server.query('drop role if exists app');
  await server.query('create role app login');
  stage = await setStage(
    `apiVersion: keyturn/v1
kind: Target
metadata: { name: pg }
spec:
  type: postgresql
  host: 127.0.0.1
  port: ${server.port}
  tls: { mode: disable }
  credentials: { username: ${server.adminUser}, password: { env: ADMIN } }
---
apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: pg/app }
spec: { target: pg, authenticateAs: target, account: { username: app }, access: ${access} }
`,
    { ADMIN: server.adminPassword },
  );
}
const value = async (): Promise<string> => (await stage.desk.keyturn(['get', 'pg/app'])).out;
const waiting = [
  'connect',
  'pg/app',
  '--',
  'sh',
  '-c',
  'psql -Atc "select 1" && echo in; cat; psql -Atc "select 7"',
];
const leave = (running: Running): Promise<unknown> => {
  running.child.stdin?.end();
  return running.ended;
};

describe('two people at once', () => {
  it('both get in where nothing is said of it', async () => {
    await set('{ enable: true }');
    const all = [startBob(stage, waiting), start(stage.desk, waiting)];
    for (const one of all) await one.shows(/^in$/m);
    for (const one of all) expect(await leave(one), one.err).toBe(0);
  });

  it('one gets in where a session is exclusive, whoever is first', async () => {
    await set('{ exclusive: true }');
    const all = [startBob(stage, waiting), start(stage.desk, waiting)];
    const lost = await Promise.race(all.map(async (one) => ({ one, code: await one.ended })));
    expect(lost.code).toBe(75);
    expect(lost.one.err).toMatch(/pg\/app: is in use by (bob|me) <\w+@example.org> from/);
    const [won] = all.filter((one) => one !== lost.one);
    await won?.shows(/^in$/m);
    expect(won && (await leave(won))).toBe(0);
    const next = startBob(stage, waiting);
    await next.shows(/^in$/m);
    expect(await leave(next), next.err).toBe(0);
  });
});

describe('a rotation', () => {
  it('waits for an exclusive session, even one that is asked for', async () => {
    await set('{ exclusive: true }');
    const old = await value();
    const running = startBob(stage, waiting);
    await running.shows(/^in$/m);
    const held = await stage.desk.keyturn(['rotate', 'pg/app']);
    expect(held.err).toMatch(/= hold +pg\/app .*bob has an exclusive session/);
    expect(await value()).toBe(old);
    expect(await leave(running)).toBe(0);
    expect((await stage.desk.keyturn(['rotate', 'pg/app'])).code).toBe(0);
    expect(await value()).not.toBe(old);
  });

  it('stops at its fence before a session that began after its plan', async () => {
    await set('{ exclusive: true }');
    const old = await value();
    let running: Running | undefined;
    stage.desk.failpoint = async (name) => {
      if (name !== 'claim.beforeCommit' || running !== undefined) return;
      running = startBob(stage, waiting);
      await running.shows(/^in$/m);
    };
    const stopped = await stage.desk.keyturn(['rotate', 'pg/app']);
    expect(stopped.code, stopped.err).toBe(75);
    expect(stopped.err).toContain('somebody has an exclusive session');
    expect(running && (await leave(running)), running?.err).toBe(0);
    expect(running?.out).toContain('7');
    expect(await value()).toBe(old);
    stage.desk.ahead = 2 * 3_600_000;
    const after = await stage.desk.keyturn(['apply']);
    expect(after.code, after.err).toBe(0);
    expect(await value()).not.toBe(old);
  });

  it('that has begun keeps an exclusive session out', async () => {
    await set('{ exclusive: true }');
    let refused: Running | undefined;
    stage.desk.failpoint = async (name) => {
      if (name !== 'fence.after') return;
      refused = startBob(stage, waiting);
      await refused.ended;
    };
    expect((await stage.desk.keyturn(['rotate', 'pg/app'])).code).toBe(0);
    expect(await refused?.ended).toBe(75);
    expect(refused?.err).toContain('is being rotated to v2');
  });

  it('during a session is told, and the session goes on with the new credential', async () => {
    await set('{ enable: true }');
    const running = startBob(stage, waiting);
    await running.shows(/^in$/m);
    expect((await stage.desk.keyturn(['rotate', 'pg/app'])).code).toBe(0);
    expect(await leave(running), running.err).toBe(0);
    expect(running.out).toMatch(/^7$/m);
    expect(running.err).toContain('pg/app was rotated to v2 during this session');
  });
});

describe('a session', () => {
  it('whose client is killed ends as that did, and is off the record', async () => {
    await set('{ enable: true }');
    const running = startBob(stage, ['connect', 'pg/app', '--', 'psql', '-Atc', 'select pg_sleep(60)']);
    const found = (): number | undefined =>
      family(running.child.pid ?? 0).find((pid) => nameOf(pid) === 'psql');
    await expect.poll(found, { timeout: 10_000 }).toBeDefined();
    process.kill(found() ?? 0, 'SIGKILL');
    expect(await running.ended).toBe(137);
    expect(sessionFiles()).toMatchObject([{ closedAt: expect.any(String) }]);
  });

  it('shows signs of life, by which it outlasts its lease and hears of a rotation', async () => {
    await set('{ enable: true }');
    const { bob } = stage;
    const repository = await openRepository(bob.clone, {
      env: bob.env,
      clock: systemClock,
      random: (bytes) => crypto.getRandomValues(new Uint8Array(bytes)),
    });
    let ahead = 0;
    const clock = { ...systemClock, now: () => new Date(systemClock.now().getTime() + ahead) };
    const record = await putOnRecord(repository, clock, {
      ...{ id: '01TEST', secret: 'pg/app', version: 1, by: await repository.author(), from: 'here' },
      ...{ protocol: 'postgresql', host: 'h:1', exclusive: false },
    });
    const told: number[] = [];
    const minute = 60_000;
    ahead = 50 * minute;
    const beat = heartbeat(record, (version) => told.push(version), 50);
    const open = (at: number): boolean =>
      sessionFiles().some((file) => endOf(file, new Date(systemClock.now().getTime() + at)) === null);
    await expect.poll(() => open(100 * minute), { timeout: 10_000 }).toBe(true);
    expect(open(111 * minute)).toBe(false);
    await beat.stop();
    expect((await stage.desk.keyturn(['rotate', 'pg/app'])).code).toBe(0);
    expect(told).toEqual([]);
    const second = heartbeat(record, (version) => told.push(version), 50);
    await expect.poll(() => told[0], { timeout: 10_000 }).toBe(2);
    await second.stop();
    expect(await record.close(false)).toEqual({ current: 2 });
    expect(open(50 * minute)).toBe(false);
  });

  it('needs the right to push', async () => {
    await set('{ enable: true }');
    const { execFileSync } = await import('node:child_process');
    const { writeFileSync } = await import('node:fs');
    writeFileSync(`${stage.bob.remote}/hooks/pre-receive`, '#!/bin/sh\nexit 1\n', { mode: 0o755 });
    execFileSync('git', ['-C', stage.bob.remote, 'config', 'core.hooksPath', 'hooks']);
    const running = startBob(stage, waiting);
    expect(await running.ended).toBe(1);
    expect(running.err).toContain('refused the record of the session');
    expect(running.out).toBe('');
  });
});

function sessionFiles() {
  const { bob } = stage;
  bob.git('fetch', '--quiet');
  const paths = bob.git('ls-tree', '-r', '--name-only', 'origin/main', 'requests/sessions');
  return readSessions(
    new Map(
      paths
        .split('\n')
        .filter(Boolean)
        .map((path) => [path, Buffer.from(bob.git('show', `origin/main:${path}`))]),
    ),
  );
}
