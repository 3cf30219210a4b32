/**
 * No credential is ever lost: every failpoint of the engine, on real servers, with the process killed there,
 * recovered by the same machine at once or by another one half an hour later.
 */
import { readdirSync, readFileSync } from 'node:fs';
import pLimit from 'p-limit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startMariadb, startMysql } from '../servers/mysql.ts';
import { isMissing } from '../servers/mysql-installation.ts';
import { startPostgres } from '../servers/postgresql.ts';
import type { DatabaseServer } from '../servers/server.ts';
import { runRound, words } from './round.ts';
import type { Combination } from './seed.ts';

const combinations: Record<DatabaseServer['kind'], Omit<Combination, 'database'>[]> = {
  // an account cannot keep its own old password on MariaDB: scenarios/ shows how that is refused
  mariadb: [
    { actor: 'target', overlap: 'none' },
    { actor: 'target', overlap: 'dual' },
    { actor: 'target', overlap: 'pair' },
    { actor: 'self', overlap: 'none' },
  ],
  mysql: [
    { actor: 'target', overlap: 'none' },
    { actor: 'target', overlap: 'dual' },
    { actor: 'target', overlap: 'pair' },
    { actor: 'self', overlap: 'none' },
    { actor: 'self', overlap: 'dual' },
  ],
  // a PostgreSQL role has one password, so grace takes two roles, and a role that is not in use cannot log in
  postgresql: [
    { actor: 'target', overlap: 'none' },
    { actor: 'target', overlap: 'pair' },
    { actor: 'self', overlap: 'none' },
  ],
};

/** As they stand in the engine; `*` is a step, whose names are in `failpoints.ts`. */
const known = [
  '*.*',
  '*.afterPush',
  '*.beforeCommit',
  'create.afterReply',
  'create.afterSpool',
  'create.beforeSend',
  'create.beforeSpool',
  'fence.after',
  'issued.afterPush',
  'issued.beforePush',
  'push.afterApply',
  'push.beforeSend',
  'retire.afterTarget',
  'retire.before',
  'set.afterAck',
  'set.beforeConnect',
  'verify.after',
  'verify.before',
  'victim.afterDelete',
  'victim.afterDisable',
  'victim.afterPush',
  'victim.beforeCommit',
];

it('knows every failpoint of the engine', () => {
  const src = new URL('../../src/', import.meta.url);
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  );
  const found = files.flatMap((file) =>
    [...readFileSync(new URL(file, src), 'utf8').matchAll(/failpoint\(['`]([^'`]+)['`]\)/g)].map(
      ([, name = '']) => name.replaceAll(/\$\{\w+\}/g, '*'),
    ),
  );
  expect([...new Set(found)].sort()).toEqual(known.sort());
});

const start = { mariadb: startMariadb, mysql: startMysql, postgresql: startPostgres };
const sideBySide = pLimit(3);

describe.each(['mariadb', 'mysql', 'postgresql'] as const)('on %s', (kind) => {
  const missing = kind !== 'postgresql' && isMissing(kind);
  describe.skipIf(missing).concurrent('a process killed at every step loses nothing', () => {
    let server: DatabaseServer | undefined;
    beforeAll(async () => {
      server = await start[kind]();
    });
    afterAll(() => server?.stop());

    const rounds = combinations[kind].flatMap((combination) =>
      (['kill', 'evict'] as const).map((mode) => ({ combination: { database: kind, ...combination }, mode })),
    );
    it.each(rounds.map((round) => ({ ...round, name: `${words(round.combination)}, ${round.mode}` })))(
      '$name',
      async ({ combination, mode, name }) => {
        if (server === undefined) throw new Error('not started');
        const running = server;
        const { deaths, secrets, problems } = await sideBySide(() => runRound(running, combination, mode));
        const unreached = combination.overlap === 'none' ? ', retire.* does not exist without grace' : '';
        process.stdout.write(
          `matrix: ${name}: ${secrets} secrets, ${deaths} processes killed${unreached}, ${problems.length} problems\n`,
        );
        expect(problems).toEqual([]);
      },
      600_000,
    );
  });
});
