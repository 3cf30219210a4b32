/** Journals in memory, as a runner would write them. */
import { expect } from 'vitest';
import { append, type Folded, fold, type JournalChange, segmentPath } from '../../src/state/journal.ts';
import { at, person, record } from './people.ts';

export type Files = Map<string, Uint8Array>;

/** Signs and reads every journal of a test file. */
export const ci = await person('ci');

/** A second reader: who joins forces a snapshot, because newcomers cannot read the tail. */
export const newcomer = await person('newcomer');
export const withNewcomer = { recipients: [ci.recipient, newcomer.recipient] };

export const empty = () => fold(new Map(), ci.identity);
export const options = (over: Partial<Parameters<typeof append>[2]> = {}) => ({
  signer: ci.signer,
  recipients: [ci.recipient],
  at,
  by: 'test:runner',
  newRepo: () => 'LINEAGE1',
  ...over,
});

export async function push(
  files: Files,
  folded: Folded,
  change: Partial<JournalChange>,
  over = {},
): Promise<Folded> {
  const { writes, next } = await append(folded, { put: [], drop: [], ...change }, options(over));
  for (const { path, bytes } of writes) {
    if (bytes === null) expect(files.delete(path)).toBe(true);
    else files.set(path, bytes);
  }
  return next;
}

/** A snapshot that stays bigger than the few segments after it. */
export const ballast = () =>
  Array.from({ length: 60 }, (_, index) => record(`B${index}`, { target: `${Math.sin(index)}`.repeat(20) }));

export async function journal(segments: number): Promise<{ files: Files; folded: Folded }> {
  const files: Files = new Map();
  let folded = await push(files, await empty(), { put: ballast() });
  for (let index = 1; index <= segments; index += 1)
    folded = await push(files, folded, { put: [record(`S${index}`)] });
  expect([...files.keys()]).toEqual(
    Array.from({ length: segments + 1 }, (_, index) => segmentPath(index + 1)),
  );
  return { files, folded };
}
