/** Grace where the server cannot give it: refused before anything is claimed, with what to do instead. */
import { afterEach, describe, expect, it } from 'vitest';
import { startMariadb } from '../servers/mysql.ts';
import { isMissing } from '../servers/mysql-installation.ts';
import { startPostgres } from '../servers/postgresql.ts';
import type { DatabaseServer } from '../servers/server.ts';
import { createScene, expectFailure, type Scene, secretManifest } from './scene.ts';

describe('grace for an account that changes itself', () => {
  let server: DatabaseServer | undefined;
  let scene: Scene | undefined;
  afterEach(async () => {
    scene?.end();
    await server?.stop();
    scene = undefined;
  });
  const rotate = ['rotate', 'app', '--force'];

  it.skipIf(isMissing('mariadb'))('is refused by MariaDB at the preflight', async () => {
    server = await startMariadb();
    scene = await createScene(server, { secrets: ['app'], actor: 'self', more: '  grace: 24h\n' });
    const { world, a, unchanged, look } = scene;
    const first = await world.run(a, rotate);
    expectFailure(first, 3, /app .*cannot keep its own old password/, /usernames: \[a, b\]|grace: 0/);
    await unchanged(() => world.run(a, rotate));
    expect((await look()).get('app')?.record).toMatchObject({ current: 1, pending: null });
  });

  it('is refused for PostgreSQL when the manifests are read', async () => {
    server = await startPostgres();
    scene = await createScene(server, { secrets: ['app'], actor: 'self' });
    const { world, a, unchanged, username } = scene;
    const grace = secretManifest(world, 'app', username('app'), 'self', '  grace: 24h\n');
    world.commit(a, { 'manifests/app.yaml': grace });
    for (const args of [['validate'], rotate]) {
      const run = await unchanged(() => world.run(a, args));
      expectFailure(run, 1, /app\.yaml:\d+:3: app: postgresql keeps one password/, /usernames: \[a, b\]/);
    }
  });
});
