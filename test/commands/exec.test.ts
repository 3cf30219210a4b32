import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Member, member } from '../access/office.ts';
import { openShelf, type Shelf } from '../access/shelf.ts';
import type { Desk } from './desk.ts';

/** Reading values: exec as a real process, other repositories, a thousand at once, and files that are not what they say. */

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));
const value = 'Correct-Horse-7';
let shelf: Shelf;
let desk: Desk;
let bob: Member;

beforeEach(async () => {
  [shelf, bob] = await Promise.all([openShelf(), member('bob')]);
  desk = shelf.desk;
  return () => desk.leave();
});

const start = (args: string[], env: NodeJS.ProcessEnv = {}): ChildProcess =>
  spawn(process.execPath, [cli, '--identity', bob.file, ...args], {
    cwd: desk.clone,
    env: { ...desk.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });

async function ended(child: ChildProcess): Promise<{ code: number | null; out: string; err: string }> {
  let [out, err] = ['', ''];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    err += text;
  });
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, out, err };
}

const node = (script: string): string[] => ['--', process.execPath, '-e', script];

describe('exec', () => {
  beforeEach(async () => {
    await shelf.publish('prod/db-1', 1, value, [bob.recipient]);
    desk.push();
  });

  it('gives the values to the child alone, and its exit code to us', async () => {
    const env = { KEYTURN_IDENTITY: 'x', KEYTURN_DEBUG: '1', OTHER: 'stays' };
    const script = `
      const own = Object.entries(process.env).filter(([k]) => /^(PROD_|DB|OTHER|KEYTURN)/.test(k));
      const wanted = { PROD_DB_1_PASSWORD: ${JSON.stringify(value)}, PROD_DB_1_USERNAME: 'app', DB: ${JSON.stringify(value)}, OTHER: 'stays' };
      const same = JSON.stringify(own.sort()) === JSON.stringify(Object.entries(wanted).sort());
      process.exit(same ? 7 : 1)`;
    const asked = ['--secret', 'prod/db-1', '--secret', 'prod/db-1=DB'];
    const { code, out, err } = await ended(start(['--quiet', 'exec', ...asked, ...node(script)], env));
    expect({ code, out, err }).toEqual({ code: 7, out: '', err: '' });
  });

  it.each([
    ['SIGTERM', 'process.on("SIGTERM", () => process.exit(42))', 42],
    ['SIGINT', 'process.on("SIGINT", () => process.exit(43))', 43],
    ['SIGTERM', '', 143],
    ['SIGHUP', '', 129],
  ] as const)('passes %s on, %j', async (signal, handler, expected) => {
    const script = `${handler}; setInterval(() => {}, 1000); process.stdout.write('ready')`;
    const child = start(['exec', '--secret', 'prod/db-1', ...node(script)]);
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    const done = ended(child);
    child.kill(signal);
    expect(await done).toMatchObject({ code: expected });
  });

  it('prints no value, and refuses what would', async () => {
    for (const args of [
      ['exec', '--secret', 'prod/db-1'],
      ['exec', '--secret', 'prod/db-1', '--', 'printenv'],
      ['exec', '--secret', 'prod/db-1', '--', '/usr/bin/env'],
      ['exec', '--secret', 'prod/db-1', '--', 'env', '-0', 'A=b'],
      ['exec', '--', 'true'],
      ['exec', '--secret', 'prod/db-1=NO-NAME', '--', 'true'],
      ['exec', '--secret', 'prod/db-1=A', '--secret', 'prod/db-1=A', '--', 'true'],
      ['exec', '--secret', 'prod/db-1', '--', 'no-such-program'],
    ]) {
      const said = await desk.keyturn(['--identity', bob.file, ...args]);
      expect(said, args.join(' ')).toMatchObject({ code: 1, out: '' });
      expect(said.err).toMatch(/^keyturn: error: /m);
      expect(said.err).not.toContain(value);
    }
  });

  it('starts nothing when a value cannot be read', async () => {
    const mark = join(desk.clone, 'started');
    const args = ['exec', '--secret', 'prod/db-1', '--secret', 'prod/none', '--', 'touch', mark];
    expect((await desk.keyturn(['--identity', bob.file, ...args])).err).toContain(
      'prod/none: has no version',
    );
    expect(desk.has('started')).toBe(false);
  });
});

it('a thousand values at once', async () => {
  const names = Array.from({ length: 1000 }, (_, n) => `many/s${n}`);
  for (const name of names) await shelf.publish(name, 1, `value-of-${name}`, [bob.recipient]);
  desk.push();
  const script = `
    const all = Object.keys(process.env).filter((k) => /^MANY_S\\d+_PASSWORD$/.test(k)).map((k) => process.env[k]).sort();
    process.stdout.write(all.length + ' ' + require('crypto').createHash('sha256').update(all.join()).digest('hex'))`;
  const asked = names.flatMap((name) => ['--secret', name]);
  const { code, out } = await ended(start(['exec', ...asked, ...node(script)]));
  const expected = createHash('sha256').update(
    names
      .map((name) => `value-of-${name}`)
      .sort()
      .join(),
  );
  expect({ code, out }).toEqual({ code: 0, out: `1000 ${expected.digest('hex')}` });
});

