import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { KeyturnError } from '../errors.ts';

/** Writes a file that must not exist yet; `file` is relative to `cwd`. */
export async function writeNew(cwd: string, file: string, text: string, mode = 0o644): Promise<void> {
  const path = resolve(cwd, file);
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text, { mode, flag: 'wx' });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new KeyturnError(file, code === 'EEXIST' ? 'is there already' : `cannot be written (${code})`, {
      hint:
        code === 'EEXIST'
          ? 'it is left as it is; choose another name or remove it first'
          : 'choose another place',
    });
  }
}

/** All of stdin, for values that must not appear in argv. */
export async function readAll(stream: NodeJS.ReadableStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks).toString();
}
