/** Threads that parse manifests ahead. The action, which is one file, has none: see build/action.ts. */
import { getCompileCacheDir } from 'node:module';
import { dirname, extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Threads } from './documents.ts';
import { attempt } from './texts.ts';
import type { Answer, Work } from './worker.ts';

export interface Crew {
  /** Resolves once so many portions have been answered, or nobody is left who could answer. Never rejects. */
  answered(portions: number): Promise<void>;
  end(): void;
}

/** Calls `take` with every answer. A thread that does not start, or dies, just answers no more. */
export function startThreads({ count, script }: Threads, work: Work, take: (answer: Answer) => void): Crew {
  const workers: Worker[] = [];
  const done = Promise.withResolvers<void>();
  let [answers, wanted, alive] = [0, Number.POSITIVE_INFINITY, 0];
  const look = (): void => {
    if (answers >= wanted || alive === 0) done.resolve();
  };
  for (let n = 0; n < count; n++) {
    const worker = attempt(() => new Worker(script ?? ours(), options(work)));
    if (worker === undefined) break;
    alive += 1;
    worker.on('message', (answer: Answer) => {
      answers += 1;
      take(answer);
      look();
    });
    worker.on('error', () => undefined);
    worker.once('exit', () => {
      alive -= 1;
      look();
    });
    workers.push(worker);
  }
  return {
    answered(portions) {
      wanted = portions;
      look();
      return done.promise;
    },
    end() {
      for (const worker of workers) worker.terminate();
    },
  };
}

/** Beside this file, in src/ as in dist/. */
const ours = (): URL => new URL(`./worker${extname(import.meta.url)}`, import.meta.url);

function options(workerData: Work): ConstructorParameters<typeof Worker>[1] {
  const cache = getCompileCacheDir?.();
  return {
    workerData,
    // no secrets of the environment, and nothing that was preloaded for this thread
    env: cache === undefined ? {} : { NODE_COMPILE_CACHE: dirname(cache) },
    argv: [],
    execArgv: [],
    // what Node says of a thread, e.g. that types are stripped, is nobody's business
    stdout: true,
    stderr: true,
    resourceLimits: {
      // far less than this thread has: what it could not parse must not come to be right there
      stackSizeMb: 0.5,
      // as fast as with more: a syntax tree is dead once its file is read
      maxYoungGenerationSizeMb: 4,
      // enough for the densest file of 1 MiB
      maxOldGenerationSizeMb: 512,
    },
  };
}
