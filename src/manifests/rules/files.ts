import { isAbsolute } from 'node:path';
import { projectValues } from '../channels.ts';
import { loginRefs } from '../logins.ts';
import type { ValueRef } from '../model.ts';
import type { ManifestDocument } from '../parse.ts';
import { staysInside } from '../paths.ts';
import type { Context } from '../rules.ts';
import { initialKey } from '../values.ts';

/** A manifest must not make a job read a stranger's file (threat A7). The path is not repeated: it may be a value. */
export async function filePaths({ root, ci, project, targets, secrets, problems }: Context): Promise<void> {
  const check = async (
    document: ManifestDocument,
    pointer: string,
    value: ValueRef | undefined,
  ): Promise<void> => {
    if (value === undefined || !('file' in value)) return;
    const path = value.file;
    if (!path.includes('\0') && ((isAbsolute(path) && !ci) || (await staysInside(root, path)))) return;
    const place = `${pointer.slice(1).replaceAll('/', '.')}.file`;
    const [what, hint] = isAbsolute(path)
      ? ['is an absolute path, which CI does not read', 'use a path below the repository, or { env: NAME }']
      : ['leaves the repository', 'use a path below the repository, or { env: NAME }'];
    problems.add(document.at(`${pointer}/file`), document.subject, `${place} ${what}`, hint);
  };
  for (const { document, model } of targets.values())
    for (const { pointer, ref } of loginRefs(model)) await check(document, pointer, ref);
  for (const { document, model } of secrets.values())
    await check(document, `/spec/initial/${initialKey(model)}`, model.initial?.password);
  if (project === undefined) return;
  for (const [pointer, ref] of projectValues(project.written)) await check(project.document, pointer, ref);
}
