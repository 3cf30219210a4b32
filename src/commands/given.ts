/** Values as environment variables: of one program (`exec`), or of a job's later steps. */
import { KeyturnError } from '../errors.ts';
import type { Published } from '../reader.ts';
import { envName } from './env-names.ts';

export interface Asked {
  name: string;
  /** Absent: every field under its own name. */
  variable?: string;
}

/** `NAME` or `NAME=VAR`. Throws a KeyturnError about `subject`. */
export function parseAsked(text: string, subject: string): Asked {
  const [, name = '', variable] = /^([^=]*)(?:=(.*))?$/s.exec(text) ?? [];
  if (variable === undefined) return { name };
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(variable)) return { name, variable };
  throw new KeyturnError(subject, 'names no environment variable', {
    hint: 'write NAME=VAR with letters, digits and _',
  });
}

/** What a program is given of them. Throws a KeyturnError when one variable would have two values. */
export function environmentOf(
  asked: readonly Asked[],
  values: ReadonlyMap<string, Published>,
): Map<string, string> {
  const given = new Map<string, string>();
  const set = (variable: string, text: string): void => {
    if (given.has(variable))
      throw new KeyturnError(variable, 'is given two values', {
        hint: 'name another one: NAME=VAR',
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
