import type { ExitCode } from '../errors.ts';
import { renderJson } from '../output/json.ts';
import { readPublished } from '../reader.ts';
import type { Context } from './context.ts';

export type GetFormat = 'raw' | 'json' | 'env';

/** `keyturn get NAME`: the one command that prints a value. Needs an identity that may read it, not the state. */
export async function get(
  context: Context,
  name: string,
  options: { version?: number | undefined; field?: string | undefined; format: GetFormat },
): Promise<ExitCode> {
  const { host, console } = context;
  const { value, fields, version, notes } = await readPublished(host, name, {
    identity: context.identity,
    version: options.version,
    field: options.field,
  });
  for (const note of notes) console.warn(`keyturn: ${note}`);
  if (options.format === 'json')
    console.value(`${renderJson({ name, version, ...fields, password: value.reveal() })}\n`);
  else if (options.format === 'env')
    console.value(`${envLines(name, { ...fields, password: value.reveal() })}\n`);
  else {
    const shown =
      options.field === undefined || options.field === 'password' ? value.reveal() : fields[options.field];
    console.value(host.stdout.isTTY === true ? `${shown}\n` : `${shown}`);
  }
  return 0;
}

/** `PROD_MYSQL_REPORTING_PASSWORD='…'`: lines that a POSIX shell reads back exactly. */
function envLines(name: string, fields: Record<string, string>): string {
  const prefix = name.toUpperCase().replace(/[^A-Z0-9]+/g, '_');
  return Object.entries(fields)
    .map(([field, value]) => `${prefix}_${field.toUpperCase()}='${value.replaceAll("'", `'\\''`)}'`)
    .join('\n');
}