describe('--repo', () => {
  it('fetches from elsewhere without a clone, and keeps nothing', async () => {
    await shelf.publish('prod/db', 1, 'first-value', [bob.recipient]);
    desk.push();
    await shelf.publish('prod/db', 2, value, [bob.recipient]);
    desk.push();
    desk.git('push', '--quiet', 'origin', 'HEAD:refs/heads/other');
    await shelf.publish('prod/db', 3, 'third-value', [bob.recipient]);
    desk.push();
    const kept = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('keyturn-read-'));
    const before = kept();
    const url = `file://${desk.remote}`;
    const get = (...more: string[]) => ended(start(['get', 'prod/db', '--repo', url, ...more], {}));
    expect(await get()).toMatchObject({ code: 0, out: 'third-value' });
    expect(await get('--ref', 'other')).toMatchObject({ code: 0, out: value });
    expect(await get('--version', '1')).toMatchObject({ code: 0, out: 'first-value' });
    const none = await get('--ref', 'nowhere');
    expect(none).toMatchObject({ code: 1, out: '' });
    expect(none.err).toContain('there is no such ref');
    const ran = [
      'exec',
      '--repo',
      url,
      '--secret',
      'prod/db=X',
      ...node('process.exit(process.env.X.length)'),
    ];
    expect(await ended(start(ran))).toMatchObject({ code: 11 });
    expect(kept()).toEqual(before);
  });

  it('says where it looked, without the credentials of the address', async () => {
    const { code, err } = await ended(start(['get', 'a', '--repo', 'http://me:t0ps3cret@127.0.0.1:1/x.git']));
    expect(code).toBe(75);
    expect(err).toContain('http://127.0.0.1:1/x.git (HEAD)');
    expect(err).not.toContain('t0ps3cret');
    expect(await ended(start(['get', 'a', '--repo=--upload-pack=touch /tmp/x']))).toMatchObject({ code: 1 });
    expect(await ended(start(['get', 'a', '--ref', 'main']))).toMatchObject({ code: 1 });
  });
});

describe('a file that is not what it says', () => {
  const trusting = (): string => {
    const both = join(desk.clone, '..', 'bob-who-checks');
    writeFileSync(both, `${readFileSync(bob.file, 'utf8')}${shelf.ci.trustLine}\n`, { mode: 0o600 });
    return both;
  };
  const path = (name: string, v = 1): string => join(desk.clone, `values/${name}/${v}.age`);

  it('three different errors: not for you, tampered, wrong place', async () => {
    const eve = await member('eve');
    for (const name of ['mine', 'other', 'cut', 'swapped', 'older', 'forged', 'garbage'])
      await shelf.publish(name, 1, `value-of-${name}`, name === 'other' ? [] : [bob.recipient]);
    await shelf.publish('older', 2, 'newer-value', [bob.recipient]);
    writeFileSync(path('cut'), readFileSync(path('cut')).subarray(0, -20));
    writeFileSync(path('garbage'), 'not an age file');
    writeFileSync(path('swapped'), readFileSync(path('mine')));
    writeFileSync(path('older', 2), readFileSync(path('older')));
    const forged = await openShelf();
    await forged.publish('forged', 1, 'planted-value', [bob.recipient]);
    writeFileSync(path('forged'), readFileSync(join(forged.desk.clone, 'values/forged/1.age')));
    forged.desk.leave();
    desk.push();
    const identity = trusting();
    const words = async (name: string, file = identity): Promise<[number, string]> => {
      const { code, out, err } = await desk.keyturn(['--identity', file, 'get', name]);
      if (code !== 0) expect(out).toBe('');
      return [code, /(not for you|tampered|wrong place):/.exec(err)?.[1] ?? ''];
    };
    expect(await words('mine')).toEqual([0, '']);
    expect(await words('mine', eve.file)).toEqual([1, 'not for you']);
    expect(await words('other')).toEqual([1, 'not for you']);
    expect(await words('cut')).toEqual([3, 'tampered']);
    expect(await words('garbage')).toEqual([3, 'tampered']);
    expect(await words('forged')).toEqual([3, 'tampered']);
    expect(await words('swapped')).toEqual([3, 'wrong place']);
    expect(await words('older')).toEqual([3, 'wrong place']);
  });
});

it('a passphrase is asked for on a terminal, without echo', async () => {
  await shelf.publish('prod/db', 1, value, [bob.recipient]);
  desk.push();
  const { Encrypter } = await import('age-encryption');
  const encrypter = new Encrypter();
  encrypter.setPassphrase('open sesame');
  encrypter.setScryptWorkFactor(10);
  const locked = join(desk.clone, '..', 'locked');
  writeFileSync(locked, await encrypter.encrypt(readFileSync(bob.file, 'utf8')), { mode: 0o600 });
  const refused = await desk.keyturn(['--identity', locked, 'get', 'prod/db']);
  expect(refused.err).toContain('there is no terminal to ask for it');
  if (process.platform !== 'linux') return;
  const command = `'${process.execPath}' '${cli}' --identity '${locked}' get prod/db`;
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    cwd: desk.clone,
    env: { ...desk.env, TERM: 'xterm' },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let shown = '';
  await new Promise<void>((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      shown += text;
      if (shown.includes('Passphrase of') && !child.stdin.writableEnded) child.stdin.end('open sesame\r');
    });
    child.on('close', () => resolve());
  });
  expect(shown).toContain(value);
  expect(shown).not.toContain('sesame');
});
