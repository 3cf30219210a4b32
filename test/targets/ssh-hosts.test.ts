/** One document, three hosts, one of which does not answer. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Desk, takeDesk } from '../commands/desk.ts';
import { freshValue } from '../conformance.ts';
import { type SshServer, sshdMissing, startSshd } from '../servers/sshd.ts';
import { accepts, addAdmin, freshName } from './ssh-fixture.ts';

// Three servers, and every probe of one that does not answer waits for its whole timeout.
vi.setConfig({ testTimeout: 180_000 });

const missing = sshdMissing();
if (missing !== null && process.env.CI) throw new Error(`no private sshd: ${missing}`);

const entry = fileURLToPath(new URL('../crash/cli.ts', import.meta.url));
const hour = 3_600_000;
const names = ['web-1', 'web-2', 'web-3'] as const;
type Name = (typeof names)[number];

describe.skipIf(missing !== null)(`ssh hosts${missing === null ? '' : `: SKIPPED, ${missing}`}`, () => {
  let servers: Record<Name, SshServer>;
  let desk: Desk;
  let user: string;
  beforeAll(async () => {
    const [one, two, three] = await Promise.all(names.map(() => startSshd()));
    if (!one || !two || !three) throw new Error('three servers were asked for');
    servers = { 'web-1': one, 'web-2': two, 'web-3': three };
  });
  afterAll(() => Promise.all(names.map((name) => servers[name].stop())));
  afterEach(() => {
    for (const name of names) servers[name].wake();
    desk.leave();
  });

  const targets = (admins: Record<Name, string>): string =>
    names
      .map(
        (name) => `apiVersion: keyturn/v1
kind: Target
metadata: { name: prod/${name} }
spec:
  type: ssh
  host: 127.0.0.1
  port: ${servers[name].port}
  hostKeys: ["${servers[name].fingerprint}"]
  sudo: passwordless
  spacing: 0s
  timeout: 3s
  credentials: { username: ${admins[name]}, password: { env: ADMIN_${name.slice(-1)} } }
---
`,
      )
      .join('');

  let declared: string;
  /** `spec` of the one secret, `app`; every host has the account, with the password in FIRST. */
  async function settle(spec: string): Promise<void> {
    user = freshName();
    const env: Record<string, string> = { FIRST: freshValue() };
    const admins = { 'web-1': '', 'web-2': '', 'web-3': '' };
    for (const name of names) {
      const admin = addAdmin(servers[name], 'passwordless');
      admins[name] = admin.username;
      env[`ADMIN_${name.slice(-1)}`] = admin.password.reveal();
      servers[name].addUser(user, env.FIRST ?? '');
    }
    desk = takeDesk(env);
    expect(await desk.keyturn(['init', '--name', 'acme'])).toMatchObject({ code: 0 });
    for (const path of ['targets/db.yaml', 'roles/app.yaml', 'secrets/app-db.yaml'])
      desk.write(`manifests/${path}`, '');
    declared = targets(admins);
    declare(spec);
  }
  function declare(spec: string, hosts: readonly string[] = names): void {
    desk.write(
      'manifests/all.yaml',
      `${declared}apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: app }
spec: { hosts: [${hosts.map((name) => `prod/${name}`).join(', ')}], account: { username: ${user} }, ${spec} }
`,
    );
    desk.push('Declare');
  }
  const get = async (...args: string[]): Promise<string> => (await desk.keyturn(['get', ...args])).out;
  const lets = (name: Name, password: string): Promise<boolean> => accepts(servers[name], user, { password });

  it('each have a value of their own, and one that does not answer is finished by the next run', async () => {
    await settle('authenticateAs: target');
    expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
    const first = await Promise.all(names.map((name) => get(`app/${name}`)));
    expect(new Set(first).size).toBe(3);
    desk.ahead += hour;
    desk.failpoint = async (at) => {
      if (at === 'set.beforeConnect') servers['web-3'].hang();
    };
    const broken = await desk.keyturn(['rotate', ...names.map((name) => `app/${name}`)]);
    desk.failpoint = async () => undefined;
    expect(broken.code).toBe(75);
    servers['web-3'].wake();
    expect(await lets('web-1', await get('app/web-1'))).toBe(true);
    expect(await lets('web-2', await get('app/web-2'))).toBe(true);
    expect((await desk.keyturn(['list'])).out).toMatch(/app\/web-3 .*v2 pending/);
    desk.ahead += hour;
    const plan = await desk.keyturn(['plan']);
    expect(plan.out).toContain('plan: 1 resume, 2 unchanged');
    expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
    const last = await get('app/web-3');
    expect(last).not.toBe(first[2]);
    expect(await lets('web-3', last)).toBe(true);
    const whole = await desk.keyturn(['get', 'app']);
    expect(whole.err).toContain('name one: app/web-1, app/web-2, app/web-3');
  });

  const hashes = (): string[] =>
    names.map((name) => servers[name].run(`getent shadow ${user}`).split(':')[1] ?? '');
  /** The real process, killed at a step. */
  async function killed(args: string[], at: string): Promise<string | null> {
    const child = spawn(process.execPath, [entry, ...args], {
      cwd: desk.clone,
      env: { ...desk.env, MACHINE: 'me:desk', CLOCK_OFFSET: String(desk.ahead), KILL_AT: at },
      stdio: 'ignore',
    });
    return new Promise((resolve) => child.once('exit', (_, signal) => resolve(signal)));
  }
  async function allHave(value: string): Promise<void> {
    expect(value).not.toBe('');
    for (const name of names) expect(await lets(name, value), name).toBe(true);
  }

  describe('with one value', () => {
    const modes = {
      'set by their targets': 'values: one, authenticateAs: target, access: { enable: true }',
      'changed by the account': 'values: one, initial: { password: { env: FIRST } }',
    };

    it.each(Object.entries(modes))('%s: what one misses is finished there alone', async (_, spec) => {
      await settle(spec);
      expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
      const one = await get('app');
      await allHave(one);
      desk.ahead += hour;
      let sets = 0;
      desk.failpoint = async (at) => {
        if (at === 'set.beforeConnect' && ++sets === 2) servers['web-3'].hang();
      };
      const broken = await desk.keyturn(['rotate', 'app']);
      desk.failpoint = async () => undefined;
      expect(broken).toMatchObject({ code: 75 });
      expect(broken.err).toContain('2 of 3 hosts have v2; prod/web-3: ');
      servers['web-3'].wake();

      const plain = await desk.keyturn(['get', 'app']);
      expect(plain).toMatchObject({ code: 0, out: one });
      expect(plain.err).toContain('app: this is v1, but web-1 has v2, web-2 has v2');
      for (const name of names) expect(await lets(name, await get('app', '--host', name)), name).toBe(true);
      expect(await get('app', '--host', 'prod/web-3')).toBe(one);
      if (spec.includes('access'))
        expect(await desk.keyturn(['connect', 'app', '--', 'id', '-un'])).toMatchObject({
          code: 0,
          out: `${user}\n`,
        });
      expect((await desk.keyturn(['get', 'app', '--host', 'web-4'])).err).toContain(
        'its hosts are web-1, web-2, web-3',
      );
      expect((await desk.keyturn(['list'])).out).toContain('v2 on 2 of 3 hosts');
      expect((await desk.keyturn(['show', 'app'])).out).toMatch(
        /prod\/web-3 \(127.* has v1; set: unreachable/,
      );
      expect((await desk.keyturn(['plan'])).out).toContain(
        '2 of 3 hosts have v2; prod/web-3: set failed (unreachable',
      );

      const before = hashes();
      desk.ahead += hour;
      expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
      expect(hashes().slice(0, 2)).toEqual(before.slice(0, 2));
      const two = await get('app');
      expect(two).not.toBe(one);
      await allHave(two);
      expect((await desk.keyturn(['list'])).out).toMatch(/app .*v2 .*ok/);
      expect((await desk.keyturn(['get', 'app'])).err).not.toContain('this is');
      expect(await desk.keyturn(['verify'])).toMatchObject({ code: 0 });
      const tip = desk.tip();
      expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
      expect(desk.tip()).toBe(tip);
    });

    it('tells what is live on a host that took the value and then did not answer', async () => {
      await settle('values: one, authenticateAs: target');
      expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
      desk.ahead += hour;
      let sets = 0;
      desk.failpoint = async (at) => {
        if (at === 'set.beforeConnect' && ++sets === 2) servers['web-3'].stall();
      };
      const broken = await desk.keyturn(['rotate', 'app']);
      desk.failpoint = async () => undefined;
      expect(broken.err).toContain('2 of 3 hosts have v2; prod/web-3: ');
      servers['web-3'].wake();
      for (const name of names) expect(await lets(name, await get('app', '--host', name)), name).toBe(true);
      expect(desk.git('show', 'origin/main:values/app@hosts')).toBe('web-1 2\nweb-2 2\nweb-3 2');
      expect((await desk.keyturn(['get', 'app'])).err).toContain('app: this is v1, but ');
      desk.ahead += hour;
      expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
      await allHave(await get('app'));
    });

    it.each([
      'set.beforeConnect#1',
      'set.afterAck#1',
      'verify.before#2',
      'set.beforeConnect#3',
      'promote.beforeCommit#1',
    ])('killed at %s: every live value is recorded, and a rerun ends it everywhere', async (place) => {
      await settle('values: one, authenticateAs: target');
      expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
      desk.ahead += hour;
      expect(await killed(['rotate', 'app'], place)).toBe('SIGKILL');
      const recorded = await Promise.all([get('app', '--version', '1'), get('app', '--version', '2')]);
      for (const name of names) {
        const live = [];
        for (const value of recorded) live.push(await lets(name, value));
        expect(live, name).toContain(true);
      }
      desk.ahead += hour;
      expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
      expect(await get('app')).toBe(recorded[1]);
      await allHave(recorded[1] ?? '');
      expect((await desk.keyturn(['show', 'app'])).out).toMatch(/pending\s+none/);
    });

    it('begins nothing while a host is down, and changes none of the others', async () => {
      await settle('values: one, authenticateAs: target');
      expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
      desk.ahead += hour;
      servers['web-2'].hang();
      const tip = desk.tip();
      const before = hashes();
      const said = await desk.keyturn(['rotate', 'app']);
      expect(said.err).toMatch(/prod\/web-2: .*; no host was changed/);
      expect(hashes()).toEqual(before);
      expect(desk.git('log', '--format=%s', `${tip}..origin/main`)).not.toContain('claim');
    });

    it('takes a host in after rebind, and says what it leaves behind on one that goes', async () => {
      await settle('values: one, authenticateAs: target');
      declare('values: one, authenticateAs: target', ['web-1', 'web-2']);
      expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
      const one = await get('app');
      expect(await lets('web-3', one)).toBe(false);

      declare('values: one, authenticateAs: target', ['web-2', 'web-3']);
      desk.ahead += hour;
      const plan = (await desk.keyturn(['plan'])).out;
      expect(plan).toContain('prod/web-3 was added: keyturn rebind app lets it have the next version');
      expect(plan).toContain('prod/web-1 is no host of it any more: its account there keeps v1');
      expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
      expect(await lets('web-3', one)).toBe(false);
      expect((await desk.keyturn(['rebind', 'app', '--yes'])).err).toContain(
        'prod/web-3: is new, at 127.0.0.1',
      );
      expect((await desk.keyturn(['plan'])).out).toContain('prod/web-3 has no version yet, on 2 hosts');
      expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
      const two = await get('app');
      expect([await lets('web-1', two), await lets('web-2', two), await lets('web-3', two)]).toEqual([
        false,
        true,
        true,
      ]);
      expect(await lets('web-1', one)).toBe(true);
      expect((await desk.keyturn(['plan'])).out).not.toContain('web-1');
      expect((await desk.keyturn(['get', 'app', '--host', 'web-1'])).code).toBe(1);
    });

    it('a key: both lines on every host while the grace lasts, the old one gone from all after it', async () => {
      await settle('values: one, rotator: ssh-key, authenticateAs: target, grace: 24h');
      const letsKey = (value: string): Promise<boolean[]> =>
        Promise.all(names.map((name) => accepts(servers[name], user, { privateKey: value })));
      expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
      const one = await get('app');
      desk.ahead += hour;
      expect(await desk.keyturn(['rotate', 'app'])).toMatchObject({ code: 0 });
      const two = await get('app');
      expect([...(await letsKey(one)), ...(await letsKey(two))]).toEqual(Array(6).fill(true));
      desk.ahead += 25 * hour;
      servers['web-3'].hang();
      const late = await desk.keyturn(['apply']);
      expect(late.err).toContain('prod/web-3: ');
      servers['web-3'].wake();
      expect(await letsKey(two)).toEqual([true, true, true]);
      expect((await desk.keyturn(['show', 'app'])).out).toMatch(/v1 +retiring/);
      expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
      expect(await letsKey(one)).toEqual([false, false, false]);
      expect(await letsKey(two)).toEqual([true, true, true]);
    });
  });
});
