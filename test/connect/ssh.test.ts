/** `keyturn connect` to real OpenSSH: a terminal, commands, certificates, and connections that end in every way. */
import { spawn } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { freshValue } from '../conformance.ts';
import { startCutProxy } from '../servers/cut-proxy.ts';
import { type SshServer, sshdMissing, startSshd } from '../servers/sshd.ts';
import { accepts, freshName } from '../targets/ssh-fixture.ts';
import {
  exposures,
  family,
  type Running,
  type Stage,
  sessionsInHistory,
  setStage,
  startBob,
  startOnTerminal,
} from './stage.ts';

const missing = sshdMissing();
if (missing !== null && process.env.CI) throw new Error(`no private sshd: ${missing}`);

describe.skipIf(missing !== null)(
  `sessions over SSH${missing === null ? '' : `: SKIPPED, ${missing}`}`,
  () => {
    let server: SshServer;
    let stage: Stage;
    let user: string;
    beforeAll(async () => {
      server = await startSshd({ config: ['TrustedUserCAKeys /etc/kt-ca.pub'] });
    });
    afterAll(() => server.stop());
    afterEach(() => stage.leave());

    async function set(
      access: string,
      options: { port?: number; more?: string; jump?: boolean } = {},
    ): Promise<void> {
      const [admin, password] = [freshName(), freshValue()];
      user = freshName();
      server.addUser(admin, password, { sudo: 'ALL=(ALL) NOPASSWD: ALL' });
      server.addUser(user, freshValue());
      const [jumper, jumps] = [freshName(), freshValue()];
      if (options.jump === true) server.addUser(jumper, jumps);
      stage = await setStage(
        `apiVersion: keyturn/v1
kind: Target
metadata: { name: host }
spec:
  type: ssh
  host: 127.0.0.1
  port: ${options.port ?? server.port}
  hostKeys: ["${server.fingerprint}"]
  sudo: passwordless
  spacing: 0s
  credentials: { username: ${admin}, password: { env: ADMIN } }${
    options.jump === true
      ? `
  jump: { host: 127.0.0.1, port: ${server.port}, username: ${jumper}, password: { env: JUMP }, hostKeys: ["${server.fingerprint}"] }`
      : ''
  }
---
apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: host/app }
spec: { target: host, authenticateAs: target, account: { username: ${user} }, access: ${access} }
${options.more ?? ''}`,
        { ADMIN: password, JUMP: jumps },
      );
    }
    const value = async (name = 'host/app'): Promise<string> => (await stage.desk.keyturn(['get', name])).out;
    const folders = (): string[] => [
      stage.bob.env.HOME ?? '',
      stage.bob.clone,
      ...readdirSync(tmpdir())
        .filter((name) => /^keyturn-\w{6}$/.test(name))
        .map((name) => join(tmpdir(), name)),
    ];

    it('runs a command with its streams and its exit code, and shows nobody the password', async () => {
      await set('{ enable: true }');
      const words = ['connect', 'host/app', '--', 'echo "[$SSH_AUTH_SOCK]" >&2; whoami; cat; exit 9'];
      const running = startBob(stage, words, { SSH_AUTH_SOCK: '/nowhere' });
      await running.shows(new RegExp(user));
      // there is no process below keyturn: the search begins above it
      expect(exposures(await value(), process.pid, folders())).toEqual([]);
      running.child.stdin?.end('through stdin\n');
      expect(await running.ended, running.err).toBe(9);
      expect(running.out).toBe(`${user}\nthrough stdin\n`);
      expect(running.err).toContain('[]');
    });

    const onTerminal = (...args: string[]): Running => startOnTerminal(stage, args);

    it('opens a terminal that is resized, interrupted, and left as it was', async () => {
      await set('{ enable: true }');
      const running = onTerminal('connect', 'host/app');
      const type = (text: string): void => void running.child.stdin?.write(text);
      await running.shows(/^\$ $/m);
      type('echo "$TERM"; stty size; echo "agent[$SSH_AUTH_SOCK]"\r');
      await running.shows(/xterm-256color\r\n\d+ \d+\r\nagent\[\]/);
      const pty = family(running.child.pid ?? 0)
        .map((pid) => readlinkSync(`/proc/${pid}/fd/0`))
        .find((path) => path.startsWith('/dev/pts/'));
      const resized = spawn('stty', ['-F', pty ?? '', 'rows', '33', 'cols', '111']);
      await new Promise((resolve) => resized.once('exit', resolve));
      await expect
        .poll(
          () => {
            type('stty size\r');
            return running.out;
          },
          { timeout: 10_000, interval: 200 },
        )
        .toContain('33 111');
      type('sleep 60\r');
      await running.shows(/sleep 60/);
      await expect.poll(() => server.run('pgrep -fx "sleep 60" || true'), { timeout: 10_000 }).not.toBe('');
      type('\x03');
      await expect.poll(() => server.run('pgrep -fx "sleep 60" || true'), { timeout: 10_000 }).toBe('');
      type('echo code=$?\r');
      await running.shows(/code=130/);
      type('exit 5\r');
      expect(await running.ended).toBe(5);
      expect(running.out).toContain('AS BEFORE');
    });

    it('hangs up at ~. whatever the other side does', async () => {
      await set('{ enable: true }');
      const running = onTerminal('connect', 'host/app');
      await running.shows(/^\$ $/m);
      running.child.stdin?.write('trap "" INT; sleep 60\r');
      await expect.poll(() => server.run('pgrep -fx "sleep 60" || true'), { timeout: 10_000 }).not.toBe('');
      running.child.stdin?.write('\r~.');
      expect(await running.ended).toBe(255);
      server.run('pkill -fx "sleep 60" || true');
    });

    it('rotates after the session, and the old password is refused', async () => {
      await set('{ rotateAfterDisconnect: true }');
      const old = await value();
      const running = startBob(stage, ['connect', 'host/app', '--', 'true']);
      expect(await running.ended, running.err).toBe(0);
      expect((await stage.desk.keyturn(['apply'])).code).toBe(0);
      expect(await accepts(server, user, { password: old })).toBe(false);
      expect(await accepts(server, user, { password: await value() })).toBe(true);
    });

    it('dies with keyturn, counts as over when its lease is, and is rotated then', async () => {
      await set('{ rotateAfterDisconnect: true }');
      const old = await value();
      const running = startBob(stage, ['connect', 'host/app', '--', 'echo in; exec sleep 77']);
      await running.shows(/^in$/m);
      running.child.kill('SIGKILL');
      expect(await running.ended).toBe('SIGKILL');
      expect((await stage.desk.keyturn(['apply'])).err).toContain('nothing to do');
      stage.desk.git('pull', '--quiet');
      expect((await stage.desk.keyturn(['show', 'host/app'])).out).toMatch(
        /sessions +bob <bob@example.org> since/,
      );
      expect(stage.desk.git('ls-files', 'requests/sessions')).not.toBe('');
      stage.desk.ahead = 61 * 60_000;
      expect((await stage.desk.keyturn(['apply'])).code).toBe(0);
      expect(await accepts(server, user, { password: old })).toBe(false);
      expect((await sessionsInHistory(stage.desk, 'host/app')).at(-1)).toContain('no sign of life since');
      stage.desk.git('pull', '--quiet');
      expect(stage.desk.git('ls-files', 'requests/sessions')).toBe('');
      server.run('pkill -fx "sleep 77" || true');
    });

    it('says so when the network is lost, and is off the record', async () => {
      const proxy = await startCutProxy({ host: server.host, port: server.port });
      try {
        await set('{ enable: true }', { port: proxy.port });
        const running = startBob(stage, ['connect', 'host/app', '--', 'echo in; exec sleep 78']);
        await running.shows(/^in$/m);
        await proxy.stop();
        expect(await running.ended).toBe(75);
        expect(running.err).toContain('the connection was lost');
        const [file] = stage.bob
          .git('ls-tree', '-r', '--name-only', 'origin/main', 'requests/sessions')
          .split('\n');
        stage.bob.git('fetch', '--quiet');
        expect(stage.bob.git('show', `origin/main:${file}`)).toContain('"closedAt"');
      } finally {
        await proxy.stop().catch(() => undefined);
      }
    });

    it('ends politely when it is told to', async () => {
      await set('{ enable: true }');
      const running = startBob(stage, ['connect', 'host/app', '--', 'echo in; exec sleep 79']);
      await running.shows(/^in$/m);
      running.child.kill('SIGTERM');
      expect(await running.ended).toBe(143);
      stage.bob.git('fetch', '--quiet');
      const file = stage.bob.git('ls-tree', '-r', '--name-only', 'origin/main', 'requests/sessions');
      expect(stage.bob.git('show', `origin/main:${file}`)).toContain('"closedAt"');
    });

    it('is off the record too when its terminal goes away', async () => {
      await set('{ enable: true }');
      const running = onTerminal('connect', 'host/app');
      await running.shows(/^\$ $/m);
      running.child.kill('SIGKILL');
      const closed = (): string => {
        stage.bob.git('fetch', '--quiet');
        const file = stage.bob.git('ls-tree', '-r', '--name-only', 'origin/main', 'requests/sessions');
        return stage.bob.git('show', `origin/main:${file}`);
      };
      await expect.poll(closed, { timeout: 20_000, interval: 200 }).toContain('"closedAt"');
    });

    it('goes through a jump host', async () => {
      await set('{ enable: true }', { jump: true });
      const running = startBob(stage, ['connect', 'host/app', '--', 'whoami; exit 3']);
      expect(await running.ended, running.err).toBe(3);
      expect(running.out).toBe(`${user}\n`);
      const unknown = startBob(stage, ['connect', 'host/app', '--', 'true'], { JUMP: 'wrong' });
      expect(await unknown.ended).toBe(75);
      expect(unknown.err).toContain('at the jump host: the login was refused');
    });

    it('stops at another host key', async () => {
      await set('{ enable: true }');
      stage.bob.write(
        'manifests/all.yaml',
        stage.bob.read('manifests/all.yaml').replace(server.fingerprint, `SHA256:${'A'.repeat(43)}`),
      );
      const running = startBob(stage, ['connect', 'host/app', '--', 'true']);
      expect(await running.ended).toBe(3);
      expect(running.err).toContain('may not be sent there: tls changed');
    });

    describe('by certificate', () => {
      const authority = (keyType: string): string => `---
apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: host/ca }
spec: { target: host, rotator: ssh-key, keyType: ${keyType}, authenticateAs: target, account: { username: ${caUser} } }
`;
      let caUser: string;
      async function certified(keyType: string, jump = false): Promise<string> {
        caUser = freshName();
        server.addUser(caUser, freshValue());
        await set('{ certificate: { ca: host/ca } }', { more: authority(keyType), jump });
        const publicKey = (await stage.desk.keyturn(['get', 'host/ca', '--field', 'publicKey'])).out;
        server.run('cat > /etc/kt-ca.pub', `${publicKey.trim()}\n`);
        return value('host/ca');
      }

      it.each(['ed25519', 'ecdsa', 'rsa'])(
        'a host that trusts an %s authority lets us in',
        async (keyType) => {
          const ca = await certified(keyType);
          const old = await value();
          const running = startBob(stage, [
            'connect',
            'host/app',
            '--',
            'whoami; echo "[$SSH_AUTH_SOCK]"; cat; exit 4',
          ]);
          await running.shows(new RegExp(`^${user}$`, 'm'));
          const inside = ca.split('\n')[2] ?? '';
          expect(inside.length).toBeGreaterThan(40);
          expect(exposures(inside, running.child.pid ?? 0, folders())).toEqual([]);
          expect(exposures(old, running.child.pid ?? 0, folders())).toEqual([]);
          running.child.stdin?.end('x');
          expect(await running.ended, running.err).toBe(4);
          expect(running.out).toBe(`${user}\n[]\nx`);
        },
      );

      it('goes through a jump host', async () => {
        await certified('ed25519', true);
        const running = startBob(stage, ['connect', 'host/app', '--', 'whoami; exit 3']);
        expect(await running.ended, running.err).toBe(3);
        expect(running.out).toBe(`${user}\n`);
      });

      it('opens a terminal, and its end is the end of keyturn', async () => {
        await certified('ed25519');
        const running = onTerminal('connect', 'host/app');
        await running.shows(/^\$ $/m);
        running.child.stdin?.write('tty; stty size\r');
        await running.shows(/\/dev\/pts\/\d+\r\n\d+ \d+/);
        const keyturn = family(running.child.pid ?? 0).find((pid) =>
          readlinkSync(`/proc/${pid}/exe`).endsWith('/node'),
        );
        const ssh = family(keyturn ?? 0).find((pid) => readlinkSync(`/proc/${pid}/exe`).endsWith('/ssh'));
        expect(ssh).toBeDefined();
        process.kill(keyturn ?? 0, 'SIGKILL');
        await expect.poll(() => readdirSync('/proc').includes(String(ssh)), { timeout: 10_000 }).toBe(false);
      });

      it('an expired certificate, and one of another authority, are refused', async () => {
        await certified('ed25519');
        const { bob } = stage;
        const connect = (): Promise<{ code: number }> =>
          bob.keyturn(['--identity', bob.member.file, 'connect', 'host/app', '--', 'true']);
        expect((await connect()).code).toBe(0);
        bob.ahead = -10 * 60_000;
        expect((await connect()).code).toBe(255);
        bob.ahead = 0;
        server.run(
          'ssh-keygen -q -t ed25519 -N "" -f /etc/kt-other; mv /etc/kt-other.pub /etc/kt-ca.pub; rm /etc/kt-other',
        );
        expect((await connect()).code).toBe(255);
      });
    });
  },
);
