/** The traps of protocol §1.1 (T2, T11-T14) and the table of §3.7, on a real sshd with PAM and faillock. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { Client, type ClientChannel } from 'ssh2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Secret } from '../../src/secret.ts';
import type { ChosenRotator, Credentials, RotationJob } from '../../src/targets/driver.ts';
import { readHostKey } from '../../src/targets/ssh/connect.ts';
import { ssh } from '../../src/targets/ssh.ts';
import { freshValue } from '../conformance.ts';
import { type SshServer, sshdMissing, startSshd } from '../servers/sshd.ts';
import { accepts, addAdmin, makeJob, targetOf, type Wanted } from './ssh-fixture.ts';

const missing = sshdMissing();
if (missing !== null && process.env.CI) throw new Error(`no private sshd: ${missing}`);

const faillock = [
  'auth required pam_faillock.so preauth',
  'auth [success=1 default=bad] pam_unix.so nodelay',
  'auth [default=die] pam_faillock.so authfail',
  'auth sufficient pam_faillock.so authsucc',
  'auth required pam_permit.so',
];

describe.skipIf(missing !== null)(`ssh traps${missing === null ? '' : `: SKIPPED, ${missing}`}`, () => {
  let server: SshServer;
  let root: Credentials;
  let sudoer: Credentials;
  const open: ChosenRotator[] = [];
  const rotatorOf = (job: RotationJob): ChosenRotator => {
    const rotator = ssh.rotator(job);
    open.push(rotator);
    return rotator;
  };
  const make = (wanted: Wanted = {}): RotationJob => makeJob(server, { admin: root, ...wanted });
  const currentOf = (job: RotationJob): Secret => job.current ?? new Secret('');
  const wrong = (): Secret => new Secret(freshValue());
  const fails = (username: string): number =>
    server.run(`faillock --user ${username}`).match(/ V$/gm)?.length ?? 0;

  beforeAll(async () => {
    server = await startSshd({
      auth: faillock,
      config: [
        'Match User kt*pwonly',
        'KbdInteractiveAuthentication no',
        'Match User kt*keyonly',
        'KbdInteractiveAuthentication no',
        'PasswordAuthentication no',
        'Match all',
      ],
    });
    root = addAdmin(server, 'none');
    sudoer = addAdmin(server, 'passwordless');
  });
  afterAll(async () => {
    for (const rotator of open) await rotator.close();
    await server.stop();
  });
  /** The same account under a name for which sshd_config has rules. */
  const renamed = (job: RotationJob, suffix: string): RotationJob => {
    const username = `${job.username}${suffix}`;
    server.run(`usermod -l ${username} ${job.username}`);
    return { ...job, username, account: { ...job.account, usernames: [username] } };
  };

  describe('T2: a line that is cut off sets nothing', () => {
    /** The driver's own command, as a server with the job's sudo gets it. */
    it.each(['half', 'no end mark', 'wrong end mark'])('%s', async (how) => {
      const job = make({ admin: sudoer, ssh: { sudo: 'passwordless' } });
      const text = freshValue();
      const seen = await commandOf(job, new Secret(text));
      const input = seen.input.toString();
      const [begin, line = '', end = ''] = input.split('\n');
      expect(line).toBe(`${job.username}:${text}`);
      const cut =
        {
          half: `${begin}\n${line.slice(0, -9)}`,
          'no end mark': `${begin}\n${line}\n`,
          'wrong end mark': `${begin}\n${line}\n${end.slice(1)}\n`,
        }[how] ?? '';
      for (const ending of ['eof', 'destroy'] as const) {
        await sendRaw(sudoer, seen.command, cut, ending);
        expect(await accepts(server, job.username, { password: line.slice(0, -9).split(':')[1] ?? '' })).toBe(
          false,
        );
        expect(await accepts(server, job.username, { password: text })).toBe(false);
        server.run(`faillock --user ${job.username} --reset`);
      }
      expect(await accepts(server, job.username, { password: currentOf(job).reveal() })).toBe(true);
    });

    it('wherever a proxy cuts the connection of a SET, the old or the whole new value is live', async () => {
      const job = make({ admin: root });
      let current = currentOf(job).reveal();
      const whole = await countBytes(job, wrong());
      current = whole.text;
      for (let back = 40; back <= 700; back += 220) {
        const text = freshValue();
        const proxy = await startByteProxy(server.port, whole.bytes - back);
        const through = { ...job, target: { ...job.target, port: proxy.port, timeout: 1_500 } };
        const result = await rotatorOf(through).set(new Secret(text), {});
        await proxy.stop();
        expect(['applied', 'ambiguous', 'not-sent']).toContain(result.r);
        const [isNew, isOld] = [
          await accepts(server, job.username, { password: text }),
          await accepts(server, job.username, { password: current }),
        ];
        expect([isNew, isOld]).toContain(true);
        if (result.r === 'applied') expect(isNew).toBe(true);
        if (result.r === 'not-sent') expect(isOld).toBe(true);
        if (isNew) current = text;
        server.run(`faillock --user ${job.username} --reset`);
      }
    }, 120_000);
  });

  it('T11: one wrong login is one failure, by either method', async () => {
    const asked = make();
    const plain = renamed(make(), 'pwonly');
    for (const job of [asked, plain]) {
      expect(await rotatorOf(job).probe(wrong())).toMatchObject({ r: 'denied' });
      expect(fails(job.username)).toBe(1);
    }
  });

  it('T12: a faillocked account is blocked, seen before the value is sent, and a SET still works', async () => {
    const job = make();
    for (let n = 0; n < 3; n++) await accepts(server, job.username, { password: 'wrong' });
    expect(fails(job.username)).toBe(3);
    expect(await rotatorOf({ ...job, admin: undefined }).probe(currentOf(job))).toMatchObject({
      r: 'blocked',
      code: 'FAILLOCK',
    });
    expect(fails(job.username)).toBe(3);
    const rotator = rotatorOf(job);
    const preflight = await rotator.preflight();
    expect(preflight).toMatchObject({ r: 'ready', warnings: [expect.stringContaining('not tried')] });
    const value = wrong();
    const baseline = preflight.r === 'ready' ? preflight.baseline : {};
    expect(await rotator.set(value, baseline)).toMatchObject({ r: 'applied' });
    expect(await rotator.probe(value)).toMatchObject({ r: 'blocked' });
    expect(await rotator.witness(value, baseline)).toBe('applied');
    expect(fails(job.username)).toBe(3);
  });

  it('T12: where the method hides the lock, root is asked', async () => {
    const job = renamed(make(), 'pwonly');
    for (let n = 0; n < 3; n++) await accepts(server, job.username, { password: 'wrong' });
    const rotator = rotatorOf(job);
    await rotator.preflight();
    expect(await rotator.probe(currentOf(job))).toMatchObject({ r: 'blocked', code: 'FAILLOCK' });
  });

  it('T13: an expired password is right but restricted, and no dialogue changes it', async () => {
    for (const change of ['chage -d 0', 'chage -d 2020-01-01 -M 30']) {
      for (const job of [make(), renamed(make(), 'pwonly')]) {
        server.run(`${change} ${job.username}`);
        const before = server.run(`getent shadow ${job.username}`);
        expect(await rotatorOf(job).probe(currentOf(job))).toMatchObject({
          r: 'ok-restricted',
          code: 'MUST_CHANGE',
        });
        expect(server.run(`getent shadow ${job.username}`)).toBe(before);
        const own: RotationJob = { ...job, actor: 'self', admin: undefined };
        expect((await rotatorOf(own).preflight()).r).toBe('refused');
      }
    }
  });

  it('T13: a SET by root leaves nothing to change', async () => {
    const job = make();
    server.run(`chage -d 0 ${job.username}`);
    const rotator = rotatorOf(job);
    const value = wrong();
    expect(await rotator.set(value, {})).toMatchObject({ r: 'applied' });
    expect(await rotator.probe(value)).toMatchObject({ r: 'ok' });
  });

  it('T14: an expired account is told apart from a wrong value', async () => {
    const job = renamed(make(), 'pwonly');
    server.run(`chage -E 2020-01-01 ${job.username}`);
    expect(await rotatorOf(job).probe(currentOf(job))).toMatchObject({ r: 'ok-restricted', code: 'EXPIRED' });
    expect(await rotatorOf(job).probe(wrong())).toMatchObject({ r: 'denied' });
    const asked = make();
    server.run(`chage -E 2020-01-01 ${asked.username}`);
    const rotator = rotatorOf(asked);
    expect(await rotator.preflight()).toMatchObject({ warnings: [expect.stringContaining('expired')] });
    expect(await rotator.probe(currentOf(asked))).toMatchObject({ r: 'ok-restricted', code: 'EXPIRED' });
    expect(await rotator.probe(wrong())).toMatchObject({ r: 'denied' });
  });

  it('says that an account is locked', async () => {
    const job = make();
    server.run(`passwd -l ${job.username}`);
    const rotator = rotatorOf(job);
    expect(await rotator.preflight()).toMatchObject({
      r: 'ready',
      warnings: [expect.stringContaining('locked')],
    });
    expect(await rotator.probe(currentOf(job))).toMatchObject({ r: 'blocked', code: 'LOCKED' });
  });

  it('says that the host takes no passwords, and sends none', async () => {
    const job = renamed(make(), 'keyonly');
    expect(await rotatorOf(job).probe(wrong())).toMatchObject({ r: 'blocked', code: 'NO_PASSWORD_LOGIN' });
    expect(fails(job.username)).toBe(0);
  });

  it('says before anything is claimed that the minimum age is not over', async () => {
    const job = make({ actor: 'self' });
    server.run(`chage -m 7 ${job.username}`);
    expect(await rotatorOf(job).preflight()).toMatchObject({
      r: 'refused',
      why: 'too-soon',
      detail: 'the minimum age of the present password is over in 7d',
    });
    expect(await rotatorOf(job).set(wrong(), {})).toMatchObject({ r: 'refused', why: 'too-soon' });
    expect(await accepts(server, job.username, { password: currentOf(job).reveal() })).toBe(true);
    const privileged: RotationJob = { ...job, actor: 'target', admin: root };
    expect(await rotatorOf(privileged).set(wrong(), {})).toMatchObject({ r: 'applied' });
  });

  it('tells policy and history apart', async () => {
    const job = make({ actor: 'self' });
    expect(await rotatorOf(job).set(new Secret('abc'), {})).toMatchObject({ r: 'refused', why: 'policy' });
    expect(await rotatorOf(job).set(currentOf(job), {})).toMatchObject({ r: 'refused', why: 'history' });
    expect(await accepts(server, job.username, { password: currentOf(job).reveal() })).toBe(true);
  });

  it('is not fooled by a host that asks for nothing', async () => {
    const lax = await startSshd({ pam: false, config: ['PermitEmptyPasswords yes'] });
    const job = makeJob(lax, { actor: 'self' });
    lax.run(`passwd -d ${job.username}`);
    expect(await rotatorOf(job).probe(wrong())).toMatchObject({ r: 'inconclusive', code: 'NOT_ASKED' });
    await lax.stop();
  });

  it('changes nothing and says why where the host shows another key, and shows it for pinning', async () => {
    const other = `SHA256:${createHash('sha256').update('other').digest('base64').slice(0, 43)}`;
    const job = make({ ssh: { hostKeys: [other] } });
    const rotator = rotatorOf(job);
    expect(await rotator.preflight()).toMatchObject({ r: 'refused', why: 'untrusted', code: 'HOST_KEY' });
    expect(await rotator.set(wrong(), {})).toMatchObject({ r: 'refused', why: 'untrusted' });
    expect(await rotator.probe(currentOf(job))).toMatchObject({ r: 'inconclusive', code: 'HOST_KEY' });
    expect(fails(job.username)).toBe(0);
    expect(await readHostKey({ host: server.host, port: server.port, timeout: 5_000 })).toBe(
      server.fingerprint,
    );
  });

  it('works where sudo runs chpasswd alone, and says what that costs', async () => {
    const admin = addAdmin(server, 'limited');
    const job = make({ admin, ssh: { sudo: 'passwordless' } });
    const rotator = rotatorOf(job);
    const value = wrong();
    expect(await rotator.preflight()).toMatchObject({
      r: 'ready',
      witness: false,
      warnings: [expect.stringContaining('chpasswd alone')],
    });
    expect(await rotator.set(value, {})).toMatchObject({ r: 'applied' });
    expect(await rotator.probe(value)).toMatchObject({ r: 'ok' });
    expect(await rotator.witness(value, {})).toBe('unknown');
  });

  it('never sends the value where sudo refuses the password of the login', async () => {
    const admin = { ...addAdmin(server, 'password') };
    const job = make({ admin, ssh: { sudo: 'password' } });
    server.run(`printf 'auth required pam_deny.so\\naccount required pam_permit.so\\n' > /etc/pam.d/sudo`);
    expect(await rotatorOf(job).set(wrong(), {})).toMatchObject({ r: 'refused', why: 'permission' });
    expect(await accepts(server, job.username, { password: currentOf(job).reveal() })).toBe(true);
  });

  it('is not misled by what a shell, a banner or motd prints', async () => {
    const noise =
      'echo "account is locked"; echo "Password change required but no TTY"; echo "rc 0"; cat /etc/passwd';
    const job = make({ shell: '/bin/bash' });
    server.run(`cat > /etc/kt-homes/${job.username}/.bashrc`, `${noise}\n`);
    const rotator = rotatorOf(job);
    const value = wrong();
    expect(await rotator.preflight()).toMatchObject({ r: 'ready', warnings: [] });
    expect(await rotator.set(value, {})).toMatchObject({ r: 'applied' });
    expect(await rotator.probe(value)).toMatchObject({ r: 'ok' });
    const own: RotationJob = { ...job, actor: 'self', admin: undefined, current: value };
    const next = wrong();
    expect(await rotatorOf(own).preflight()).toMatchObject({ r: 'ready' });
    expect(await rotatorOf(own).set(next, {})).toMatchObject({ r: 'applied' });
    expect(await rotatorOf(own).probe(next)).toMatchObject({ r: 'ok' });
  });

  it('rotates an account without a shell, and from logins with other shells', async () => {
    const job = make({ shell: '/usr/sbin/nologin' });
    const rotator = rotatorOf(job);
    const value = wrong();
    expect(await rotator.set(value, {})).toMatchObject({ r: 'applied' });
    expect(await rotator.probe(value)).toMatchObject({ r: 'ok' });
  });

  it('goes through a jump host whose key is pinned too', async () => {
    const inner = await startSshd();
    const admin = addAdmin(inner, 'none');
    const through = { host: server.host, port: server.port, username: 'root', password: undefined };
    const jump = { ...through, hostKeys: [server.fingerprint] };
    const job: RotationJob = { ...makeJob(inner, { admin, ssh: { jump } }), jump: root };
    const value = wrong();
    const rotator = rotatorOf(job);
    expect(await rotator.preflight()).toMatchObject({ r: 'ready', warnings: [] });
    expect(await rotator.set(value, {})).toMatchObject({ r: 'applied' });
    expect(await rotator.probe(value)).toMatchObject({ r: 'ok' });
    const bad: RotationJob = {
      ...job,
      target: targetOf(inner, { jump: { ...jump, hostKeys: [inner.fingerprint] } }),
    };
    expect(await rotatorOf(bad).preflight()).toMatchObject({ r: 'refused', why: 'untrusted' });
    const lost: RotationJob = { ...job, jump: { ...root, password: wrong() } };
    expect(await rotatorOf(lost).probe(value)).toMatchObject({ r: 'unreachable', code: 'JUMP_DENIED' });
    await inner.stop();
  });

  it('keeps the wanted distance between two logins to one host', async () => {
    const job = make({ ssh: { spacing: 400 } });
    const rotator = rotatorOf(job);
    const began = performance.now();
    for (let login = 0; login < 3; login++) await rotator.probe(currentOf(job));
    expect(performance.now() - began).toBeGreaterThan(2 * 400);
  });

  it("leaves no value in the process list, sudo's environment or the host's log", async () => {
    const job = make({ admin: sudoer, ssh: { sudo: 'passwordless' } });
    const value = wrong();
    const armed = server.arm('swallow-reply');
    const hasty: RotationJob = { ...job, target: { ...job.target, timeout: 2_500 } };
    const setting = rotatorOf(hasty).set(value, {});
    const deadline = performance.now() + 2_000;
    while (!armed() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
    const list = server.run(
      'for p in /proc/[0-9]*; do cat $p/cmdline $p/environ 2>/dev/null | tr "\\0" " "; done; true',
    );
    expect(list).toContain('chpasswd');
    expect(list).not.toContain(value.reveal());
    expect(await setting).toMatchObject({ r: 'ambiguous' });
    expect(readFileSync(server.logFile, 'utf8')).not.toContain(value.reveal());
  });

  /** What the driver sends to a server for a SET: recorded by a stand-in for one session. */
  async function commandOf(job: RotationJob, value: Secret): Promise<{ command: string; input: Buffer }> {
    const exec = Client.prototype.exec;
    const seen: { command: string; input: Buffer }[] = [];
    Client.prototype.exec = function (this: Client, command: string, ...rest: unknown[]) {
      const done = rest.at(-1) as (error: Error | undefined, stream: ClientChannel) => void;
      return exec.call(this, command, (error: Error | undefined, stream: ClientChannel) => {
        const end = stream.end.bind(stream);
        stream.end = ((input: Buffer) => {
          if (input !== undefined) seen.push({ command, input: Buffer.from(input) });
          return end(input);
        }) as typeof stream.end;
        done(error, stream);
      });
    } as typeof exec;
    const twin = makeJob(server, { admin: sudoer, ssh: { sudo: 'passwordless' } });
    const rotator = ssh.rotator({ ...twin, username: twin.username });
    await rotator.set(value, {});
    await rotator.close();
    Client.prototype.exec = exec;
    const last = seen.find(({ command }) => command.includes('chpasswd'));
    if (last === undefined) throw new Error('no SET was seen');
    const input = Buffer.from(last.input.toString().replace(twin.username, job.username));
    return { command: last.command, input };
  }

  function sendRaw(
    login: Credentials,
    command: string,
    input: string,
    ending: 'eof' | 'destroy',
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const client = new Client();
      client.on('error', reject);
      client.on('close', () => resolve());
      client.on('ready', () => {
        client.exec(command, (error, stream) => {
          if (error) return reject(error);
          stream.on('close', () => client.end());
          stream.resume();
          if (ending === 'eof') stream.end(input);
          else stream.write(input, () => client.destroy());
        });
      });
      client.connect({
        host: server.host,
        port: server.port,
        username: login.username,
        password: login.password.reveal(),
        hostVerifier: () => true,
      });
    });
  }

  async function countBytes(job: RotationJob, value: Secret): Promise<{ bytes: number; text: string }> {
    const proxy = await startByteProxy(server.port, Number.POSITIVE_INFINITY);
    await rotatorOf({ ...job, target: { ...job.target, port: proxy.port } }).set(value, {});
    await proxy.stop();
    return { bytes: proxy.sent(), text: value.reveal() };
  }
});

/** Resets both sides once the client has sent so many bytes; what goes over is not passed on. */
async function startByteProxy(port: number, most: number) {
  let sent = 0;
  const sockets = new Set<Socket>();
  const proxy = createServer((client) => {
    const remote = connect({ host: '127.0.0.1', port });
    sockets.add(client).add(remote);
    client.on('error', () => remote.destroy());
    remote.on('error', () => client.destroy());
    client.on('close', () => remote.destroy());
    remote.on('close', () => client.destroy());
    remote.on('data', (data) => client.write(data));
    client.on('data', (data) => {
      const rest = Math.max(0, most - sent);
      sent += data.length;
      if (data.length <= rest) remote.write(data);
      else
        remote.write(data.subarray(0, rest), () => {
          remote.resetAndDestroy();
          client.resetAndDestroy();
        });
    });
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const address = proxy.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    sent: () => sent,
    stop: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise<void>((resolve) => proxy.close(() => resolve()));
    },
  };
}
