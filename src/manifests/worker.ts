/** A thread's whole program: takes portions of files for as long as there are any, and answers with their data. */
import { parentPort, workerData } from 'node:worker_threads';
import { share } from '../share.ts';
import { type Part, partsOf } from './parse.ts';
import { Problems } from './problems.ts';
import { readText } from './texts.ts';

export interface Work {
  /** Of all files. */
  locations: readonly string[];
  /** Files in a portion. */
  size: number;
  /** The portion that nobody has taken yet. */
  next: Int32Array;
}

export interface Answer {
  portion: number;
  /** Undefined for a file that has anything wrong with it, which is not for this thread to tell. */
  files: (Part[] | undefined)[];
}

function parse(location: string): Part[] | undefined {
  const text = readText(location);
  if (typeof text !== 'string') return undefined;
  const problems = new Problems();
  const { parts, complete } = partsOf({ path: '', text: () => text }, problems);
  return complete && problems.empty ? parts : undefined;
}

const { locations, size, next }: Work = workerData;
for (;;) {
  const portion = Atomics.add(next, 0, 1);
  const start = portion * size;
  if (start >= locations.length) break;
  const files = locations.slice(start, start + size).map(parse);
  let newest: unknown;
  // what is shared goes over once
  for (const { value } of files.flatMap((parts) => parts ?? [])) {
    share(value, newest);
    newest = value;
  }
  parentPort?.postMessage({ portion, files } satisfies Answer);
}
