import pLimit, { type LimitFunction } from 'p-limit';
import type { World } from './world.ts';

/** As many rotations at a time as a target takes; one that only waits for it lets another go on. */
export class Places {
  readonly #limit: LimitFunction;

  constructor(count: number) {
    this.#limit = pLimit(count);
  }

  /** `work` in a place of its own, which it gives up while it stands aside. */
  async within<T>(work: (world: World) => Promise<T>, world: World): Promise<T> {
    let leave = await this.#enter();
    const standAside = async (ms: number): Promise<void> => {
      leave();
      await world.clock.sleep(ms);
      leave = await this.#enter();
    };
    try {
      return await work({ ...world, standAside });
    } finally {
      leave();
    }
  }

  /** Waits for a free place; what it returns gives it up. */
  #enter(): Promise<() => void> {
    return new Promise((entered) => {
      void this.#limit(() => new Promise<void>(entered));
    });
  }
}
