/**
 * The real command line on a machine that dies on request. Everything comes from the environment:
 * `KILL_AT=<failpoint>[#n]` sends SIGKILL to this process at the n-th hit, `HANG_AT` stops there until a
 * signal comes, `MACHINE` is who owns its claims, `CLOCK_OFFSET` is how many milliseconds its clock is ahead.
 */
import { writeSync } from 'node:fs';
import { main } from '../../src/cli.ts';
import { type Host, systemHost } from '../../src/host.ts';

const { KILL_AT, HANG_AT, MACHINE, CLOCK_OFFSET, TRACE_FAILPOINTS, ...env } = process.env;
const hits = new Map<string, number>();

const isAt = (wanted: string | undefined, name: string, hit: number): boolean => {
  const [at, n = '1'] = (wanted ?? '').split('#');
  return at === name && hit === Number(n);
};

const system = systemHost();
const host: Host = {
  ...system,
  env,
  machine: MACHINE ?? system.machine,
  onStop: (stop) =>
    system.onStop(() => {
      stop();
      if (HANG_AT !== undefined) writeSync(2, 'has heard that it is to stop\n');
    }),
  clock: { ...system.clock, now: () => new Date(Date.now() + Number(CLOCK_OFFSET ?? 0)) },
  failpoint: async (name) => {
    const hit = (hits.get(name) ?? 0) + 1;
    hits.set(name, hit);
    if (TRACE_FAILPOINTS !== undefined) writeSync(2, `failpoint ${name}\n`);
    if (isAt(KILL_AT, name, hit)) {
      process.kill(process.pid, 'SIGKILL');
      // The signal may arrive a moment later: nothing happens until then.
      await new Promise(() => setInterval(() => undefined, 1_000));
    }
    if (isAt(HANG_AT, name, hit)) {
      const awake = setInterval(() => undefined, 1_000);
      const resumed = new Promise<void>((resume) => process.once('SIGCONT', resume));
      writeSync(2, `hanging at ${name}\n`);
      await resumed;
      clearInterval(awake);
    }
  },
};

process.exit(await main(process.argv.slice(2), host));
