/**
 * `npm run bench`: what keyturn costs over the least that the same job could, both measured in this very run, one
 * after the other by turns. Prints a table, writes bench/results.json, and fails when a budget is passed.
 * `npm run bench -- start-up scale` measures only these.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { awsRotations } from './aws.ts';
import { isOver, type Row, ratio } from './measure.ts';
import { mysqlRotations, sshRotations } from './rotation.ts';
import { scale } from './scale.ts';
import { sealing } from './sealing.ts';
import { startUp } from './start-up.ts';
import { table } from './table.ts';

const parts: Record<string, (scratch: string) => Promise<Row[]>> = {
  'start-up': startUp,
  scale,
  sealing,
  mysql: mysqlRotations,
  ssh: sshRotations,
  aws: awsRotations,
};

const wanted = process.argv.slice(2);
const started = performance.now();
const scratch = mkdtempSync(join(tmpdir(), 'keyturn-bench-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true, maxRetries: 20 }));
process.once('SIGINT', () => process.exit(130));

const rows: Row[] = [];
for (const [name, measure] of Object.entries(parts)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const folder = join(scratch, name);
  mkdirSync(folder);
  rows.push(...(await measure(folder)));
  rmSync(folder, { recursive: true, force: true, maxRetries: 20 });
}
const results = rows.map((row) => ({ ...row, ratio: ratio(row), over: isOver(row) }));
writeFileSync(join(import.meta.dirname, 'results.json'), `${JSON.stringify(results, null, 2)}\n`);
process.stdout.write(`${table(rows)}\n\n${Math.round((performance.now() - started) / 1000)} s in all\n`);
process.exit(rows.some(isOver) ? 1 : 0);
