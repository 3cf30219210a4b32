import { createAccount, held, logsIn } from '../crash/databases.ts';
import { put, type World } from '../crash/world.ts';
import type { DatabaseServer } from '../servers/server.ts';
import { fresh, initial, type Member, manifest, type Part } from './part.ts';

/** Every combination of who changes the password and how long the old one works; on PostgreSQL also a target's own login. */
export async function database(world: World, server: DatabaseServer): Promise<Part> {
  const { kind } = server;
  const manifests: string[] = [];
  const members: Member[] = [];
  const type = kind === 'postgresql' ? 'postgresql' : 'mysql';
  const target = (name: string, credentials: string): string =>
    manifest(
      'Target',
      name,
      `  type: ${type}\n  host: 127.0.0.1\n  port: ${server.port}\n  tls: { mode: disable }\n  credentials: ${credentials}`,
    );
  world.canary.learn(`the administrator's password of ${kind}`, server.adminPassword);
  put(world.at('initial', `${kind}-admin`), server.adminPassword, 0o600);
  manifests.push(
    target(
      kind,
      `{ username: ${server.adminUser}, password: { file: ${world.at('initial', `${kind}-admin`)} } }`,
    ),
  );

  const add = async (
    name: string,
    { self = false, pair = false, grace = false, on = kind as string, rotator = '' } = {},
  ): Promise<void> => {
    const users = pair ? [`so_${name}_a`, `so_${name}_b`] : [`so_${name}`];
    const value = fresh();
    const [first = '', second] = users;
    await createAccount(server, first, value, self && grace);
    if (second !== undefined) await createAccount(server, second, undefined);
    const secret = `${kind}/${name}`;
    const given = self
      ? `\n  initial: { password: { file: ${initial(world, `${kind}-${name}`, value)} } }`
      : '';
    manifests.push(
      manifest(
        'RotatedSecret',
        secret,
        `  target: ${on}\n${rotator}  authenticateAs: ${self ? 'user' : 'target'}\n  account: ${pair ? `{ usernames: [${users.join(', ')}] }` : `{ username: ${first} }`}\n  schedule: { every: 300d }${grace ? '\n  grace: 1h' : ''}${given}`,
      ),
    );
    members.push({
      secret,
      overlap: grace,
      accepts: ({ username, value: kept }) => logsIn(server, username, kept),
      strays: async (_, accepted) => {
        let stored = 0;
        for (const user of users) stored += await held(server, user);
        return stored === accepted
          ? []
          : [`${kind} holds ${stored} values of ${secret}, ${accepted} are recorded`];
      },
    });
  };
  await add('plain');
  await add('self', { self: true });
  await add('pair', { pair: true, grace: true });
  if (kind !== 'postgresql') await add('dual', { grace: true });
  if (kind === 'mysql') await add('selfdual', { self: true, grace: true });
  if (kind === 'postgresql') {
    // a target whose own login is a rotated secret
    const value = fresh();
    await server.query(`CREATE ROLE so_owner SUPERUSER LOGIN PASSWORD '${value}'`);
    const file = initial(world, 'owner', value);
    manifests.push(
      target('owned', '{ username: so_owner, password: { secret: postgresql/owner } }'),
      manifest(
        'RotatedSecret',
        'postgresql/owner',
        `  target: owned\n  rotator: target\n  account: { username: so_owner }\n  schedule: { every: 300d }\n  initial: { password: { file: ${file} } }`,
      ),
    );
    members.push({
      secret: 'postgresql/owner',
      overlap: false,
      accepts: ({ username, value: kept }) => logsIn(server, username, kept),
      strays: async () => [],
    });
    await add('ward', { on: 'owned' });
  }
  return {
    server: kind,
    members,
    manifests: { [`manifests/${kind}.yaml`]: manifests.join('---\n') },
    logs: [server.logFile],
    stop: () => server.stop(),
  };
}
