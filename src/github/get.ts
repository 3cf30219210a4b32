/** `command: get`: values as masked environment variables of the job's later steps. */
import { environmentOf, parseAsked } from '../commands/given.ts';
import { type ExitCode, KeyturnError } from '../errors.ts';
import { readPublished } from '../reader.ts';
import { exportVariables } from './files.ts';
import type { Job } from './job.ts';

/** Masks first, then exports. Throws a KeyturnError, and exports nothing, when one of them cannot be had. */
export async function getAction({ context, inputs }: Job): Promise<ExitCode> {
  const { host, console } = context;
  if (inputs.secrets.length === 0)
    throw new KeyturnError('input secrets', 'is empty', {
      hint: 'write a line for each secret: NAME, or NAME=VAR for the password in VAR',
    });
  const asked = inputs.secrets.map((text) => parseAsked(text, `input secrets: ${text}`));
  const names = [...new Set(asked.map(({ name }) => name))];
  const { values, notes } = await readPublished(
    host,
    names.map((name) => ({ name })),
    { repo: inputs.repo, ref: inputs.ref },
  );
  for (const { value } of values) console.mask(value.reveal());
  const given = environmentOf(asked, new Map(values.map((one) => [one.name, one])));
  exportVariables(host, given);
  for (const note of notes) console.command({ name: 'warning', message: note });
  console.words(`keyturn: later steps have ${[...given.keys()].join(', ')}`);
  return 0;
}
