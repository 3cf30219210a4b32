import { basename } from 'node:path';
import { runChild } from '../connect/child.ts';
import { KeyturnError } from '../errors.ts';
import { readPublished } from '../reader.ts';
import type { Context } from './context.ts';
import { environmentOf, parseAsked } from './given.ts';

/**
 * `keyturn exec --secret NAME[=VAR]… -- CMD`: the values are in the environment of CMD and nowhere else. Ends as CMD
 * does: its exit code, or 128 and the number of the signal.
 */
export async function exec(
  context: Context,
  [command, ...args]: string[],
  options: { secret: string[]; repo?: string | undefined; ref?: string | undefined },
): Promise<number> {
  if (command === undefined)
    throw new KeyturnError('exec', 'needs a command: it prints no value', {
      hint: 'keyturn exec --secret NAME -- CMD; keyturn get NAME is what prints one',
    });
  if (options.secret.length === 0)
    throw new KeyturnError('exec', 'needs --secret NAME', { hint: 'keyturn list shows the names' });
  if (onlyPrints(command, args))
    throw new KeyturnError(command, 'would print the values', {
      hint: 'keyturn get NAME is the one command that prints a value',
    });
  const asked = options.secret.map((text) => parseAsked(text, `--secret ${text}`));
  const names = [...new Set(asked.map(({ name }) => name))];
  const { values, notes } = await readPublished(
    context.host,
    names.map((name) => ({ name })),
    { identity: context.identity, repo: options.repo, ref: options.ref },
  );
  if (!context.quiet) for (const note of notes) context.console.warn(`keyturn: ${note}`);
  const given = environmentOf(asked, new Map(values.map((value) => [value.name, value])));
  return runChild(context.host, command, args, given);
}

/** The two programs that do nothing else. What a shell does with them is beyond us. */
const onlyPrints = (command: string, args: readonly string[]): boolean =>
  basename(command) === 'printenv' ||
  (basename(command) === 'env' && args.every((arg) => arg.startsWith('-') || arg.includes('=')));
