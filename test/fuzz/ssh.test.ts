/** SSH hosts that lie: no banner, endless ones, garbage after it, and a real one whose answers get damaged. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Secret } from '../../src/secret.ts';
import type { RotationJob } from '../../src/targets/driver.ts';
import { driverOf } from '../../src/targets/registry.ts';
import { type SshServer, sshdMissing, startSshd } from '../servers/sshd.ts';
import { calm } from './calm.ts';
import { type Damage, type Liar, startDamaged, startLiar } from './liar.ts';
import { type Dice, eachSeed, seeds } from './seeds.ts';

const job = (port: number, fingerprint: string, actor: RotationJob['actor']): RotationJob => ({
  target: {
    name: 'host',
    type: 'ssh',
    host: '127.0.0.1',
    port,
    verifyHost: undefined,
    database: undefined,
    tls: { mode: 'verify', ca: undefined, caFile: undefined, serverName: undefined },
    credentials: undefined,
    ssh: { hostKeys: [fingerprint], sudo: 'passwordless', os: 'linux', spacing: 0, jump: undefined },
    concurrency: 1,
    timeout: 400,
    source: { file: 'a.yaml', line: 1, column: 1 },
  },
  username: 'nobody',
  host: undefined,
  account: { usernames: ['nobody'], host: undefined },
  actor,
  admin: { username: 'kt-nobody-at-all', password: new Secret('wrong-admin-password') },
  current: new Secret('wrong-current-password'),
  retain: false,
  mark: { uid: '01KTFUZZ', version: 2 },
});

async function interrogate(
  port: number,
  fingerprint: string,
  actor: RotationJob['actor'],
): Promise<string[]> {
  const driver = await driverOf('ssh');
  if (driver.machine !== 'chosen') throw new Error('not a chosen driver');
  const rotator = driver.rotator(job(port, fingerprint, actor));
  const value = new Secret('never-live-anywhere');
  const answers = [await rotator.preflight(), await rotator.probe(value), await rotator.set(value, {})];
  await rotator.close();
  return answers.flatMap((answer) => {
    const detail = 'detail' in answer ? answer.detail : '';
    const believed = ['ready', 'ok', 'ok-restricted', 'applied'].includes(answer.r);
    return believed || /this is a bug|[^\x20-\x7e]/.test(detail) ? [`${answer.r}: ${detail}`] : [];
  });
}

function transcript(dice: Dice): Promise<Liar> {
  const kind = dice.pick([
    'garbage',
    'banner',
    'banner',
    'packets',
    'packets',
    'endless',
    'silent',
    'cut',
    'lines',
  ]);
  const banner = dice.pick([
    'SSH-2.0-x\r\n',
    'SSH-1.5-old\n',
    'SSH-2.0-\u001b[2J\r\n',
    'SSH-2.0',
    'HTTP/1.1 200 OK\r\n',
  ]);
  return startLiar((turn) => {
    switch (kind) {
      case 'silent':
        return Buffer.alloc(0);
      case 'cut':
        return turn === 0 ? Buffer.from(banner.slice(0, dice.below(8))) : null;
      case 'endless':
        return turn === 0 ? 'endless' : Buffer.alloc(0);
      case 'lines':
        return Buffer.from(`${'no ssh here\r\n'.repeat(dice.below(2000))}${'x'.repeat(dice.below(300_000))}`);
      case 'garbage':
        return dice.bytes(1 + dice.below(400));
      case 'banner':
        return turn === 0 ? Buffer.from(banner) : dice.bytes(dice.below(200));
      default: {
        if (turn === 0) return Buffer.from('SSH-2.0-OpenSSH_9.2p1\r\n');
        // a binary packet: length, padding length, type, rest
        const body = Buffer.concat([
          Buffer.from([dice.pick([4, 20, 21, 31, 2, 1, 3, 52])]),
          dice.bytes(dice.below(300)),
        ]);
        const head = Buffer.alloc(5);
        head.writeUInt32BE(dice.below(6) === 0 ? dice.below(2 ** 32) : body.length + 1);
        head[4] = dice.below(20);
        return Buffer.concat([head, body]);
      }
    }
  });
}

describe('an SSH host that was never one', () => {
  it('is never believed, never waited for, and takes nothing down', async () => {
    await calm(() =>
      eachSeed(seeds(60), 10, async (_, dice) => {
        const liar = await transcript(dice);
        const found = await interrogate(liar.port, `SHA256:${'A'.repeat(43)}`, dice.pick(['self', 'target']));
        await liar.stop();
        expect(found).toEqual([]);
      }),
    );
  }, 240_000);
});

const missing = sshdMissing();
describe.skipIf(missing !== null)('a real SSH host whose answers get damaged', () => {
  let server: SshServer;
  beforeAll(async () => {
    server = await startSshd({ pam: false });
  });
  afterAll(() => server?.stop());
  it('is never believed, never waited for, and takes nothing down', async () => {
    await calm(() =>
      eachSeed(seeds(40), 6, async (_, dice) => {
        const damage = dice.pick<Damage>(['flip', 'flip', 'cut', 'insert', 'drop', 'repeat', 'stall']);
        const liar = await startDamaged(server, { damage, at: dice.below(2500), dice });
        const found = await interrogate(liar.port, server.fingerprint, dice.pick(['self', 'target']));
        await liar.stop();
        expect(found).toEqual([]);
      }),
    );
  }, 240_000);
});
