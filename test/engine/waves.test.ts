/** More secrets than one push claims: what waits for a push, and what need not. */
import { expect, test } from 'vitest';
import { broken } from './oracle.ts';
import { Puppet, type Ways } from './scheduler.ts';
import { run, setup, type Universe, universe } from './world.ts';

const minute = 60_000;
const count = 40;
const waveSize = 32;
const two = (): Promise<Universe> => universe(setup({ secrets: count }));

/** A healthy hand whose effects wait for `before`. */
class Watching extends Puppet {
  readonly ended: string[] = [];
  readonly #before: (label: string, seen: Watching) => unknown;

  constructor(before: (label: string, seen: Watching) => unknown) {
    super();
    this.#before = before;
  }

  override async act<T>(label: string, ways: Ways<T>): Promise<T> {
    await this.#before(label, this);
    this.ended.push(label);
    return ways.ok();
  }

  count(label: string): number {
    return this.ended.filter((one) => one === label).length;
  }
}

/** How often each result was told; nothing of protocol §0 is broken afterwards. */
async function rotate(of: Universe, hand: Watching): Promise<Record<string, number>> {
  const { results } = await run(of, hand, 1);
  expect(await broken(of)).toEqual([]);
  const told = Object.groupBy(results, ({ outcome, left, detail }) => `${outcome}, ${left}: ${detail}`);
  return Object.fromEntries(Object.entries(told).map(([words, those]) => [words, those?.length ?? 0]));
}

const rotated = { 'done, changed: logged in with it': count };

test('looks at the targets of a wave while the claims before it are pushed, and sets nothing', async () => {
  let look = (): void => undefined;
  const looked = new Promise<void>((resolve) => {
    look = resolve;
  });
  const hand = new Watching(async (label, seen) => {
    if (label === 'preflight' && seen.count('preflight') === count - 1) look();
    if (label === 'publish' && seen.count('publish') === 0) await looked;
    if (label === 'set') expect(seen.count('publish')).toBe(seen.count('set') < waveSize ? 1 : 2);
  });
  expect(await rotate(await two(), hand)).toEqual(rotated);
  expect(hand.count('publish')).toBe(3);
});

test.each([
  [0, 0],
  [31_000, 1],
])('after a push of %i ms reads the remote %i times before it sets anything', async (takes, times) => {
  const of = await two();
  for (const target of of.desired.targets.values())
    of.desired.targets.set(target.name, { ...target, concurrency: 8 });
  const hand = new Watching((label, seen) => {
    if (label === 'look' && seen.count('look') === 0) of.time += takes;
    if (label === 'set') expect(seen.count('fetch')).toBe(1 + times);
  });
  expect(await rotate(of, hand)).toEqual(rotated);
  expect(hand.count('fetch')).toBe(1 + times);
});

test('dates a claim at its push, however long the wave before it took', async () => {
  const of = await two();
  const hand = new Watching((label, seen) => {
    if (label === 'set' && seen.count('set') === waveSize - 1) of.time += 15 * minute;
  });
  expect(await rotate(of, hand)).toEqual(rotated);
});

test('claims nothing more once it was asked to stop', async () => {
  const hand = new Watching((label, seen) => {
    if (label === 'probe' && seen.count('probe') === waveSize - 1) seen.stopping = true;
  });
  const of = await two();
  expect(await rotate(of, hand)).toEqual({
    'done, changed: logged in with it': waveSize,
    'waiting, unchanged: the run was asked to stop': count - waveSize,
  });
  expect(hand.count('publish')).toBe(2);
  expect(await rotate(of, new Watching(() => undefined))).toEqual({
    'done, changed: logged in with it': count - waveSize,
  });
});
