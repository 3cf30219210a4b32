/** Keys of accounts on a real sshd: what a rotator of keys has to do, and every other byte of authorized_keys left alone. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Secret } from '../../src/secret.ts';
import type { ChosenRotator, Credentials, KeyType, RotationJob } from '../../src/targets/driver.ts';
import { ssh } from '../../src/targets/ssh.ts';
import { closedPort } from '../servers/cut-proxy.ts';
import { type SshServer, sshdMissing, startSshd } from '../servers/sshd.ts';
import { accepts, addAdmin, makeJob } from './ssh-fixture.ts';

const missing = sshdMissing();
if (missing !== null && process.env.CI) throw new Error(`no private sshd: ${missing}`);

const uid = '01KTEST';
const draw = async (version: number, keyType: KeyType = 'ed25519'): Promise<Secret> =>
  (await ssh.generate?.(keyType, { uid, version })) ?? new Secret('');
const publicOf = async (value: Secret, version: number): Promise<string> =>
  (await ssh.describe?.(value, { uid, version }))?.publicKey ?? '';

describe.skipIf(missing !== null)(`ssh keys${missing === null ? '' : `: SKIPPED, ${missing}`}`, () => {
  let server: SshServer;
  let admin: Credentials;
  const open: ChosenRotator[] = [];
  beforeAll(async () => {
    server = await startSshd();
    admin = addAdmin(server, 'passwordless');
  });
  afterAll(() => server.stop());
  afterEach(async () => {
    for (const rotator of open.splice(0)) await rotator.close();
  });
  const rotatorOf = (job: RotationJob): ChosenRotator => {
    const rotator = ssh.rotator(job);
    open.push(rotator);
    return rotator;
  };
  const fileOf = ({ username }: RotationJob): string => `/etc/kt-homes/${username}/.ssh/authorized_keys`;
  const read = (job: RotationJob): Buffer => Buffer.from(server.run(`base64 -w0 ${fileOf(job)}`), 'base64');
  const write = (job: RotationJob, content: string): void => {
    const dir = fileOf(job).replace('/authorized_keys', '');
    server.run(
      `mkdir -p ${dir}; base64 -d > ${fileOf(job)}; chmod 640 ${fileOf(job)}; chown -R ${job.username}: ${dir}`,
      Buffer.from(content, 'latin1').toString('base64'),
    );
  };
  const letsIn = (job: RotationJob, value: Secret): Promise<boolean> =>
    accepts(server, job.username, { privateKey: value.reveal() });

  /** A fresh account with the key v1 in its file, which its login and `current` are. */
  const make = async (
    actor: RotationJob['actor'],
    around: [string, string] = ['', '\n'],
  ): Promise<RotationJob> => {
    const current = await draw(1);
    const job: RotationJob = {
      ...makeJob(server, { actor, admin, ssh: { sudo: 'passwordless' } }),
      current,
      keyType: 'ed25519',
      retain: true,
      mark: { uid, version: 2 },
    };
    write(job, around.join(await publicOf(current, 1)));
    return job;
  };

  it.each<KeyType>(['ed25519', 'rsa', 'ecdsa'])('makes %s pairs that OpenSSH reads', async (keyType) => {
    const folder = mkdtempSync(join(tmpdir(), 'keyturn-key-'));
    const rounds = keyType === 'rsa' ? 2 : 40;
    for (let n = 0; n < rounds; n++) {
      const value = await draw(n, keyType);
      writeFileSync(join(folder, `k${n}`), value.reveal(), { mode: 0o600 });
      const derived = execFileSync('ssh-keygen', ['-y', '-f', join(folder, `k${n}`)], { encoding: 'utf8' });
      expect(derived.split(' ').slice(0, 2)).toEqual((await publicOf(value, n)).split(' ').slice(0, 2));
    }
    expect(await publicOf(await draw(7, keyType), 7)).toMatch(/ keyturn\/01KTEST\/v7$/);
    rmSync(folder, { recursive: true });
  });

  describe.each<RotationJob['actor']>(['self', 'target'])('as %s', (actor) => {
    it('adds the new key beside the old one, and takes the old line out at the end of the grace', async () => {
      const job = await make(actor);
      const value = await draw(2);
      expect(await rotatorOf(job).preflight()).toMatchObject({
        r: 'ready',
        warnings: [],
        witness: true,
        markedVersion: 1,
      });
      expect(await rotatorOf(job).witness(value, {})).toBe('not-applied');
      for (const _ of ['first', 'again'])
        expect(await rotatorOf(job).set(value, {})).toMatchObject({ r: 'applied' });
      expect(
        read(job)
          .toString()
          .match(/keyturn/g),
      ).toHaveLength(2);
      expect(await rotatorOf(job).witness(value, {})).toBe('applied');
      expect(await rotatorOf(job).probe(value)).toMatchObject({ r: 'ok' });
      const old = job.current ?? value;
      expect([await letsIn(job, old), await letsIn(job, value)]).toEqual([true, true]);
      const promoted: RotationJob = { ...job, current: value, ends: old };
      for (const _ of ['first', 'again'])
        expect(await rotatorOf(promoted).retire(value)).toMatchObject({ r: 'retired' });
      expect([await letsIn(job, old), await letsIn(job, value)]).toEqual([false, true]);
      expect(server.run(`stat -c %U:%a ${fileOf(job)}`).trim()).toBe(`${job.username}:640`);
      expect(server.run(`ls -A ${fileOf(job).replace('/authorized_keys', '')}`).trim()).toBe(
        'authorized_keys',
      );
    });

    it.each([
      [
        'comments, options, CRLF and no final newline',
        '# mine\r\n\r\nfrom="10.0.0.1, 10.0.0.2",command="echo \\"a b\\"" ssh-rsa AAAAB3 other key\r\n\xff\xfe rubbish\n',
        '\n# the end',
      ],
      ['our line last, without a newline', 'ssh-rsa AAAAB3 other\n', ''],
    ])('leaves every other byte alone: %s', async (_, before, after) => {
      const job = await make(actor, [before, after]);
      const value = await draw(2);
      expect(await rotatorOf(job).set(value, {})).toMatchObject({ r: 'applied' });
      const promoted: RotationJob = { ...job, current: value, ...(job.current ? { ends: job.current } : {}) };
      expect(await rotatorOf(promoted).retire(value)).toMatchObject({ r: 'retired' });
      const line = await publicOf(value, 2);
      const rest = read(job).toString('latin1');
      expect(rest).toBe(`${before}${after === '' ? '' : after.slice(1)}${after === '' ? '' : '\n'}${line}`);
    });

    it('sends nothing to a closed port', async () => {
      const job = await make(actor);
      const away: RotationJob = { ...job, target: { ...job.target, port: await closedPort() } };
      const value = await draw(2);
      expect(await rotatorOf(away).preflight()).toMatchObject({ r: 'unreachable' });
      expect(await rotatorOf(away).set(value, {})).toMatchObject({ r: 'not-sent' });
      expect(await rotatorOf(away).witness(value, {})).toBe('unknown');
      expect(await rotatorOf(away).retire(value)).toMatchObject({ r: 'unreachable' });
    });

    it('does not replace a link, nor a file of somebody else', async () => {
      const job = await make(actor);
      const value = await draw(2);
      server.run(`mv ${fileOf(job)} ${fileOf(job)}.real; ln -s ${fileOf(job)}.real ${fileOf(job)}`);
      expect(await rotatorOf(job).preflight()).toMatchObject({ r: 'refused', code: 'LINK' });
      expect(await rotatorOf(job).set(value, {})).toMatchObject({ r: 'refused' });
      server.run(
        `rm ${fileOf(job)}; mv ${fileOf(job)}.real ${fileOf(job)}; chown root ${fileOf(job)}; chmod 644 ${fileOf(job)}`,
      );
      expect(await rotatorOf(job).preflight()).toMatchObject({ r: 'refused', code: 'OWNER' });
      expect(await rotatorOf(job).set(value, {})).toMatchObject({ r: 'refused' });
      expect(await letsIn(job, value)).toBe(false);
    });
  });

  it('gives the new key no more than the line of the old one', async () => {
    const job = await make('target', ['no-port-forwarding,from="127.0.0.1,::1" ', '\n']);
    const value = await draw(2);
    await rotatorOf(job).set(value, {});
    expect(read(job).toString()).toContain(
      `\nno-port-forwarding,from="127.0.0.1,::1" ${await publicOf(value, 2)}\n`,
    );
  });

  it('makes the first file, closed to others', async () => {
    const job: RotationJob = { ...(await make('target')), current: undefined };
    server.run(`rm -r ${fileOf(job).replace('/authorized_keys', '')}`);
    const value = await draw(1);
    expect(await rotatorOf(job).preflight()).toMatchObject({ r: 'ready', markedVersion: null });
    expect(await rotatorOf(job).set(value, {})).toMatchObject({ r: 'applied' });
    expect(await letsIn(job, value)).toBe(true);
    expect(server.run(`stat -c %U:%a ${fileOf(job)} ${fileOf(job).replace('/authorized_keys', '')}`)).toBe(
      `${job.username}:600\n${job.username}:700\n`,
    );
  });

  it('ends an adopted key by its own line, and never the last way in', async () => {
    const job = await make('self');
    const adopted = job.current ?? new Secret('');
    write(job, `${(await publicOf(adopted, 1)).replace(/ keyturn.*/, ' me@laptop')}\n`);
    const value = await draw(2);
    expect(await rotatorOf({ ...job, ends: adopted }).retire(value)).toMatchObject({ r: 'refused' });
    expect(await letsIn(job, adopted)).toBe(true);
    await rotatorOf(job).set(value, {});
    expect(await rotatorOf({ ...job, current: value, ends: adopted }).retire(value)).toMatchObject({
      r: 'retired',
    });
    expect(read(job).toString()).toBe(`${await publicOf(value, 2)}\n`);
  });

  it('refuses a value that is no key, and a login that may not become the account', async () => {
    const job = await make('target');
    const text = new Secret('not a key at all');
    expect(await rotatorOf(job).set(text, {})).toMatchObject({ r: 'refused', why: 'policy' });
    expect(await rotatorOf(job).probe(text)).toMatchObject({ r: 'denied', code: 'BAD_KEY' });
    const powerless = makeJob(server);
    const lost: RotationJob = {
      ...job,
      admin: { username: powerless.username, password: powerless.current ?? text },
    };
    expect(await rotatorOf(lost).preflight()).toMatchObject({ r: 'refused', why: 'permission' });
    expect(await rotatorOf(lost).set(await draw(2), {})).toMatchObject({ r: 'refused', why: 'permission' });
  });
});
