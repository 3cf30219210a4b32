/** What a test tried, for `npm run prove`, which counts it all: a line in the file that `KEYTURN_TALLY` names. */
import { appendFileSync } from 'node:fs';

/** `what` is a plural: `states`, `processes killed`. Does nothing in an ordinary run. */
export function tally(what: string, count: number): void {
  const file = process.env.KEYTURN_TALLY;
  if (file !== undefined) appendFileSync(file, `${JSON.stringify({ what, count })}\n`);
}
