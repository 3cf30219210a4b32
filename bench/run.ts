/** `npm run bench`: what keyturn costs over the least that the same job could, both measured in this very run. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { coldStart } from './cold-start.ts';
import type { Row } from './measure.ts';
import { rotation } from './rotation.ts';
import { sealing } from './sealing.ts';

const started = performance.now();
const scratch = mkdtempSync(join(tmpdir(), 'keyturn-bench-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true, maxRetries: 20 }));
process.once('SIGINT', () => process.exit(130));
mkdirSync(join(scratch, 'projects'));

const rows = [
  ...(await coldStart(join(scratch, 'projects'))),
  ...(await sealing()),
  ...(await rotation(join(scratch, 'projects'))),
];
process.stdout.write(`${table(rows)}\n\n${Math.round((performance.now() - started) / 1000)} s in all\n`);

/** Medians; times of whole processes, but for sealing and the raw ALTERs, which ran in this one. */
function table(measured: readonly Row[]): string {
  const ms = (value: number): string => value.toFixed(value < 100 ? 1 : 0);
  const lines = [
    ['what', 'floor', 'floor ms', 'keyturn ms', 'ratio', 'peak MiB'],
    ...measured.map(({ what, against, floor, keyturn, peak }) => [
      what,
      against,
      ms(floor),
      ms(keyturn),
      (keyturn / floor).toFixed(2),
      peak === null ? '-' : peak.toFixed(0),
    ]),
  ];
  const widths =
    lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? [];
  return lines
    .map((line) =>
      line
        .map((cell, column) =>
          column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('   '),
    )
    .join('\n');
}
