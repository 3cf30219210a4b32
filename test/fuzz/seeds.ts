/**
 * How long and from where fuzzing goes: `KEYTURN_SEED` is the first seed, `KEYTURN_FUZZ` makes it so many times
 * longer. A failure names the seed that shows it: `KEYTURN_SEED=<seed>` begins there.
 */
import { generator } from '../engine/scheduler.ts';
import { tally } from '../tally.ts';

export const firstSeed = Number(process.env.KEYTURN_SEED ?? 1);
const factor = Number(process.env.KEYTURN_FUZZ ?? 1);

/** `count` seeds in the normal suite, more in a longer run. */
export const seeds = (count: number): number[] =>
  Array.from({ length: Math.max(1, Math.round(count * factor)) }, (_, index) => firstSeed + index);

/** For fast-check: as many runs, from the same seed. */
export function fuzzing(numRuns: number): { numRuns: number; seed: number } {
  const runs = Math.max(1, Math.round(numRuns * factor));
  tally('damaged texts and files', runs);
  return { numRuns: runs, seed: firstSeed };
}

export interface Dice {
  /** 0 to `below` - 1. */
  below(below: number): number;
  pick<T>(of: readonly [T, ...T[]]): T;
  bytes(length: number): Buffer;
}

/** The same throws for the same seed. */
export function diceOf(seed: number): Dice {
  const random = generator(seed);
  const below = (limit: number): number => Math.floor(random() * limit);
  return {
    below,
    pick: (of) => of[below(of.length)] ?? of[0],
    bytes: (length) => Buffer.from(Uint8Array.from({ length }, () => below(256))),
  };
}

/** Runs `work` for each seed, `width` side by side. A failure begins with how to replay it. */
export async function eachSeed(
  all: readonly number[],
  width: number,
  work: (seed: number, dice: Dice) => Promise<void>,
): Promise<void> {
  const left = [...all];
  tally('lies told', all.length);
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (let seed = left.shift(); seed !== undefined; seed = left.shift())
        await work(seed, diceOf(seed)).catch((error: Error) => {
          left.length = 0;
          throw new Error(`KEYTURN_SEED=${seed} replays it: ${error.message}`, { cause: error });
        });
    }),
  );
}
