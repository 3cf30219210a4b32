/** Files of recipients that a role's members name: a line each, as age's `-R` and `authorized_keys` have them. */
import { readFile, stat } from 'node:fs/promises';
import { isAbsolute, join, normalize } from 'node:path';
import { recipientHint, recipientProblem } from '../age/age.ts';
import type { ManifestDocument } from './parse.ts';
import { staysInside } from './paths.ts';
import type { Problems } from './problems.ts';
import type { WrittenRole } from './written.ts';

const largest = 1024 * 1024;

/** The recipients in each file, by its path as written; what is wrong is reported, never quoting a line. */
export async function recipientFiles(
  root: string,
  document: ManifestDocument,
  { spec }: WrittenRole,
  problems: Problems,
): Promise<Map<string, string[]>> {
  const files = new Map<string, string[]>();
  for (const [index, { recipientsFile: path }] of spec.members.entries()) {
    if (path === undefined || files.has(path)) continue;
    const say = (what: string, hint: string): void =>
      problems.add(document.at(`/spec/members/${index}/recipientsFile`), document.subject, what, hint);
    const text = await readInside(root, path);
    if ('what' in text) {
      say(`spec.members[${index}].recipientsFile ${text.what}`, text.hint);
      continue;
    }
    const recipients = [];
    for (const [at, line] of text.text.split('\n').entries()) {
      const recipient = line.trim();
      if (recipient === '' || recipient.startsWith('#')) continue;
      const problem = recipientProblem(recipient);
      if (problem === null) recipients.push(recipient);
      else say(`${path}:${at + 1} ${problem}`, recipientHint);
    }
    if (recipients.length === 0) say(`${path} holds no recipient`, 'write one recipient a line');
    files.set(path, recipients);
  }
  return files;
}

/** Below `manifests/`, so that what is applied is what was committed and reviewed. */
async function readInside(
  root: string,
  path: string,
): Promise<{ text: string } | { what: string; hint: string }> {
  const below = !isAbsolute(path) && normalize(path).startsWith(normalize('manifests/'));
  if (path.includes('\0') || !below || !(await staysInside(root, path)))
    return {
      what: 'is not below manifests/',
      hint: 'keep the file there, e.g. manifests/keys/team.txt: it is reviewed like a manifest',
    };
  const file = join(root, path);
  const found = await stat(file).catch(() => undefined);
  if (found?.isFile() !== true)
    return {
      what: 'names a file that does not exist',
      hint: 'the path starts at the top of the repository',
    };
  if (found.size > largest) return { what: 'is larger than 1 MiB', hint: 'split it into several files' };
  return { text: await readFile(file, 'utf8') };
}
