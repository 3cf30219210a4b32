/** Values that manifests refer to but that are no rotated secrets: `{ env }`, `{ file }`, `{ sealed }`. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { dearmor, decrypt } from '../age/age.ts';
import { KeyturnError } from '../errors.ts';
import type { ValueRef } from '../manifests/model.ts';
import { Secret } from '../secret.ts';
import type { Identity } from './identity.ts';

/** Throws KeyturnError naming the reference, never the value. One trailing newline of a file is not part of the value. */
export async function resolveValue(
  ref: Exclude<ValueRef, { secret: string }>,
  subject: string,
  from: { root: string; env: NodeJS.ProcessEnv; identity: Identity },
): Promise<Secret> {
  if ('env' in ref) {
    const value = from.env[ref.env];
    if (value === undefined || value === '')
      throw new KeyturnError(subject, `the environment variable ${ref.env} is not set`, {
        hint: `set ${ref.env} for this run`,
      });
    return new Secret(value);
  }
  if ('file' in ref) {
    const text = await readFile(resolve(from.root, ref.file), 'utf8').catch(
      (error: NodeJS.ErrnoException) => {
        throw new KeyturnError(subject, `the file ${ref.file} cannot be read (${error.code})`, {
          hint: 'create it, or correct its path in the manifest',
        });
      },
    );
    return new Secret(text.replace(/\r?\n$/, ''));
  }
  const bytes = await decrypt(await dearmor(ref.sealed, subject), from.identity.ageIdentities, subject);
  return new Secret(Buffer.from(bytes).toString());
}
