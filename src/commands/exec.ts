import { basename } from 'node:path';
import { KeyturnError } from '../errors.ts';
import { type Published, readPublished } from '../reader.ts';
import { runChild } from './child.ts';
import type { Context } from './context.ts';
import { envName } from './env-names.ts';

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
  const asked = options.secret.map(parseSecret);
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

interface Asked {
  name: string;
  /** Absent: every field under its own name. */
  variable?: string;
}

function parseSecret(text: string): Asked {
  const [, name = '', variable] = /^([^=]*)(?:=(.*))?$/s.exec(text) ?? [];
  if (variable === undefined) return { name };
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(variable)) return { name, variable };
  throw new KeyturnError(`--secret ${text}`, 'names no environment variable', {
    hint: 'write --secret NAME=VAR with letters, digits and _',
  });
}

function environmentOf(asked: readonly Asked[], values: ReadonlyMap<string, Published>): Map<string, string> {
  const given = new Map<string, string>();
  const set = (variable: string, text: string): void => {
    if (given.has(variable))
      throw new KeyturnError(variable, 'is given two values', {
        hint: 'name another one: --secret NAME=VAR',
      });
    given.set(variable, text);
  };
  for (const { name, variable } of asked) {
    const found = values.get(name);
    if (!found) throw new Error('not read');
    if (variable !== undefined) set(variable, found.value.reveal());
    else {
      for (const [field, text] of Object.entries(found.fields)) set(envName(name, field), text);
      set(envName(name, 'password'), found.value.reveal());
    }
  }
  return given;
}

/** The two programs that do nothing else. What a shell does with them is beyond us. */
const onlyPrints = (command: string, args: readonly string[]): boolean =>
  basename(command) === 'printenv' ||
  (basename(command) === 'env' && args.every((arg) => arg.startsWith('-') || arg.includes('=')));
