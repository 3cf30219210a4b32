import { type ExitCode, KeyturnError } from '../errors.ts';
import { renderJson } from '../output/json.ts';
import { readPublished } from '../reader.ts';
import type { Context } from './context.ts';
import { envName } from './env-names.ts';

export type GetFormat = 'raw' | 'json' | 'env';

export interface GetOptions {
  version?: number | undefined;
  field?: string | undefined;
  host?: string | undefined;
  format: GetFormat;
  repo?: string | undefined;
  ref?: string | undefined;
}

/** `keyturn get NAME`: the one command that prints a value. Needs an identity that may read it, not the state. */
export async function get(context: Context, name: string, options: GetOptions): Promise<ExitCode> {
  const { host, console } = context;
  const { field, repo, ref } = options;
  const { values, notes } = await readPublished(
    host,
    [{ name, version: options.version, host: options.host }],
    {
      identity: context.identity,
      repo,
      ref,
    },
  );
  const [found] = values;
  if (!found) throw new Error('nothing was read');
  const { value, fields, version } = found;
  if (field !== undefined && field !== 'password' && fields[field] === undefined)
    throw new KeyturnError(name, `has no field ${field}`, {
      hint: `it has password, ${Object.keys(fields).sort().join(', ')}`,
    });
  for (const note of notes) console.warn(`keyturn: ${note}`);
  if (options.format === 'json')
    console.value(`${renderJson({ name, version, ...fields, password: value.reveal() })}\n`);
  else if (options.format === 'env')
    console.value(`${envLines(name, { ...fields, password: value.reveal() })}\n`);
  else {
    const shown = field === undefined || field === 'password' ? value.reveal() : fields[field];
    console.value(host.stdout.isTTY === true ? `${shown}\n` : `${shown}`);
  }
  return 0;
}

/** `PROD_MYSQL_REPORTING_PASSWORD='…'`: lines that a POSIX shell reads back exactly. */
function envLines(name: string, fields: Record<string, string>): string {
  return Object.entries(fields)
    .map(([field, value]) => `${envName(name, field)}='${value.replaceAll("'", `'\\''`)}'`)
    .join('\n');
}
