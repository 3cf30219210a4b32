/** Sessions where one value is on several hosts: each can be entered, and nobody leads them elsewhere. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { freshValue } from '../conformance.ts';
import { type SshServer, sshdMissing, startSshd } from '../servers/sshd.ts';
import { addAdmin, freshName } from '../targets/ssh-fixture.ts';
import { type Running, type Stage, setStage, startBob } from './stage.ts';

const missing = sshdMissing();
if (missing !== null && process.env.CI) throw new Error(`no private sshd: ${missing}`);

describe.skipIf(missing !== null)(
  `sessions on one of two hosts${missing === null ? '' : `: SKIPPED, ${missing}`}`,
  () => {
    let servers: SshServer[];
    let stage: Stage;
    beforeAll(async () => {
      servers = await Promise.all([startSshd(), startSshd()]);
    });
    afterAll(() => Promise.all(servers.map((server) => server.stop())));
    afterEach(() => stage.leave());

    it('go to the one that is named, and to no other place that is given its name', async () => {
      const user = freshName();
      const admins = servers.map((server) => {
        server.addUser(user, freshValue());
        return addAdmin(server, 'passwordless');
      });
      const targets = servers.map(
        ({ port, fingerprint }, index) => `apiVersion: keyturn/v1
kind: Target
metadata: { name: prod/web-${index} }
spec:
  type: ssh
  host: 127.0.0.1
  port: ${port}
  hostKeys: ["${fingerprint}"]
  sudo: passwordless
  spacing: 0s
  credentials: { username: ${admins[index]?.username}, password: { env: ADMIN_${index} } }
---
`,
      );
      stage = await setStage(
        `${targets.join('')}apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: app }
spec: { hosts: [prod/web-0, prod/web-1], values: one, authenticateAs: target, account: { username: ${user} }, access: {} }
`,
        Object.fromEntries(admins.map(({ password }, index) => [`ADMIN_${index}`, password.reveal()])),
      );
      for (const [index, server] of servers.entries()) server.run(`echo host ${index} > /etc/kt-which`);
      const ask = (...host: string[]): Running =>
        startBob(stage, ['connect', 'app', ...host, '--', 'whoami; cat /etc/kt-which']);
      for (const [host, which] of [
        [[], 0],
        [['--host', 'web-0'], 0],
        [['--host', 'web-1'], 1],
      ] as const) {
        const running = ask(...host);
        expect(await running.ended, running.err).toBe(0);
        expect(running.out).toBe(`${user}\nhost ${which}\n`);
      }
      const { bob } = stage;
      const other = bob.read('manifests/all.yaml').replace(`port: ${servers[1]?.port}`, 'port: 1');
      bob.write('manifests/all.yaml', other);
      const moved = ask('--host', 'web-1');
      expect(await moved.ended).toBe(3);
      expect(moved.err).toContain('may not be sent there: prod/web-1 is another place than it was');
      const unknown = ask('--host', 'web-2');
      expect(await unknown.ended).toBe(1);
      expect(unknown.err).toContain('it may go to 127.0.0.1, web-0, web-1');
    });
  },
);
