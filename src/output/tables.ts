import picocolors from 'picocolors';
import { cleanLine } from './clean.ts';

const gap = '   ';

/** Columns that a text takes, one a code point. */
export function widthOf(text: string): number {
  return [...text].length;
}

/** `text` filled up with spaces to `width` columns. */
export function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - widthOf(text)));
}

/** The widest of `texts`, in columns. */
export function widest(texts: Iterable<string>): number {
  let width = 0;
  for (const text of texts) width = Math.max(width, widthOf(text));
  return width;
}

/**
 * Aligned columns without lines around them; the header is upper case. Cells are cleaned, so they may
 * come from anywhere. No newline at the end.
 */
export function renderTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  options: { color: boolean },
): string {
  const { dim } = picocolors.createColors(options.color);
  const head = header.map((title) => cleanLine(title).toUpperCase());
  const body = rows.map((row) => row.map(cleanLine));
  const columns = body.reduce((most, row) => Math.max(most, row.length), head.length);
  const widths = Array.from({ length: columns }, (_, column) =>
    widest([head, ...body].map((row) => row[column] ?? '')),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => pad(cell, widths[column] ?? 0))
      .join(gap)
      .trimEnd();
  return [dim(line(head)), ...body.map(line)].join('\n');
}
