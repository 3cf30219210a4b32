/** Files -> their documents, by as many processors as it pays for. */
import { availableParallelism } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { share } from '../share.ts';
import { type ManifestFile, type ParsedFile, parseFile, toDocument } from './parse.ts';
import type { Problems } from './problems.ts';
import type { Answer } from './worker.ts';

export interface Threads {
  /** Besides this one. */
  count: number;
  /** What each of them runs in place of worker.ts. */
  script?: URL;
}

/** This one takes up, in its turns, what the others say: more would wait for it. */
const mostThreads = 3;

/** Documents that are parsed before others, who wait for git, have their turn. */
const atOnce = 32;

/** So many portions of `atOnce` are parsed before a thread would have begun. */
const worthThreads = 16;

/**
 * The documents of all files, in their order. What is wrong with a file is found by parseFile in this thread, whoever
 * came upon it first; the others only parse ahead what is right, and may end at any time.
 */
export async function readDocuments(
  files: readonly ManifestFile[],
  problems: Problems,
  threads: Threads = { count: Math.min(availableParallelism() - 1, mostThreads) },
): Promise<ParsedFile> {
  const parsed: (ParsedFile | undefined)[] = files.map(() => undefined);
  let newest: unknown;
  const keep = (index: number, file: ParsedFile): void => {
    for (const { value } of file.documents) {
      share(value, newest);
      newest = value;
    }
    parsed[index] = file;
  };
  const parse = (file: ManifestFile, index: number): number => {
    const { documents, complete } = parseFile(file, problems);
    keep(index, { documents, complete });
    return Math.max(documents.length, 1);
  };

  await setImmediate();
  let size = 0;
  for (let seen = 0; seen < atOnce; size++) {
    const file = files[size];
    if (file === undefined) break;
    seen += parse(file, size);
  }
  // all others go in portions of as many files as these
  const portions = Math.ceil(files.length / size) - 1;
  const locations = files.flatMap(({ location }) => location ?? []);
  const next = new Int32Array(new SharedArrayBuffer(4)).fill(1);
  const take = ({ portion, files: answers }: Answer): void => {
    for (const [nth, parts] of answers.entries()) {
      const index = portion * size + nth;
      const file = files[index];
      if (parts === undefined || file === undefined) continue;
      keep(index, { documents: parts.map((part, n) => toDocument(file, part, n + 1)), complete: true });
    }
  };
  const crew =
    threads.count < 1 || portions < worthThreads || locations.length < files.length
      ? undefined
      : (await import('./threads.ts')).startThreads(threads, { locations, size, next }, take);
  try {
    let others = portions;
    for (;;) {
      await setImmediate();
      const portion = Atomics.add(next, 0, 1);
      if (portion > portions) break;
      others -= 1;
      const start = portion * size;
      for (const [nth, file] of files.slice(start, start + size).entries()) parse(file, start + nth);
    }
    await crew?.answered(others);
  } finally {
    crew?.end();
  }
  let left = 0;
  for (const [index, file] of files.entries()) {
    if (parsed[index] !== undefined) continue;
    if (left++ % size === 0) await setImmediate();
    parse(file, index);
  }
  return {
    documents: parsed.flatMap((file) => file?.documents ?? []),
    complete: parsed.every((file) => file?.complete),
  };
}
