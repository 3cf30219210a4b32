/**
 * Nothing may come up outside of the promises that a caller waits for: Node would end the process with a stack
 * trace. Nor may a library write to the terminal by itself.
 */
export async function calm(work: () => Promise<void>): Promise<void> {
  const stray: unknown[] = [];
  const keep = (...args: unknown[]): void => void stray.push(args[0]);
  const events = ['uncaughtException', 'unhandledRejection'] as const;
  const before = events.map((event) => [event, process.rawListeners(event)] as const);
  const { log, warn, error } = globalThis.console;
  for (const event of events) {
    process.removeAllListeners(event);
    process.on(event, keep);
  }
  Object.assign(globalThis.console, { log: keep, warn: keep, error: keep });
  try {
    await work();
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    Object.assign(globalThis.console, { log, warn, error });
    for (const [event, listeners] of before) {
      process.removeListener(event, keep);
      for (const listener of listeners) process.on(event, listener as never);
    }
  }
  const [first] = stray;
  if (stray.length > 0)
    throw new Error(
      `${stray.length} came up outside, first ${first instanceof Error ? first.stack : String(first)}`,
    );
}
