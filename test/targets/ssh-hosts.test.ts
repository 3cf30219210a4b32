/** One document, three hosts, one of which does not answer. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Desk, takeDesk } from '../commands/desk.ts';
import { freshValue } from '../conformance.ts';
import { type SshServer, sshdMissing, startSshd } from '../servers/sshd.ts';
import { accepts, addAdmin, freshName } from './ssh-fixture.ts';

const missing = sshdMissing();
if (missing !== null && process.env.CI) throw new Error(`no private sshd: ${missing}`);

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
});
