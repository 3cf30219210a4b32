/**
 * The text of a manifest, if it is one of a sane size. Synchronous on purpose: thousands of small files are read ten
 * times sooner than by way of the thread pool, and nothing else waits meanwhile.
 */
import { closeSync, openSync, readSync } from 'node:fs';

/** More than any person writes; less than it takes to keep a parser busy. */
const largest = 1024 * 1024;

/** Why a file has no text for us, and what to do. */
export interface Unread {
  what: string;
  hint: string;
}

export function readText(file: string): string | Unread {
  const bytes = attempt(() => firstBytes(file));
  if (bytes === undefined) return { what: 'cannot be read', hint: 'check the rights on it' };
  if (bytes.length > largest) return { what: 'is larger than 1 MiB', hint: 'split it into several files' };
  return attempt(() => utf8.decode(bytes)) ?? { what: 'is not UTF-8 text', hint: 'save it as UTF-8' };
}

const utf8 = new TextDecoder('utf-8', { fatal: true });
const buffer = new Uint8Array(largest + 1);

/** All of a file that is not too large, one byte too many of any other; until the next call. */
function firstBytes(file: string): Uint8Array {
  const handle = openSync(file, 'r');
  try {
    let length = 0;
    for (let read = -1; read !== 0 && length < buffer.length; length += read)
      read = readSync(handle, buffer, length, buffer.length - length, null);
    return buffer.subarray(0, length);
  } finally {
    closeSync(handle);
  }
}

export function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
