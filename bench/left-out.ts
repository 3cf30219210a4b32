import type { Row } from './measure.ts';

/** What a part gives that cannot run on this machine: no rows, and one line that nobody overlooks. */
export function leftOut(part: string, why: string): Row[] {
  process.stderr.write(`\n!!! bench: ${part} is LEFT OUT: ${why}; see test/servers/install.sh\n\n`);
  return [];
}
