/** A double of Windows OpenSSH: it decodes the script it is given and does what PowerShell would. No Windows was seen. */
import { generateKeyPairSync } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import ssh2, { type ServerChannel } from 'ssh2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Secret } from '../../src/secret.ts';
import type { RotationJob } from '../../src/targets/driver.ts';
import { fingerprintOf } from '../../src/targets/ssh/connect.ts';
import { ssh } from '../../src/targets/ssh.ts';

const hostKey = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  publicKeyEncoding: { type: 'pkcs1', format: 'pem' },
}).privateKey;
const parsed = ssh2.utils.parseKey(hostKey);
if (parsed instanceof Error) throw parsed;
const accounts = new Map([
  ['Administrator', 'Admin-Value-1'],
  ['svc app', 'Old-Value-1'],
]);
const commands: string[] = [];
let changes = 100;
let port = 0;

function powershell(script: string, input: string): string[] {
  const nonce = /WriteLine\('(\w+) '/.exec(script)?.[1] ?? '';
  const say = (text: string): string => `${nonce} ${text}`;
  const user = Buffer.from(/FromBase64String\('([^']*)'\)/.exec(script)?.[1] ?? '', 'base64').toString();
  if (!accounts.has(user)) return [say('in'), say('error UserNotFound,Microsoft.PowerShell.Commands')];
  if (script.includes('PasswordLastSet')) return [say('in'), say(`set ${changes}`)];
  const [value = '', end] = input.split('\n');
  if (end !== /-cne '(\w+)'/.exec(script)?.[1]) return [say('in'), say('cut')];
  if (value.length < 12) return [say('in'), say('go'), say('error InvalidPassword,Microsoft')];
  accounts.set(user, value);
  changes += 1;
  return [say('in'), say('go'), say('done')];
}

const server = new ssh2.Server({ hostKeys: [hostKey] }, (client) => {
  client.on('error', () => undefined);
  client.on('authentication', (context) => {
    if (context.method === 'password' && accounts.get(context.username) === context.password)
      context.accept();
    else context.reject(['password']);
  });
  client.on('session', (accept) => {
    accept().on('exec', (acceptExec, _, { command }) => {
      commands.push(command);
      const stream: ServerChannel = acceptExec();
      let input = '';
      stream.on('data', (chunk: Buffer) => {
        input += chunk.toString();
      });
      stream.on('end', () => {
        const encoded = /-EncodedCommand (\S+)/.exec(command)?.[1] ?? '';
        const said =
          encoded === '' ? [] : powershell(Buffer.from(encoded, 'base64').toString('utf16le'), input);
        stream.write(said.map((line) => `${line}\r\n`).join(''));
        stream.exit(0);
        stream.end();
      });
      stream.resume();
    });
  });
});
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => new Promise<void>((resolve) => server.close(() => resolve())));

const job = (username = 'svc app', actor: RotationJob['actor'] = 'target'): RotationJob => ({
  target: {
    name: 'win',
    type: 'ssh',
    host: '127.0.0.1',
    port,
    verifyHost: undefined,
    database: undefined,
    tls: { mode: 'verify', ca: undefined, caFile: undefined, serverName: undefined },
    credentials: undefined,
    ssh: {
      hostKeys: [fingerprintOf(parsed.getPublicSSH())],
      sudo: 'none',
      os: 'windows',
      spacing: 0,
      jump: undefined,
    },
    concurrency: 1,
    timeout: 5_000,
    source: { file: 'test.yaml', line: 1, column: 1 },
  },
  username,
  host: undefined,
  account: { usernames: [username], host: undefined },
  actor,
  admin: { username: 'Administrator', password: new Secret('Admin-Value-1') },
  current: new Secret('Old-Value-1'),
  retain: false,
  mark: { uid: 'uid', version: 2 },
});

describe('ssh to a double of Windows', () => {
  it('sets the value over stdin, never in the command, and knows that it was set', async () => {
    const rotator = ssh.rotator(job());
    const value = new Secret('Fresh-Value-for-Windows-1');
    const preflight = await rotator.preflight();
    expect(preflight).toMatchObject({ r: 'ready', warnings: [], witness: true });
    const baseline = preflight.r === 'ready' ? preflight.baseline : {};
    expect(await rotator.witness(value, baseline)).toBe('not-applied');
    expect(await rotator.set(value, baseline)).toMatchObject({ r: 'applied' });
    expect(await rotator.witness(value, baseline)).toBe('changed');
    expect(await rotator.probe(value)).toMatchObject({ r: 'ok' });
    expect(await rotator.probe(new Secret('Old-Value-1'))).toMatchObject({ r: 'denied' });
    const scripts = commands.map((command) =>
      Buffer.from(/-EncodedCommand (\S+)/.exec(command)?.[1] ?? '', 'base64').toString('utf16le'),
    );
    expect([...commands, ...scripts].join('\n')).not.toContain(value.reveal());
    await rotator.close();
  });

  it('tells policy, a missing account and a wrong login apart', async () => {
    const rotator = ssh.rotator(job());
    expect(await rotator.set(new Secret('short'), {})).toMatchObject({ r: 'refused', why: 'policy' });
    await rotator.close();
    const nobody = ssh.rotator(job('nobody'));
    expect(await nobody.preflight()).toMatchObject({ r: 'refused', why: 'no-account' });
    await nobody.close();
    const wrong = { ...job(), admin: { username: 'Administrator', password: new Secret('Wrong-Value-1') } };
    expect(await ssh.rotator(wrong).preflight()).toMatchObject({ r: 'refused', why: 'bad-current' });
  });

  it('does not let an account change itself', async () => {
    expect(await ssh.rotator(job('svc app', 'self')).preflight()).toMatchObject({
      r: 'refused',
      why: 'unsupported',
    });
  });
});
