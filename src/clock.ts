/** The engine's only source of time, so that a test owns it. */
export interface Clock {
  /** Wall clock: what is written down, what schedules are computed from. */
  now(): Date;
  /** Milliseconds that never go backwards and, where the system tells, count a suspended machine. */
  monotonic(): number;
  sleep(ms: number): Promise<void>;
}

export const systemClock: Clock = {
  now: () => new Date(),
  monotonic: () => performance.now(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};
