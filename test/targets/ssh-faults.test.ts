/** A host that restarts, penalizes, or lets its login run one program only, in the middle of a step. */
import { Client } from 'ssh2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Secret } from '../../src/secret.ts';
import type { ChosenRotator, Credentials, Probe, RotationJob } from '../../src/targets/driver.ts';
import { ssh } from '../../src/targets/ssh.ts';
import { freshValue } from '../conformance.ts';
import { baselineOf } from '../conformance-bench.ts';
import { penalizes } from '../servers/openssh.ts';
import { type SshServer, sshdMissing, startSshd } from '../servers/sshd.ts';
import { accepts, addAdmin, makeJob } from './ssh-fixture.ts';

const missing = sshdMissing();
if (missing !== null && process.env.CI) throw new Error(`no private sshd: ${missing}`);

const open: ChosenRotator[] = [];
const rotatorOf = (job: RotationJob): ChosenRotator => {
  const rotator = ssh.rotator(job);
  open.push(rotator);
  return rotator;
};
afterAll(async () => {
  for (const rotator of open) await rotator.close();
});

const drawn = (): Secret => new Secret(freshValue());

/** The first answer that is not `passing`, or the last one within twenty seconds. */
async function settled(ask: () => Promise<Probe>, passing: Probe['r'] = 'unreachable'): Promise<Probe> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    const answer = await ask();
    if (answer.r !== passing || performance.now() > deadline) return answer;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('it did not happen within five seconds');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe.skipIf(missing !== null)(
  `a host that changes in mid-step${missing === null ? '' : `: SKIPPED, ${missing}`}`,
  () => {
    let server: SshServer;
    let limited: Credentials;
    let root: Credentials;
    beforeAll(async () => {
      server = await startSshd();
      limited = addAdmin(server, 'limited');
      root = addAdmin(server, 'none');
    });
    afterAll(() => server.stop());

    it.each(['as root', 'by chpasswd alone', 'by the account'])(
      'is ambiguous where sshd restarts during a SET %s, and the same SET ends it',
      async (who) => {
        const admin = who === 'as root' ? root : limited;
        const job = makeJob(
          server,
          who === 'by the account' ? { actor: 'self' } : { admin, ssh: { sudo: 'passwordless' } },
        );
        const value = drawn();
        const struck = server.arm('swallow-reply');
        const setting = rotatorOf(job).set(value, {});
        await until(struck);
        server.restart();
        expect(await setting).toMatchObject({ r: 'ambiguous' });
        const taken = await accepts(server, job.username, { password: value.reveal() });
        const kept = await accepts(server, job.username, { password: job.current?.reveal() ?? '' });
        expect([taken, kept]).toContain(true);
        expect(taken && kept).toBe(false);
        if (job.actor === 'self' && taken) return;
        expect(await rotatorOf(job).set(value, {})).toMatchObject({ r: 'applied' });
        expect(await rotatorOf(job).probe(value)).toMatchObject({ r: 'ok' });
      },
    );

    it('goes on with the same rotator after a restart between two steps', async () => {
      const job = makeJob(server, { admin: root });
      const rotator = rotatorOf(job);
      const value = drawn();
      const preflight = await rotator.preflight();
      server.restart();
      const answers: string[] = [];
      while (answers.at(-1) !== 'applied' && answers.length < 20)
        answers.push((await rotator.set(value, {})).r);
      expect(answers.filter((answer) => !['not-sent', 'ambiguous', 'applied'].includes(answer))).toEqual([]);
      expect(answers.at(-1)).toBe('applied');
      server.restart();
      expect(await rotator.witness(value, baselineOf(preflight))).not.toBe('not-applied');
      expect(await settled(() => rotator.probe(value))).toMatchObject({ r: 'ok' });
    });

    it('T2: chpasswd alone may take a part of a line that is cut, and the next SET overwrites it', async () => {
      const job = makeJob(server, { admin: limited, ssh: { sudo: 'passwordless' } });
      const value = drawn();
      const part = value.reveal().slice(0, -6);
      await sendAndHangUp(limited, 'sudo -n /usr/sbin/chpasswd', `${job.username}:${part}`);
      expect(await accepts(server, job.username, { password: part })).toBe(true);
      const rotator = rotatorOf(job);
      expect(await rotator.witness(value, {})).toBe('unknown');
      expect(await rotator.set(value, {})).toMatchObject({ r: 'applied' });
      expect(await rotator.probe(value)).toMatchObject({ r: 'ok' });
      expect(await accepts(server, job.username, { password: part })).toBe(false);
    });

    function sendAndHangUp(login: Credentials, command: string, input: string): Promise<void> {
      return new Promise((resolve, reject) => {
        const client = new Client();
        client.on('error', reject);
        client.on('close', () => resolve());
        client.on('ready', () =>
          client.exec(command, (error, stream) => {
            if (error) return reject(error);
            stream.on('close', () => client.end());
            stream.resume();
            stream.end(input);
          }),
        );
        client.connect({
          host: server.host,
          port: server.port,
          username: login.username,
          password: login.password.reveal(),
          hostVerifier: () => true,
        });
      });
    }
  },
);

const noPenalties = missing ?? (penalizes() ? null : 'no OpenSSH 9.8 or newer is here');

describe.skipIf(noPenalties !== null)(
  `PerSourcePenalties${noPenalties === null ? '' : `: SKIPPED, ${noPenalties}`}`,
  () => {
    let server: SshServer;
    let root: Credentials;
    beforeAll(async () => {
      server = await startSshd({
        pam: false,
        newer: true,
        config: ['PerSourcePenalties authfail:4s min:6s'],
      });
      root = addAdmin(server, 'none');
    });
    afterAll(() => server.stop());

    it('brings none upon itself by rotating, and takes one for no answer, never for a no', async () => {
      for (let n = 0; n < 6; n++) {
        const job = makeJob(server, { admin: root });
        const [rotator, value] = [rotatorOf(job), drawn()];
        expect(await rotator.preflight()).toMatchObject({ r: 'ready', warnings: [] });
        expect(await rotator.set(value, {})).toMatchObject({ r: 'applied' });
        expect(await rotator.probe(value)).toMatchObject({ r: 'ok' });
      }
      const job = makeJob(server, { admin: root });
      const current = job.current ?? drawn();
      for (let n = 0; n < 2; n++) expect(await rotatorOf(job).probe(drawn())).toMatchObject({ r: 'denied' });
      // sshd counts a failure once the session's process is gone
      expect(await settled(() => rotatorOf(job).probe(current), 'ok')).toMatchObject({ r: 'unreachable' });
      expect(await rotatorOf(job).preflight()).toMatchObject({ r: 'unreachable' });
      expect(await rotatorOf(job).set(drawn(), {})).toMatchObject({ r: 'not-sent' });
      expect(await settled(() => rotatorOf(job).probe(current))).toMatchObject({ r: 'ok' });
    }, 60_000);
  },
);
