/** Rules of GitHub's markdown that every page of ours obeys: no outside text is markup, no page outgrows its limit. */
import { cleanLine } from './clean.ts';

const longestCell = 500;
const active = /[&<>"'`*_~[\]\\|{}$!]|[@#]|(?<=:)\/\/|(?<=www)\./giu;

/**
 * Text from outside for a table cell or a paragraph: redacted, one line, cut at 500 characters, no markup,
 * links, mentions or issue references.
 */
export function inert(text: string): string {
  const line = [...cleanLine(text)];
  const cut = line.length > longestCell ? `${line.slice(0, longestCell - 3).join('')}...` : line.join('');
  // GitHub looks for mentions and issues after it resolved entities: only a zero-width space stops it.
  return cut.replaceAll(active, (found) =>
    found === '@' || found === '#'
      ? `${found}&#8203;`
      : [...found].map((c) => `&#${c.charCodeAt(0)};`).join(''),
  );
}

/** `| a | b |` of cells that are markdown already. */
export function tableRow(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

/** `| a | b |` and the line below it. */
export function tableHead(titles: readonly string[]): string {
  return `${tableRow(titles)}\n|${' --- |'.repeat(titles.length)}`;
}

/** A table with what surrounds it, e.g. a heading and `<details>`. */
export interface TableBlock {
  before: string;
  rows: readonly string[];
  after: string;
}

/**
 * `head`, then as many rows of the blocks as fit, then `leftOut(n)` if n rows did not. Never longer than
 * `limit` characters unless `head` and `leftOut` alone are.
 */
export function fitTables(
  head: string,
  blocks: readonly TableBlock[],
  limit: number,
  leftOut: (rows: number) => string,
): string {
  const total = blocks.reduce((sum, block) => sum + block.rows.length, 0);
  const whole = [head, ...blocks.map((block) => page(block, block.rows))].join('\n\n');
  if (whole.length <= limit) return `${whole}\n`;

  let budget = limit - head.length - leftOut(total).length - '\n\n\n'.length;
  let shown = 0;
  const pages = [head];
  for (const block of blocks) {
    const frame = page(block, []).length + '\n\n'.length;
    const rows = rowsWithin(block.rows, budget - frame);
    if (rows.length === 0 && block.rows.length > 0) break;
    const text = page(block, rows);
    if (text.length + '\n\n'.length > budget) break;
    pages.push(text);
    budget -= text.length + '\n\n'.length;
    shown += rows.length;
    if (rows.length < block.rows.length) break;
  }
  return `${[...pages, leftOut(total - shown)].join('\n\n')}\n`;
}

function page(block: TableBlock, rows: readonly string[]): string {
  return [block.before, ...rows, ...(block.after === '' ? [] : [block.after])].join('\n');
}

function rowsWithin(rows: readonly string[], budget: number): readonly string[] {
  let left = budget;
  for (const [index, row] of rows.entries()) {
    left -= row.length + 1;
    if (left < 0) return rows.slice(0, index);
  }
  return rows;
}
