/** Who goes on, and how does what it does end? Every effect of a runner waits here for the answer. */

/** What an effect does in each of the ways in which it can end; `ok` is the healthy one. */
export type Ways<T> = { ok: () => T } & Record<string, () => T>;

export interface Hand {
  act<T>(label: string, ways: Ways<T>): Promise<T>;
}

/** Nothing ever goes wrong and nobody waits. */
export const healthy: Hand = { act: async (_, ways) => ways.ok() };

interface Parked {
  label: string;
  endings: string[];
  end(ending: string): void;
}

/** One process: runs until its next effect, then waits to be told how that ends. A crash abandons it for ever. */
export class Puppet implements Hand {
  parked: Parked | null = null;
  state: 'fresh' | 'alive' | 'ended' | 'dead' = 'fresh';
  /** Somebody pressed Ctrl-C. */
  stopping = false;
  /** What its run threw. */
  failure: unknown;
  #quiet: () => void = () => undefined;
  #queue: Parked[] = [];

  /** Starts `run` and returns once it waits for its first effect or is over. */
  start(run: (hand: Puppet) => Promise<unknown>): Promise<void> {
    this.state = 'alive';
    return this.#untilQuiet(() => {
      run(this).then(
        () => this.#over(),
        (error: unknown) => {
          this.failure = error;
          this.#over();
        },
      );
    });
  }

  /** Ends the effect it waits for, and returns once it waits again or is over. */
  async go(ending: string): Promise<void> {
    const { parked } = this;
    if (!parked) throw new Error('it waits for nothing');
    this.parked = null;
    if (ending.startsWith('crash')) {
      this.state = 'dead';
      parked.end(ending);
    } else
      await this.#untilQuiet(() => {
        parked.end(ending);
        this.#next();
      });
  }

  /** Of effects side by side the first waits for its ending, the others for their turn. */
  act<T>(label: string, ways: Ways<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#queue.push({
        label,
        endings: [...Object.keys(ways), 'crash before', 'crash after'],
        end: (ending) => {
          if (ending === 'crash before') return;
          try {
            const value = (ways[ending] ?? ways.ok)();
            if (ending !== 'crash after') resolve(value);
          } catch (error) {
            reject(error);
          }
        },
      });
      this.#next();
    });
  }

  #next(): void {
    if (this.parked) return;
    this.parked = this.#queue.shift() ?? null;
    if (this.parked) this.#quiet();
  }

  #untilQuiet(begin: () => void): Promise<void> {
    return new Promise((resolve) => {
      this.#quiet = resolve;
      begin();
    });
  }

  #over(): void {
    this.state = 'ended';
    this.#quiet();
  }
}

/** Picks one of `weights.length` options. */
export type Chooser = (weights: readonly number[]) => number;

/** mulberry32: small, and the same on every machine. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** At random by weight: the same schedule for the same seed. */
export function randomly(seed: number): Chooser {
  const random = generator(seed);
  return (weights) => {
    let left = random() * weights.reduce((sum, weight) => sum + weight, 0);
    const index = weights.findIndex((weight) => {
      left -= weight;
      return left < 0;
    });
    return Math.max(0, index);
  };
}

/** Every sequence of choices, depth first: calls `schedule` with a chooser that walks one of them, until none is left. */
export async function everyChoice(schedule: (choose: Chooser) => Promise<void>): Promise<number> {
  const path: { chosen: number; of: number }[] = [];
  for (let count = 1; ; count += 1) {
    let depth = 0;
    await schedule((weights) => {
      const step = path[depth] ?? { chosen: 0, of: weights.length };
      path[depth] = step;
      if (step.of !== weights.length) throw new Error('the schedule is not deterministic');
      depth += 1;
      return step.chosen;
    });
    path.length = depth;
    while (path.length > 0 && (path.at(-1)?.chosen ?? 0) + 1 >= (path.at(-1)?.of ?? 0)) path.pop();
    const last = path.at(-1);
    if (!last) return count;
    last.chosen += 1;
  }
}
