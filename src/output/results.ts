import type { Result } from '../engine/model.ts';
import { countVerbs, verbs } from './verbs.ts';

/** `rotated` for what was done, `failed`, `waiting` … for what was not. */
export function resultWord(result: Result): string {
  if (result.outcome === 'done') return verbs[result.verb].done;
  return result.outcome === 'human' ? 'needs a human' : result.outcome;
}

/** `apply: 3 rotated, 1 retired, 1 waiting, 0 failed`. */
export function resultCounts(results: readonly Result[]): string {
  if (results.length === 0) return 'apply: nothing to do';
  const count = (outcome: Result['outcome']) => results.filter((result) => result.outcome === outcome).length;
  const done = results.filter((result) => result.outcome === 'done').map((result) => result.verb);
  const skipped = count('skipped');
  const waiting = count('waiting');
  const human = count('human');
  return `apply: ${[
    ...(done.length === 0 ? ['0 done'] : countVerbs(done, 'done')),
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
    ...(waiting > 0 ? [`${waiting} waiting`] : []),
    ...(human > 0 ? [`${human} ${human === 1 ? 'needs' : 'need'} a human`] : []),
    `${count('failed')} failed`,
  ].join(', ')}`;
}

/** `prod/mysql/reporting v8`. */
export function versioned(secret: string, version: number | null): string {
  return version === null ? secret : `${secret} v${version}`;
}
