import { describe, it } from 'vitest';
import { Secret } from '../../src/secret.ts';
import type { Credentials, RotationJob } from '../../src/targets/driver.ts';
import { ssh } from '../../src/targets/ssh.ts';
import { describeRotator, freshValue, type RotatorFixture } from '../conformance.ts';
import { type SshServer, sshdMissing, startSshd } from '../servers/sshd.ts';
import { accepts, addAdmin, freshName, makeJob } from './ssh-fixture.ts';

const missing = sshdMissing();
if (missing !== null && process.env.CI) throw new Error(`no private sshd: ${missing}`);

const variants = [
  ['as root, with PAM', 'none', true],
  ['through sudo, without PAM', 'passwordless', false],
  ['through sudo with a password', 'password', true],
  ['through sudo that runs chpasswd alone', 'limited', false],
] as const;

for (const [words, sudo, pam] of variants) {
  const name = `ssh password ${words}`;
  if (missing !== null) {
    describe.skip(`${name}: SKIPPED, ${missing}`, () => it('needs an sshd of its own', () => undefined));
    continue;
  }
  let server: SshServer;
  let admin: Credentials;
  const fixture: RotatorFixture = {
    driver: ssh,
    can: {
      retain: { target: false, self: false },
      witness: { target: sudo !== 'limited', self: false },
      alternate: false,
    },
    statement: /(?!)/,
    draws: 5,
    ...(sudo === 'limited' ? { warning: 'chpasswd alone' } : {}),
    fault: async (fault, _job) => server.arm(fault),
    start: async () => {
      server = await startSshd({ pam });
      admin = addAdmin(server, sudo);
    },
    stop: () => server.stop(),
    account: async ({ actor }): Promise<RotationJob> =>
      makeJob(server, { actor, admin, ssh: { sudo: sudo === 'limited' ? 'passwordless' : sudo } }),
    accepts: (username, value) => accepts(server, username, { password: value }),
    powerless: async () => {
      const username = freshName();
      const password = freshValue();
      server.addUser(username, password);
      return { username, password: new Secret(password) };
    },
  };
  describeRotator(name, fixture);
}
