/** The text of an authorized_keys file (sshd(8)), as latin1 so that every byte stays what it is. PURE. */
import type { PublicKey } from './keys.ts';

export interface Entry extends PublicKey {
  /** What stands before the key type, with its space: `from="10.0.0.1",no-pty `. */
  options: string;
  comment: string;
}

const keyType = /^(ssh-|ecdsa-|sk-)[A-Za-z0-9@.-]+$/;

/** Undefined for comments, empty lines and whatever sshd would not read. */
export function parseLine(line: string): Entry | undefined {
  const text = line.replace(/^[ \t]+/, '').replace(/[ \t\r]+$/, '');
  if (text === '' || text.startsWith('#')) return undefined;
  const first = wordEnd(text);
  const options = keyType.test(text.slice(0, first)) ? '' : text.slice(0, first);
  const rest = options === '' ? text : text.slice(first).trimStart();
  const [type = '', blob = '', ...comment] = rest.split(/[ \t]+/);
  if (!keyType.test(type) || blob === '') return undefined;
  return { options: options === '' ? '' : `${options} `, type, blob, comment: comment.join(' ') };
}

/** Options may hold spaces between double quotes, and quotes behind a backslash. */
function wordEnd(text: string): number {
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '\\' && text[at + 1] === '"') at += 1;
    else if (text[at] === '"') quoted = !quoted;
    else if (!quoted && (text[at] === ' ' || text[at] === '\t')) return at;
  }
  return text.length;
}

export const entriesOf = (file: string): Entry[] => file.split('\n').flatMap((line) => parseLine(line) ?? []);

/**
 * The file with one more line at its end. It has no final newline afterwards if it had none before, so that taking
 * the line out again gives the same bytes.
 */
export function append(file: string, line: string): string {
  return file === '' || file.endsWith('\n') ? `${file}${line}\n` : `${file}\n${line}`;
}

/** The file without the lines that are to go; every other byte is where it was. */
export function remove(file: string, goes: (entry: Entry) => boolean): string {
  const stays = file.split('\n').filter((line) => {
    const entry = parseLine(line);
    return entry === undefined || !goes(entry);
  });
  return stays.join('\n');
}
