import { Client } from 'ssh2';
import type { SshOptions } from '../../src/manifests/model.ts';
import { Secret } from '../../src/secret.ts';
import type { Credentials, RotationJob, Target } from '../../src/targets/driver.ts';
import { freshValue } from '../conformance.ts';
import type { SshServer } from '../servers/sshd.ts';
import { tally } from '../tally.ts';

let made = 0;
export const freshName = (): string => `kt${process.pid % 10_000}u${++made}`;

export const targetOf = (server: SshServer, ssh: Partial<SshOptions> = {}): Target => ({
  name: 'test/host',
  type: 'ssh',
  host: server.host,
  port: server.port,
  verifyHost: undefined,
  database: undefined,
  tls: { mode: 'verify', ca: undefined, caFile: undefined, serverName: undefined },
  credentials: undefined,
  ssh: { hostKeys: [server.fingerprint], sudo: 'none', os: 'linux', spacing: 0, jump: undefined, ...ssh },
  concurrency: 8,
  timeout: 8_000,
  source: { file: 'test.yaml', line: 1, column: 1 },
});

/** Somebody who may change passwords, in one of the ways that there are. */
export function addAdmin(server: SshServer, how: SshOptions['sudo'] | 'limited'): Credentials {
  const password = freshValue();
  if (how === 'none') {
    server.run('/etc/kt-real/chpasswd', `root:${password}\n`);
    return { username: 'root', password: new Secret(password) };
  }
  const username = freshName();
  const rule = {
    passwordless: 'ALL=(ALL) NOPASSWD: ALL',
    password: 'ALL=(ALL) ALL',
    limited: 'ALL=(root) NOPASSWD: /usr/sbin/chpasswd ""',
  }[how];
  server.addUser(username, password, { sudo: rule });
  return { username, password: new Secret(password) };
}

export interface Wanted {
  actor?: RotationJob['actor'];
  admin?: Credentials | undefined;
  ssh?: Partial<SshOptions>;
  shell?: string;
}

/** A fresh account that accepts `current`. */
export function makeJob(
  server: SshServer,
  { actor = 'target', admin, ssh, shell }: Wanted = {},
): RotationJob {
  const username = freshName();
  const current = freshValue();
  server.addUser(username, current, shell === undefined ? {} : { shell });
  return {
    target: targetOf(server, ssh),
    username,
    host: undefined,
    account: { usernames: [username], host: undefined },
    actor,
    admin: actor === 'target' ? admin : undefined,
    current: new Secret(current),
    retain: false,
    mark: { uid: '01KTEST', version: 1 },
  };
}

/** Whether the host lets `username` in: one attempt without a line of the driver. */
export function accepts(
  server: Pick<SshServer, 'host' | 'port'>,
  username: string,
  proof: { password: string } | { privateKey: string },
): Promise<boolean> {
  tally('logins', 1);
  return new Promise((resolve, reject) => {
    const client = new Client();
    const end = (answer: boolean): void => {
      resolve(answer);
      client.end();
    };
    client.on('ready', () => end(true));
    client.on('error', (error) => (error.level === 'client-authentication' ? end(false) : reject(error)));
    client.on('close', () => end(false));
    client.connect({
      host: server.host,
      port: server.port,
      username,
      hostVerifier: () => true,
      authHandler: ['password' in proof ? 'password' : 'publickey'],
      ...proof,
    });
  });
}
