import { isOver, type Row, ratio } from './measure.ts';

const number = (value: number): string => value.toFixed(value < 100 && !Number.isInteger(value) ? 1 : 0);

/** Medians. Times are of whole processes, but for sealing, which runs in the bench's own. */
export function table(rows: readonly Row[]): string {
  const lines = [
    ['what', 'floor', 'floor', 'keyturn', 'ratio', 'budget', 'peak MiB'],
    ...rows.map((row) => [
      row.what,
      row.against,
      `${number(row.floor)} ${row.unit}`,
      `${number(row.keyturn)} ${row.unit}`,
      ratio(row).toFixed(2),
      row.budget === null ? '-' : `${row.budget.toFixed(1)}${isOver(row) ? ' PASSED' : ''}`,
      row.peak === null ? '-' : row.peak.toFixed(0),
    ]),
  ];
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const cell = (text: string, column: number): string => {
    const width = widths?.[column] ?? 0;
    return column < 2 ? text.padEnd(width) : text.padStart(width);
  };
  return lines.map((line) => line.map(cell).join('   ').trimEnd()).join('\n');
}
