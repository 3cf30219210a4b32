/** Two jobs at once on two clones: every update is somebody's, none is lost, and every value logs in. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Run } from '../crash/world.ts';
import { startPostgres } from '../servers/postgresql.ts';
import type { DatabaseServer } from '../servers/server.ts';
import { createScene } from './scene.ts';

interface Result {
  secret: string;
  outcome: 'done' | 'waiting' | 'failed' | 'human' | 'skipped';
  version: number | null;
  detail: string;
}

const rounds = 50;
const secrets = ['one', 'two', 'three', 'four'];
const minute = 60_000;

const resultsOf = (run: Run): Result[] => (JSON.parse(run.stdout) as { results: Result[] }).results;

describe('two jobs at once', () => {
  let server: DatabaseServer | undefined;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server?.stop());

  it('share the work of fifty rounds without losing an update', async () => {
    if (server === undefined) throw new Error('not started');
    const scene = await createScene(server, { secrets });
    const { world, a } = scene;
    const b = world.machine('b');
    const done = new Map(secrets.map((secret) => [secret, [1]]));
    const codes = new Map<string, number>();
    for (let round = 1; round <= rounds; round += 1) {
      const offset = round * 30 * minute;
      const args = ['--json', 'rotate', ...secrets, '--force'];
      const runs = await Promise.all([a, b].map((machine) => world.run(machine, args, { offset })));
      for (const run of runs) {
        expect([0, 75], run.stderr).toContain(run.code);
        const results = resultsOf(run);
        for (const { secret, outcome, version, detail } of results) {
          if (outcome === 'done' && version !== null) done.get(secret)?.push(version);
          else expect(detail).toMatch(/another run (claimed it first|took it over|changed it meanwhile)/);
        }
        if (run.code === 75) expect(run.stderr).toMatch(/another run/);
        else if (results.length < secrets.length) expect(run.stderr).toMatch(/claimed by [ab]:ci/);
        const word = `${run.code} ${results.filter((r) => r.outcome === 'done').length} done`;
        codes.set(word, (codes.get(word) ?? 0) + 1);
      }
    }
    process.stdout.write(`race: ${[...codes].map(([word, n]) => `${n} x exit ${word}`).join(', ')}\n`);
    expect(
      [...codes.keys()].some((word) => word.startsWith('75')),
      'the two never met',
    ).toBe(true);

    const all = await scene.allLogIn();
    for (const secret of secrets) {
      const versions = done.get(secret) ?? [];
      expect(new Set(versions).size, `a version of ${secret} was claimed twice`).toBe(versions.length);
      expect(all.get(secret)?.record).toMatchObject({ current: Math.max(...versions), pending: null });
      expect(Object.keys(all.get(secret)?.record.versions ?? {}).length).toBe(versions.length);
    }
    const verified = await world.run(a, ['verify', '--history']);
    expect(verified.code, verified.stderr).toBe(0);
    scene.end();
  }, 600_000);
});
