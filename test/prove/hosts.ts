import { put, type World } from '../crash/world.ts';
import type { SshServer } from '../servers/sshd.ts';
import { accepts } from '../targets/ssh-fixture.ts';
import { fresh, initial, type Member, manifest, type Part } from './part.ts';

/** Passwords by sudo and by the account itself, and a key. */
export async function host(world: World, server: SshServer): Promise<Part> {
  const admin = fresh();
  world.canary.learn("the ssh administrator's password", admin);
  server.addUser('soadmin', admin, { sudo: 'ALL=(ALL) NOPASSWD: ALL' });
  put(world.at('initial', 'ssh-admin'), admin, 0o600);
  const manifests = [
    manifest(
      'Target',
      'host',
      `  type: ssh\n  host: 127.0.0.1\n  port: ${server.port}\n  hostKeys: ["${server.fingerprint}"]\n  sudo: passwordless\n  spacing: 0s\n  credentials: { username: soadmin, password: { file: ${world.at('initial', 'ssh-admin')} } }`,
    ),
  ];
  const members = (
    [
      ['password', 'authenticateAs: target', false],
      ['self', 'authenticateAs: user', false],
      ['key', 'rotator: ssh-key\n  authenticateAs: target\n  grace: 1h', true],
    ] as const
  ).map(([name, spec, key]): Member => {
    const user = `so${name}`;
    const value = fresh();
    server.addUser(user, value);
    const given =
      name === 'self' ? `\n  initial: { password: { file: ${initial(world, 'ssh-self', value)} } }` : '';
    manifests.push(
      manifest(
        'RotatedSecret',
        `ssh/${name}`,
        `  target: host\n  ${spec}\n  account: { username: ${user} }\n  schedule: { every: 300d }${given}`,
      ),
    );
    return {
      secret: `ssh/${name}`,
      overlap: key,
      accepts: ({ username, value: kept }) =>
        accepts(server, username, key ? { privateKey: kept } : { password: kept }),
      strays: async (_, accepted) => {
        if (!key) return [];
        const lines = server.run(`grep -c . /etc/kt-homes/${user}/.ssh/authorized_keys || true`).trim();
        return Number(lines) === accepted ? [] : [`${user} has ${lines} keys, ${accepted} are recorded`];
      },
    };
  });
  return {
    server: 'sshd',
    members,
    manifests: { 'manifests/ssh.yaml': manifests.join('---\n') },
    logs: [server.logFile],
    pids: [['the ssh host', server.pid]],
    stop: () => server.stop(),
  };
}
