import { spawn } from 'node:child_process';

/** One row of the table: the least that the job could cost, and what keyturn takes for it, in the same run. */
export interface Row {
  what: string;
  /** What the floor is. */
  against: string;
  /** Of `floor` and `keyturn`. */
  unit: 'ms' | 'pushes' | 'bytes';
  floor: number;
  keyturn: number;
  /** How many times the floor keyturn may take before the bench fails; null: it is only watched. */
  budget: number | null;
  /** Largest resident set of keyturn's process in MiB; null where both ran in this one. */
  peak: number | null;
}

export interface Run {
  milliseconds: number;
  /** MiB, of a Node process; 0 of any other. */
  peak: number;
}

/** Tells descriptor 3 the process's largest resident set when it ends. */
const report = `import { writeSync } from 'node:fs';
process.on('exit', () => writeSync(3, String(process.resourceUsage().maxRSS)));`;

/** One whole Node process, from its start to its end. Throws when it ends with another code than 0. */
export function node(
  args: readonly string[],
  options: { cwd: string; env: NodeJS.ProcessEnv },
): Promise<Run> {
  return run(
    process.execPath,
    [`--import=data:text/javascript,${encodeURIComponent(report)}`, ...args],
    options,
  );
}

/** One whole process, from its start to its end. Throws when it ends with another code than 0. */
export function run(
  program: string,
  args: readonly string[],
  options: { cwd: string; env: NodeJS.ProcessEnv },
): Promise<Run> {
  const started = performance.now();
  const child = spawn(program, args, { ...options, stdio: ['ignore', 'ignore', 'pipe', 'pipe'] });
  const said = ['', ''];
  for (const [index, stream] of [child.stderr, child.stdio[3]].entries())
    stream?.on('data', (bytes: Buffer) => {
      said[index] += bytes.toString();
    });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      const milliseconds = performance.now() - started;
      if (code === 0) resolve({ milliseconds, peak: Number(said[1]) / 1024 });
      else reject(new Error(`${program} ${args.slice(1, 3).join(' ')} ended with ${code}: ${said[0]}`));
    });
  });
}

/** Does `floor` and `keyturn` by turns, so that a slow moment hits both, and compares the medians. */
export async function compare(
  words: Pick<Row, 'what' | 'against' | 'budget'>,
  times: number,
  floor: () => Promise<Run>,
  keyturn: () => Promise<Run>,
): Promise<Row> {
  const floors: Run[] = [];
  const ours: Run[] = [];
  for (let n = 0; n < times; n++) {
    floors.push(await floor());
    ours.push(await keyturn());
  }
  const peak = median(ours.map((one) => one.peak));
  return {
    ...words,
    unit: 'ms',
    floor: median(floors.map((one) => one.milliseconds)),
    keyturn: median(ours.map((one) => one.milliseconds)),
    peak: peak === 0 ? null : peak,
  };
}

/** A count that must not be larger than `limit`. */
export const atMost = (
  words: Pick<Row, 'what' | 'against' | 'unit'>,
  limit: number,
  keyturn: number,
): Row => ({ ...words, floor: limit, keyturn, budget: 1, peak: null });

export const ratio = ({ floor, keyturn }: Row): number => keyturn / floor;

export const isOver = (row: Row): boolean => row.budget !== null && ratio(row) > row.budget;

/** In this process: `work` once, in milliseconds. */
export async function timed(work: () => Promise<void>): Promise<Run> {
  const started = performance.now();
  await work();
  return { milliseconds: performance.now() - started, peak: 0 };
}

export function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}
