/** Every kind of target that there is, at once: on real servers, and on doubles where a cloud cannot be had. */
import type { World } from '../crash/world.ts';
import { startAzure } from '../servers/azure/server.ts';
import { isMotoMissing, startMoto } from '../servers/moto.ts';
import { startMariadb, startMysql } from '../servers/mysql.ts';
import { isMissing } from '../servers/mysql-installation.ts';
import { startPostgres } from '../servers/postgresql.ts';
import { sshdMissing, startSshd } from '../servers/sshd.ts';
import { aws } from './aws.ts';
import { azure } from './azure.ts';
import { database } from './databases.ts';
import { host } from './hosts.ts';
import type { Fleet, Part } from './part.ts';
import { rotators } from './rotators.ts';

/** Starts what this machine has, and says what it lacks. */
export async function startFleet(world: World): Promise<Fleet> {
  const parts: Part[] = [];
  const missing = sshdMissing();
  try {
    if (!isMissing('mariadb')) parts.push(await database(world, await startMariadb()));
    if (!isMissing('mysql')) parts.push(await database(world, await startMysql()));
    parts.push(await database(world, await startPostgres()));
    if (missing === null) parts.push(await host(world, await startSshd()));
    else process.stderr.write(`\n!!! sshd is left out: ${missing}\n\n`);
    if (!isMotoMissing()) parts.push(await aws(world, await startMoto()));
    parts.push(await azure(world, await startAzure()));
    parts.push(await rotators(world));
  } catch (error) {
    await Promise.all(parts.map((part) => part.stop()));
    throw error;
  }
  return {
    members: parts.flatMap(({ members }) => members),
    manifests: Object.assign({}, ...parts.map(({ manifests }) => manifests)),
    servers: parts.map(({ server }) => server),
    logs: parts.flatMap(({ logs = [] }) => logs),
    pids: parts.flatMap(({ pids = [] }) => pids),
    env: Object.assign({}, ...parts.map(({ env }) => env)),
    clock: (ahead) => {
      for (const part of parts) part.clock?.(ahead);
    },
    violations: () => parts.flatMap((part) => part.violations?.() ?? []),
    stop: async () => {
      await Promise.all(parts.map((part) => part.stop()));
    },
  };
}
