import { encodeTime, incrementBase32, ulid } from 'ulid';
import type { Clock } from './clock.ts';

/** Characters of a ULID that say when it was made; those that follow are drawn at random. */
const timeLength = 10;

/**
 * ULIDs of one run: each says when it was made, and what is drawn at random is drawn once and counted on from there.
 * They are as unique as any, and sort as they were made; and a journal that holds many of one run, which compresses
 * what repeats and nothing that is random, has two thirds of each for nothing.
 */
export function idsOf(clock: Clock): () => string {
  let drawn: string | undefined;
  return () => {
    const now = clock.now().getTime();
    drawn = drawn === undefined ? ulid(now).slice(timeLength) : incrementBase32(drawn);
    return encodeTime(now, timeLength) + drawn;
  };
}
