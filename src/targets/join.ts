import type { Duplex } from 'node:stream';

/** Two streams as one: what comes out of each goes into the other, and the end of one is the end of both. */
export function join(a: Duplex, b: Duplex): void {
  if (a.destroyed) b.destroy();
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroy());
    from.pipe(to);
  }
}
