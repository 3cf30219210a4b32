import type { Result } from '../engine/model.ts';
import { fitTables, inert, tableHead, tableRow } from './markdown.ts';
import { resultCounts, resultWord } from './results.ts';

/** A job summary may have 1 MiB of UTF-8; a character takes at most three bytes. */
const summaryLimit = 300_000;

/** What an apply did, as a job summary: the counts, then a row a secret. */
export function renderResultsMarkdown(results: readonly Result[], options: { limit?: number } = {}): string {
  const block = {
    before: tableHead(['secret', 'result', 'version', 'detail']),
    rows: results.map((result) =>
      tableRow([
        inert(result.secret),
        inert(resultWord(result)),
        result.version === null ? '' : `v${result.version}`,
        inert(result.hint === null ? result.detail : `${result.detail} (hint: ${result.hint})`),
      ]),
    ),
    after: '',
  };
  return fitTables(
    `### keyturn\n\n${inert(resultCounts(results))}`,
    results.length === 0 ? [] : [block],
    options.limit ?? summaryLimit,
    (rows) => `_${rows} of the results left out here: the job's log has them all._`,
  );
}
