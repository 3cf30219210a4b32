/** Values in slots where something comes late: a renewal after its lease, and what the target shows after a takeover. */
import { expect, test } from 'vitest';
import { broken, recorded } from './oracle.ts';
import { healthy, Puppet } from './scheduler.ts';
import { minute } from './schedules.ts';
import { fork, run, setup, type Universe, universe } from './world.ts';

const kinds = { 'one slot': false, 'a pair': true };
const lease = 26 * minute;

/** Ends the effects of a process as the lines say, `label ending`. */
async function does(who: Puppet, ...lines: string[]): Promise<void> {
  for (const line of lines) {
    const [label = '', ...ending] = line.split(' ');
    expect(who.parked?.label).toBe(label);
    await who.go(ending.join(' '));
  }
}

async function toItsEnd(who: Puppet): Promise<void> {
  while (who.parked) await who.go('ok');
  expect([who.state, who.failure]).toEqual(['ended', undefined]);
}

const starts = async (world: Universe, pid: number): Promise<Puppet> => {
  const who = new Puppet();
  await who.start((hand) => run(world, hand, pid));
  return who;
};

const rests = async (world: Universe): Promise<number[]> => {
  expect(await broken(world)).toEqual([]);
  const [record] = await recorded(world);
  expect(record?.pending).toBeNull();
  return Object.keys(record?.versions ?? {}).map(Number);
};

test.each(Object.entries(kinds))(
  '%s: what is shown late after a takeover is not taken back',
  async (_, pair) => {
    const world = fork(await universe(setup({ slots: { pair, lags: true } })));
    const first = await starts(world, 1);
    await does(first, 'fetch ok', 'read ok', 'publish crash after');
    world.time += lease;
    const second = await starts(world, 2);
    await does(second, 'fetch ok', 'publish ok', 'look ok', 'read ok', 'renew ok', 'read ok');
    await does(second, 'publish ok', 'look ok', 'fetch ok', 'read lagging');
    await toItsEnd(second);
    expect(await rests(world)).toEqual([1, 2]);
  },
);

test.each(Object.entries(kinds))('%s: a renewal that outlasts its lease is read again', async (_, pair) => {
  const world = fork(await universe(setup({ slots: { pair, lags: false } })));
  const first = await starts(world, 1);
  await does(first, 'fetch ok', 'read ok', 'publish ok', 'look ok');
  expect(first.parked?.label).toBe('renew');
  world.time += lease;
  await run(world, healthy, 2);
  expect(await rests(world)).toEqual([1, 2]);
  await does(first, 'renew ok');
  expect(await broken(world)).not.toEqual([]);
  await toItsEnd(first);
  expect(await rests(world)).toEqual([1, 2, 3]);
});
