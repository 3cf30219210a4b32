/** A run that dies at any step leaves every live value recorded, and the next run ends it (protocol I1, I2). */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Desk, takeDesk } from '../commands/desk.ts';
import { freshValue } from '../conformance.ts';
import { rotation } from '../crash/failpoints.ts';
import { type SshServer, sshdMissing, startSshd } from '../servers/sshd.ts';
import { tally } from '../tally.ts';
import { accepts, addAdmin, freshName } from './ssh-fixture.ts';

const missing = sshdMissing();
if (missing !== null && process.env.CI) throw new Error(`no private sshd: ${missing}`);

const modes = {
  target: 'authenticateAs: target',
  limited: 'authenticateAs: target',
  self: 'initial: { password: { env: FIRST } }',
  key: 'rotator: ssh-key, authenticateAs: target, grace: 24h',
} as const;
type Mode = keyof typeof modes;
/** Keys never meet PAM's password stack. */
const runs: [Mode, boolean][] = [
  ['target', true],
  ['self', true],
  ['key', true],
  ['limited', true],
  ['self', false],
];
/** `set.beforeSend` and `set.afterSend` are on the wire: the server itself hangs up there. */
const wire = { 'set.beforeSend': 'lose-request', 'set.afterSend': 'lose-reply' } as const;
const places = rotation.filter((name) => !/beforeCommit|claim\.push/.test(name));

describe.skipIf(missing !== null)(`ssh crashes${missing === null ? '' : `: SKIPPED, ${missing}`}`, () => {
  let servers: { with: SshServer; without: SshServer };
  let server: SshServer;
  let desk: Desk;
  let user: string;
  beforeAll(async () => {
    servers = { with: await startSshd(), without: await startSshd({ pam: false }) };
  });
  afterAll(async () => {
    await servers.with.stop();
    await servers.without.stop();
  });
  afterEach(() => desk.leave());

  async function settle(mode: Mode): Promise<void> {
    user = freshName();
    const { username: admin, password } = addAdmin(server, mode === 'limited' ? 'limited' : 'passwordless');
    const first = freshValue();
    server.addUser(user, first);
    desk = takeDesk({ ADMIN: password.reveal(), FIRST: first });
    expect(await desk.keyturn(['init', '--name', 'acme'])).toMatchObject({ code: 0 });
    for (const path of ['targets/db.yaml', 'roles/app.yaml', 'secrets/app-db.yaml'])
      desk.write(`manifests/${path}`, '');
    desk.write(
      'manifests/all.yaml',
      `apiVersion: keyturn/v1
kind: Target
metadata: { name: host }
spec:
  type: ssh
  host: 127.0.0.1
  port: ${server.port}
  hostKeys: ["${server.fingerprint}"]
  sudo: passwordless
  spacing: 0s
  credentials: { username: ${admin}, password: { env: ADMIN } }
---
apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: app }
spec: { target: host, account: { username: ${user} }, ${modes[mode]} }
`,
    );
    desk.push('Declare');
    expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
    desk.ahead += 3_600_000;
  }

  const get = async (...more: string[]): Promise<string> => (await desk.keyturn(['get', 'app', ...more])).out;
  const isLive = (mode: Mode, value: string): Promise<boolean> =>
    accepts(server, user, mode === 'key' ? { privateKey: value } : { password: value });

  describe.each(runs)('%s, PAM %s', (mode, pam) => {
    beforeAll(() => {
      server = pam ? servers.with : servers.without;
    });
    it.each(places.filter((name) => mode !== 'key' || !(name in wire)))('at %s', async (place) => {
      await settle(mode);
      let struck = () => false;
      const fault = wire[place as keyof typeof wire];
      if (fault === undefined)
        desk.failpoint = async (name) => {
          if (name !== place) return;
          struck = () => true;
          throw new Error('died here');
        };
      else struck = server.arm(fault);
      await desk.keyturn(['rotate', 'app']);
      desk.failpoint = async () => undefined;
      expect(struck()).toBe(true);
      tally('deaths at a step', 1);

      const recorded = await Promise.all([get('--version', '1'), get('--version', '2')]);
      const live: boolean[] = [];
      for (const value of recorded) live.push(value !== '' && (await isLive(mode, value)));
      expect(live).toContain(true);

      desk.ahead += 3_600_000;
      expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
      expect(await isLive(mode, await get())).toBe(true);
      expect((await desk.keyturn(['show', 'app'])).out).toMatch(/pending\s+none/);
      const tip = desk.tip();
      expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
      expect(desk.tip()).toBe(tip);
    });
  });
});
