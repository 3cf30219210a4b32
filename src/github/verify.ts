/** `command: verify`: one login with every current version. */
import picomatch from 'picomatch';
import { quietSession } from '../commands/context.ts';
import { askAll, needsPerson, verdict } from '../commands/verify.ts';
import type { ExitCode } from '../errors.ts';
import { inert, tableHead, tableRow } from '../output/markdown.ts';
import { renderTable } from '../output/tables.ts';
import { setOutputs } from './files.ts';
import { type Job, listed } from './job.ts';

const header = ['secret', 'version', 'result', 'detail'];

/** Exit 3 when a value is not accepted or its target moved, 75 when there was no answer; an annotation for each. */
export async function verifyAction({ context, inputs }: Job): Promise<ExitCode> {
  const { console, host } = context;
  const session = await quietSession(context);
  const reports = await askAll(
    session,
    inputs.only.length === 0 ? () => true : picomatch(inputs.only, { dot: true }),
  );
  const rows = reports.map((r) => [r.secret, r.version === null ? '-' : `v${r.version}`, r.result, r.detail]);
  console.data(renderTable(header, rows, { color: console.color.data }));
  const table = [tableHead(header), ...rows.map((row) => tableRow(row.map(inert)))].join('\n');
  console.summary(`### keyturn verify\n\n${table}`);
  const failed = reports.filter((one) => needsPerson(one) || one.result === 'no answer');
  for (const one of failed)
    console.command({
      name: needsPerson(one) ? 'error' : 'warning',
      properties: { title: `${one.secret}: ${one.result}` },
      message: one.detail,
    });
  setOutputs(host, { failed: listed(failed.map(({ secret }) => secret)) });
  return verdict(reports);
}
