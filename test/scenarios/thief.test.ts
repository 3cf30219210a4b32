/** Somebody changes where a target is: its password is never sent to the new place without `keyturn rebind`. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { expectFailure, onPostgres, secretManifest, targetManifest } from './scene.ts';

describe('a commit that would like the password sent elsewhere', () => {
  const { running, make } = onPostgres();
  const rotate = ['rotate', 'app', '--force'];

  it('a target that a commit has moved: its password is never sent there', async () => {
    const { world, a, unchanged, username } = await make();
    const thief = await listen();
    await running().query(`CREATE ROLE ${username('bait')} LOGIN`);
    world.commit(a, {
      'manifests/target.yaml': targetManifest(world, running(), { port: thief.port }),
      'manifests/bait.yaml': secretManifest(world, 'bait', username('bait')),
    });
    for (const args of [rotate, ['apply'], ['apply', '--force'], ['recover']]) {
      const run = await unchanged(() => world.run(a, args));
      expectFailure(run, 3, /port changed from \d+ to \d+.*run keyturn rebind/);
    }
    const seen = await unchanged(() => world.run(a, ['verify']));
    expect(seen.code).toBe(3);
    expect(seen.stdout).toMatch(/app\s+v\d+\s+moved\s+port changed from \d+ to \d+.*keyturn rebind/);
    await unchanged(() => world.run(a, ['rotate', 'bait', '--force']));
    await thief.close();
    expect(thief.heard()).toBe(0);
  });

  it('a target that borrows the credential of another: it is never sent there', async () => {
    const username = `owner_${process.pid}`;
    const password = `Owner-${crypto.randomUUID()}`;
    await running().query(`CREATE ROLE ${username} SUPERUSER LOGIN PASSWORD '${password}'`);
    const { world, a, unchanged, username: accountOf } = await make({ login: { username, password } });
    const credentials = `credentials: { username: ${username}, password: { secret: owner } }`;
    const ours = targetManifest(world, running(), {}, username).replace(/credentials: .*/, credentials);
    world.commit(a, {
      'manifests/target.yaml': ours,
      'manifests/owner.yaml': secretManifest(world, 'owner', username, 'self')
        .replace('authenticateAs: user', 'rotator: target')
        .replace('initial/owner', 'initial/admin'),
    });
    const adopted = await world.run(a, ['apply']);
    expect(adopted.code, adopted.stderr).toBe(0);
    const thief = await listen();
    world.commit(a, {
      'manifests/thief.yaml': ours
        .replace('{ name: db }', '{ name: thief }')
        .replace(/port: \d+/, `port: ${thief.port}`),
      'manifests/bait.yaml': secretManifest(world, 'bait', accountOf('bait')).replace(
        'target: db',
        'target: thief',
      ),
    });
    const run = await unchanged(() => world.run(a, ['apply', '--force']));
    expectFailure(run, 75, /bait .*owner may not be sent there: port changed from \d+ to \d+/);
    await thief.close();
    expect(thief.heard()).toBe(0);
  });
});

/** Somebody who would like to be asked. */
async function listen(): Promise<{ port: number; heard: () => number; close: () => Promise<void> }> {
  let heard = 0;
  const server = createServer((socket) => {
    heard += 1;
    socket.on('error', () => undefined);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    heard: () => heard,
    close: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}
