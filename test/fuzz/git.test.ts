/** Git remotes that lie: what comes of them is the state that its signers wrote, or an error in our words. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KeyturnError } from '../../src/errors.ts';
import { fold } from '../../src/state/journal.ts';
import { type Scratch, scratch } from '../git/world.ts';
import { ci, journal } from '../state/journals.ts';
import { calm } from './calm.ts';
import { type Damage, type Liar, startDamaged, startLiar } from './liar.ts';
import { type Dice, eachSeed, seeds } from './seeds.ts';

interface Upstream {
  host: string;
  port: number;
  stop(): Promise<void>;
}

const patience = 4_000;

const line = (text: string): Buffer =>
  Buffer.from(`${(text.length + 4).toString(16).padStart(4, '0')}${text}`);
const oid = (dice: Dice): string => dice.bytes(20).toString('hex');

/** Advertisements, packs and nonsense in git's own framing. */
function upload(dice: Dice): Promise<Liar> {
  const kind = dice.pick(['refs', 'huge refs', 'garbage', 'pack', 'silent', 'cut', 'words']);
  const version2 = Buffer.concat([
    line('version 2\n'),
    line('ls-refs=unborn\n'),
    line('fetch=shallow\n'),
    Buffer.from('0000'),
  ]);
  return startLiar((turn) => {
    // a git client speaks first
    if (turn === 0) return Buffer.alloc(0);
    switch (kind) {
      case 'silent':
        return Buffer.alloc(0);
      case 'cut':
        return turn === 1 ? version2.subarray(0, dice.below(version2.length)) : null;
      case 'garbage':
        return dice.bytes(1 + dice.below(300));
      case 'words':
        return line(`ERR \u001b[2J${'x'.repeat(dice.below(2000))}\n::add-mask::x\n`);
      case 'huge refs':
        return Buffer.concat(
          Array.from({ length: 3000 }, (_, index) =>
            line(`${oid(dice)} refs/heads/${index}${'x'.repeat(dice.below(200))}\n`),
          ),
        );
      case 'refs':
        return turn === 1
          ? version2
          : Buffer.concat([
              line(`${oid(dice)} refs/heads/main\n`),
              line(`${oid(dice)} refs/heads/main\n`),
              Buffer.from('0000'),
            ]);
      default:
        return turn === 1
          ? version2
          : turn === 2
            ? Buffer.concat([line(`${oid(dice)} refs/heads/main\n`), Buffer.from('0000')])
            : Buffer.concat([
                line('packfile\n'),
                line(`\u0001PACK\u0000\u0000\u0000\u0002${dice.bytes(dice.below(200)).toString('latin1')}`),
                Buffer.from('0000'),
              ]);
    }
  });
}

describe('a git remote that lies', () => {
  let world: Scratch;
  let truth: string;
  let upstream: Upstream;
  beforeAll(async () => {
    world = scratch();
    const { files, folded } = await journal(4);
    truth = folded.state.head;
    const remote = world.remote();
    const writer = world.clone(remote, 'writer');
    const repository = await world.open(writer);
    const base = await repository.fetch();
    const writes = [...files].map(([path, bytes]) => ({ path, bytes }));
    expect(await repository.publish({ base, writes, subject: 'state', body: '' })).toMatchObject({
      r: 'published',
    });
    upstream = await serve(world.root, world.env);
  });
  afterAll(async () => {
    await upstream?.stop();
    world?.remove();
  });

  async function ask(port: number, seed: number): Promise<void> {
    // as it was before there was a state
    const clone = world.clone(world.at('remote.git-seed'), `clone-${port}-${seed}`);
    world.git(clone, 'remote', 'set-url', 'origin', `git://127.0.0.1:${port}/remote.git`);
    try {
      const repository = await world.open(clone, { networkTimeout: patience });
      const tip = await repository.fetch();
      const blobs = await repository.list(tip, ['state']);
      const read = await repository.read([...blobs.values()]);
      const files = new Map([...blobs].map(([path, id]) => [path, read.get(id) ?? new Uint8Array()]));
      const { state } = await fold(files, ci.identity);
      // nothing at all is seen by whoever remembers the state (lineage)
      expect([truth, '']).toContain(state.head);
    } catch (error) {
      expect(error).toBeInstanceOf(KeyturnError);
    }
  }

  it('from the first word on', async () => {
    await calm(() =>
      eachSeed(seeds(16), 4, async (seed, dice) => {
        const liar = await upload(dice);
        await ask(liar.port, seed);
        await liar.stop();
      }),
    );
  }, 240_000);

  it('somewhere in the middle, packs included', async () => {
    await calm(() =>
      eachSeed(seeds(24), 4, async (seed, dice) => {
        const damage = dice.pick<Damage>([
          'flip',
          'flip',
          'flip',
          'cut',
          'insert',
          'drop',
          'repeat',
          'stall',
        ]);
        const at = dice.below(dice.pick([200, 1_000, 12_000]));
        const liar = await startDamaged(upstream, { damage, at, dice });
        await ask(liar.port, seed);
        await liar.stop();
      }),
    );
  }, 240_000);
});

/** `git daemon`, one process a connection. */
async function serve(root: string, env: NodeJS.ProcessEnv): Promise<Upstream> {
  const server = createServer((socket) => {
    const args = ['daemon', '--inetd', '--export-all', `--base-path=${root}`, root];
    const child = spawn('git', args, { env, stdio: ['pipe', 'pipe', 'ignore'] });
    for (const stream of [socket, child.stdin, child.stdout]) stream.on('error', () => socket.destroy());
    socket.on('close', () => child.kill());
    socket.pipe(child.stdin);
    child.stdout.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}
