import { KeyturnError, ManyErrors } from '../errors.ts';
import { fitTables, inert, tableHead, tableRow } from './markdown.ts';
import { type PageOptions, pageTop } from './plan-markdown.ts';

const defaultLimit = 60_000;

/** What went wrong as a pull-request comment: the count, then a row an error. Null for what is no error of ours. */
export function renderErrorsMarkdown(error: unknown, options: PageOptions = {}): string | null {
  const errors = error instanceof ManyErrors ? error.errors : error instanceof KeyturnError ? [error] : [];
  if (errors.length === 0) return null;
  const count = errors.length === 1 ? '1 error' : `${errors.length} errors`;
  const block = {
    before: tableHead(['where', 'what', 'hint']),
    rows: errors.map(({ subject, what, hint }) => tableRow([subject, what, hint ?? ''].map(inert))),
    after: '',
  };
  return fitTables(
    [...pageTop(options), `**${count}**`].join('\n\n'),
    [block],
    options.limit ?? defaultLimit,
    (rows) => `_${rows} of the errors left out here: \`keyturn validate\` prints them all._`,
  );
}
