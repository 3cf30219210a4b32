/** Database servers that lie: whatever they send, a driver answers in its own words, in time, and believes nothing. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startMariadb, startMysql } from '../servers/mysql.ts';
import { isMissing } from '../servers/mysql-installation.ts';
import { startPostgres } from '../servers/postgresql.ts';
import type { DatabaseServer } from '../servers/server.ts';
import { calm } from './calm.ts';
import { interrogate, script } from './database.ts';
import { type Damage, startDamaged } from './liar.ts';
import { eachSeed, seeds } from './seeds.ts';

describe.each(['mysql', 'postgresql'] as const)('a %s server that was never one', (type) => {
  it('is never believed, never waited for, and takes nothing down', async () => {
    await calm(() =>
      eachSeed(seeds(40), 8, async (_, dice) => {
        const liar = await script(type, dice);
        const found = await interrogate(type, liar.port, dice.pick(['self', 'target'])).finally(() =>
          liar.stop(),
        );
        expect(found).toEqual([]);
      }),
    );
  }, 240_000);
});

const start = { mariadb: startMariadb, mysql: startMysql, postgresql: startPostgres };
describe.each(['mariadb', 'mysql', 'postgresql'] as const)('a real %s whose answers get damaged', (kind) => {
  const missing = kind !== 'postgresql' && isMissing(kind);
  describe.skipIf(missing)('', () => {
    let server: DatabaseServer;
    beforeAll(async () => {
      server = await start[kind]();
    });
    afterAll(() => server?.stop());
    it('is never believed, never waited for, and takes nothing down', async () => {
      await calm(() =>
        eachSeed(seeds(40), 8, async (_, dice) => {
          const damage = dice.pick<Damage>(['flip', 'flip', 'cut', 'insert', 'drop', 'repeat', 'stall']);
          const liar = await startDamaged(server, { damage, at: dice.below(250), dice });
          const type = kind === 'postgresql' ? 'postgresql' : 'mysql';
          const found = await interrogate(type, liar.port, dice.pick(['self', 'target'])).finally(() =>
            liar.stop(),
          );
          expect(found).toEqual([]);
        }),
      );
    }, 240_000);
  });
});
