/** A host's accounts through the whole of keyturn: manifests, claims, grace, the target's own login, doctor. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Desk, takeDesk } from '../commands/desk.ts';
import { freshValue } from '../conformance.ts';
import { type SshServer, sshdMissing, startSshd } from '../servers/sshd.ts';
import { accepts, freshName } from './ssh-fixture.ts';

const missing = sshdMissing();
if (missing !== null && process.env.CI) throw new Error(`no private sshd: ${missing}`);

describe.skipIf(missing !== null)(
  `ssh from the command line${missing === null ? '' : `: SKIPPED, ${missing}`}`,
  () => {
    let server: SshServer;
    let desk: Desk;
    let admin: string;
    beforeAll(async () => {
      server = await startSshd();
    });
    afterAll(() => server.stop());
    afterEach(() => desk.leave());

    const secret = (name: string, spec: string): string => `---
apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: ${name} }
spec: { target: host, ${spec} }
`;
    const target = (credentials: string, hostKey = server.fingerprint): string => `apiVersion: keyturn/v1
kind: Target
metadata: { name: host }
spec:
  type: ssh
  host: 127.0.0.1
  port: ${server.port}
  hostKeys: ["${hostKey}"]
  sudo: passwordless
  spacing: 0s
  credentials: { username: ${admin}, ${credentials} }
`;
    async function settle(
      manifests: (more: { user: string }) => string,
    ): Promise<{ user: string; first: string }> {
      admin = freshName();
      const user = freshName();
      const first = freshValue();
      const password = freshValue();
      server.addUser(admin, password, { sudo: 'ALL=(ALL) NOPASSWD: ALL' });
      server.addUser(user, first);
      desk = takeDesk({ ADMIN: password, FIRST: first });
      expect(await desk.keyturn(['init', '--name', 'acme'])).toMatchObject({ code: 0 });
      for (const path of ['targets/db.yaml', 'roles/app.yaml', 'secrets/app-db.yaml'])
        desk.write(`manifests/${path}`, '');
      desk.write('manifests/all.yaml', manifests({ user }));
      desk.push('Declare');
      return { user, first };
    }
    const get = async (name: string, ...more: string[]): Promise<string> =>
      (await desk.keyturn(['get', name, ...more])).out;
    const hour = 3_600_000;

    it('rotates passwords by the target and by the account itself', async () => {
      const { user, first } = await settle(
        ({ user: name }) =>
          target('password: { env: ADMIN }') +
          secret('host/app', `authenticateAs: target, account: { username: ${name} }`),
      );
      expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
      const one = await get('host/app');
      expect(await accepts(server, user, { password: one })).toBe(true);
      expect(await accepts(server, user, { password: first })).toBe(false);
      desk.write(
        'manifests/all.yaml',
        target('password: { env: ADMIN }') + secret('host/app', `account: { username: ${user} }`),
      );
      desk.push('By itself');
      desk.ahead += hour;
      expect(await desk.keyturn(['rotate', 'host/app'])).toMatchObject({ code: 0 });
      const two = await get('host/app');
      expect(two).not.toBe(one);
      expect(await accepts(server, user, { password: two })).toBe(true);
      expect(await desk.keyturn(['verify'])).toMatchObject({ code: 0 });
    });

    it('rotates a key with a grace, and takes the old line out when it is over', async () => {
      const { user } = await settle(
        ({ user: name }) =>
          target('password: { env: ADMIN }') +
          secret(
            'host/key',
            `rotator: ssh-key, authenticateAs: target, grace: 24h, account: { username: ${name} }`,
          ),
      );
      expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
      const one = await get('host/key');
      expect(one).toContain('BEGIN OPENSSH PRIVATE KEY');
      expect(await get('host/key', '--field', 'publicKey')).toMatch(/^ssh-ed25519 \S+ keyturn\/\w+\/v1/);
      desk.ahead += hour;
      expect(await desk.keyturn(['rotate', 'host/key'])).toMatchObject({ code: 0 });
      const two = await get('host/key');
      const letIn = async (): Promise<boolean[]> => [
        await accepts(server, user, { privateKey: one }),
        await accepts(server, user, { privateKey: two }),
      ];
      expect(await letIn()).toEqual([true, true]);
      desk.ahead += 23 * hour;
      expect((await desk.keyturn(['apply'])).err).toContain('nothing to do');
      expect(await letIn()).toEqual([true, true]);
      desk.ahead += 2 * hour;
      expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
      expect(await letIn()).toEqual([false, true]);
    });

    it('adopts the key that the target itself logs in with, rotates it last, and goes on with the new one', async () => {
      const { user } = await settle(
        ({ user: name }) =>
          target('password: { env: ADMIN }') +
          secret('host/root', `rotator: ssh-key, authenticateAs: target, account: { username: ${admin} }`) +
          secret('host/app', `authenticateAs: target, account: { username: ${name} }`),
      );
      expect(await desk.keyturn(['apply', '--only', 'host/root'])).toMatchObject({ code: 0 });
      desk.env.KEY = await get('host/root');
      desk.write(
        'manifests/all.yaml',
        target('privateKey: { secret: host/login }') +
          secret('host/login', 'rotator: target, initial: { privateKey: { env: KEY } }') +
          secret('host/app', `authenticateAs: target, account: { username: ${user} }`),
      );
      desk.push('The login is rotated too');
      expect(await desk.keyturn(['apply', '--only', 'host/login'])).toMatchObject({ code: 0 });
      desk.ahead += hour;
      expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
      expect(await desk.keyturn(['rotate', 'host/login', '--yes'])).toMatchObject({ code: 0 });
      const login = await get('host/login');
      expect(login).not.toBe(desk.env.KEY);
      expect(await accepts(server, admin, { privateKey: login })).toBe(true);
      expect(await accepts(server, admin, { privateKey: desk.env.KEY ?? '' })).toBe(false);
      desk.ahead += hour;
      expect(await desk.keyturn(['rotate', 'host/app'])).toMatchObject({ code: 0 });
      expect(await accepts(server, user, { password: await get('host/app') })).toBe(true);
    });

    it('stops at another host key, tells it apart from the pinned one, and wants a rebind for a new pin', async () => {
      const other = `SHA256:${'A'.repeat(43)}`;
      const app = ({ user: name }: { user: string }): string =>
        secret('host/app', `authenticateAs: target, account: { username: ${name} }`);
      const { user } = await settle((more) => target('password: { env: ADMIN }', other) + app(more));
      const stopped = await desk.keyturn(['apply']);
      expect(stopped.code).toBe(3);
      expect(stopped.err).toContain('the host shows another key than the pinned ones');
      const doctor = await desk.keyturn(['doctor']);
      expect(doctor.code).toBe(1);
      expect(doctor.out).toContain(`host: shows ${server.fingerprint}, which is not pinned`);
      expect((await desk.keyturn(['doctor', '--ssh', `127.0.0.1:${server.port}`])).out).toContain(
        server.fingerprint,
      );
      desk.write('manifests/all.yaml', target('password: { env: ADMIN }') + app({ user }));
      desk.push('Pin');
      expect(await desk.keyturn(['doctor'])).toMatchObject({ code: 0 });
      expect(await desk.keyturn(['apply'])).toMatchObject({ code: 0 });
      desk.write('manifests/all.yaml', target('password: { env: ADMIN }', other) + app({ user }));
      desk.push('Another pin');
      expect((await desk.keyturn(['plan'])).out).toContain('keyturn rebind host/app');
    });

    it('finds what is wrong with the manifests of a host', async () => {
      await settle(
        ({ user: name }) =>
          target('username2: x') +
          secret(
            'host/a',
            `rotator: ssh-key, initial: { password: { env: X } }, account: { username: ${name} }`,
          ) +
          secret('host/b', `grace: 24h, keyType: rsa, account: { username: "bad name" }`) +
          secret('host/c', 'authenticateAs: target, account: { usernames: [a, b] }'),
      );
      const broken = await desk.keyturn(['validate']);
      expect(broken.code).toBe(1);
      desk.write(
        'manifests/all.yaml',
        target('passphrase: { env: X }') +
          secret('host/a', 'rotator: ssh-key, initial: { password: { env: X } }, account: { username: u }') +
          secret('host/b', `grace: 24h, keyType: rsa, account: { username: "bad name" }`) +
          secret('host/c', 'authenticateAs: target, account: { usernames: [a, b] }'),
      );
      const { err } = await desk.keyturn(['validate']);
      for (const what of [
        'spec.credentials lacks password',
        'spec.credentials.passphrase is for a private key',
        'spec.initial lacks privateKey',
        'an account has one password, so there is no grace',
        'spec.keyType is for keys',
        'the user name is none of a Linux account',
        'alternating users do not exist in ssh',
      ])
        expect(err).toContain(what);
    });
  },
);
