/** Every question that the engine asks of a database, to servers that lie. */
import type { Target } from '../../src/manifests/model.ts';
import { Secret } from '../../src/secret.ts';
import type { RotationJob } from '../../src/targets/driver.ts';
import { driverOf } from '../../src/targets/registry.ts';
import { type Liar, startLiar } from './liar.ts';
import type { Dice } from './seeds.ts';

const timeout = 250;

const job = (type: Target['type'], port: number, actor: RotationJob['actor']): RotationJob => ({
  target: {
    name: 'db',
    type,
    host: '127.0.0.1',
    port,
    verifyHost: undefined,
    database: undefined,
    tls: { mode: 'disable', ca: undefined, caFile: undefined, serverName: undefined },
    credentials: undefined,
    concurrency: 1,
    timeout,
    source: { file: 'a.yaml', line: 1, column: 1 },
  },
  username: 'nobody_at_all',
  host: type === 'mysql' ? '%' : undefined,
  account: { usernames: ['nobody_at_all'], host: type === 'mysql' ? '%' : undefined },
  actor,
  admin: { username: 'admin', password: new Secret('wrong-admin-password') },
  current: new Secret('wrong-current-password'),
  retain: false,
  mark: { uid: '01KTFUZZ', version: 2 },
});

/** What a server that knows neither the accounts nor the passwords should not have got out of the driver; empty when all is well. */
export async function interrogate(
  type: Target['type'],
  port: number,
  actor: RotationJob['actor'],
): Promise<string[]> {
  const driver = await driverOf(type);
  if (driver.machine !== 'chosen') throw new Error('not a chosen driver');
  const rotator = driver.rotator(job(type, port, actor));
  const value = new Secret('never-live-anywhere');
  const preflight = await rotator.preflight();
  const witness = await rotator.witness(value, { fingerprint: 'x' });
  const probe = await rotator.probe(value);
  // a server may say that it did what it was told: the login that follows is what counts
  const claims = [await rotator.set(value, {}), await rotator.retire(value)];
  await rotator.close();
  const believed = [preflight.r, witness, probe.r].filter((r) =>
    ['ready', 'applied', 'ok', 'ok-restricted'].includes(r),
  );
  const details = [preflight, probe, ...claims].map((answer) => ('detail' in answer ? answer.detail : ''));
  return [...believed, ...details.filter((detail) => /this is a bug|[^\x20-\x7e]/.test(detail))];
}

/** Payloads in the protocol's own frames: what comes through to a parser. */
const framed: Record<'mysql' | 'postgresql', (dice: Dice, turn: number) => Buffer> = {
  mysql: (dice, turn) => {
    const greeting = Buffer.concat([
      Buffer.from([10]),
      Buffer.from(dice.pick(['8.0.36', '11.4.2-MariaDB', '', 'x'.repeat(300)])),
      dice.bytes(1 + dice.below(80)),
    ]);
    const payload =
      turn === 0 && dice.below(3) > 0
        ? greeting
        : Buffer.concat([
            Buffer.from([dice.pick([0xff, 0xfe, 0xfb, 0x01, 0x02, 0x0a])]),
            dice.bytes(dice.below(60)),
          ]);
    const head = Buffer.alloc(4);
    head.writeUIntLE(dice.below(8) === 0 ? dice.below(1 << 24) : payload.length, 0, 3);
    head[3] = turn === 0 ? 0 : dice.below(4);
    return Buffer.concat([head, payload]);
  },
  postgresql: (dice) => {
    const type = dice.pick([
      'R',
      'E',
      'N',
      'S',
      'K',
      'Z',
      'T',
      'D',
      'C',
      'G',
      'A',
      'v',
      '1',
      '2',
      't',
      'n',
      'W',
      'd',
    ]);
    const payload = dice.bytes(dice.below(60) + (type === 'R' ? 4 : 0));
    if (type === 'R') payload.writeUInt32BE(dice.pick([5, 10, 11, 12, 3, 7, 2, 99]), 0);
    const head = Buffer.alloc(5);
    head.write(type);
    head.writeUInt32BE(dice.below(8) === 0 ? dice.below(2 ** 31) : payload.length + 4, 1);
    return Buffer.concat([head, payload]);
  },
};

/** A script for one server's whole life. */
export function script(type: 'mysql' | 'postgresql', dice: Dice): Promise<Liar> {
  const kind = dice.pick(['garbage', 'framed', 'framed', 'framed', 'endless', 'silent', 'cut']);
  const until = dice.below(4);
  return startLiar((turn) => {
    if (kind === 'silent') return Buffer.alloc(0);
    if (kind === 'cut' && turn >= until) return null;
    if (kind === 'endless' && turn === until) return 'endless';
    if (kind === 'garbage') return dice.bytes(1 + dice.below(400));
    const many = Array.from({ length: 1 + dice.below(3) }, () => framed[type](dice, turn));
    return Buffer.concat(many);
  });
}
