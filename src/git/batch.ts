/**
 * Objects of a repository through one `cat-file --batch` that answers as it is asked: starting a process takes longer
 * than looking up all that a reader asks for.
 */
import { Socket } from 'node:net';
import { KeyturnError } from '../errors.ts';
import type { Oid } from './contract.ts';
import { type Git, lastWords, localLimit, notInstalled } from './plumbing.ts';

export interface GitObject {
  oid: Oid;
  type: string;
  bytes: Uint8Array;
}

export interface Objects {
  /**
   * The object that git understands by a name of one line, e.g. an id or `refs/heads/main^{commit}`; null where it is
   * not here. Throws a KeyturnError when git cannot tell.
   */
  get(name: string): Promise<GitObject | null>;
  /** Starts the process while something else is waited for, so that the first question does not wait for it. */
  warmUp(): void;
  /** Ends the process where there is one. */
  close(): void;
}

/** Milliseconds without a question after which the process goes. */
const idle = 5_000;

export function openObjects(git: Git): Objects {
  let talk: Talk | undefined;
  const talking = (): Talk => {
    talk ??= startTalk(git, () => {
      talk = undefined;
    });
    return talk;
  };
  return {
    get(name) {
      if (name.includes('\n')) return Promise.resolve(null);
      return talking().ask(name);
    },
    warmUp: () => void talking(),
    close: () => talk?.end(),
  };
}

interface Talk {
  ask(name: string): Promise<GitObject | null>;
  end(): void;
}

/** One process. `over` is called before it stops listening: whoever asks from then on needs another one. */
function startTalk(git: Git, over: () => void): Talk {
  const child = git.start(['cat-file', '--batch']);
  const asked: { resolve(found: GitObject | null): void; reject(error: Error): void }[] = [];
  const said: Buffer[] = [];
  const fail = (error: Error): void => {
    over();
    for (const { reject } of asked.splice(0)) reject(error);
  };
  const end = (): void => {
    over();
    child.stdin.end();
  };
  // The clocks alone keep this process waiting for an answer, and none for a question.
  child.unref();
  for (const stream of [child.stdin, child.stdout, child.stderr])
    if (stream instanceof Socket) stream.unref();
  let clock = setTimeout(end, idle).unref();
  const rewind = (): void => {
    clearTimeout(clock);
    clock = asked.length > 0 ? setTimeout(() => child.kill(), localLimit) : setTimeout(end, idle).unref();
  };
  const take = cutter((found) => asked.shift()?.resolve(found));
  child.stdout.on('data', (bytes: Buffer) => {
    take(bytes);
    rewind();
  });
  child.stderr.on('data', (bytes: Buffer) => said.push(bytes));
  // its end says why it stopped listening
  child.stdin.on('error', () => undefined);
  child.on('error', (error) => fail(notInstalled(error)));
  child.on('close', () => {
    clearTimeout(clock);
    const why = child.killed ? 'git did not answer in time' : lastWords(Buffer.concat(said).toString());
    fail(
      new KeyturnError('git objects', why, {
        hint: 'check free disk space, permissions below .git, and `git fsck`',
      }),
    );
  });
  return {
    ask: (name) =>
      new Promise((resolve, reject) => {
        asked.push({ resolve, reject });
        if (asked.length === 1) rewind();
        child.stdin.write(`${name}\n`);
      }),
    end,
  };
}

/** Cuts what `cat-file --batch` prints into one answer a question, each with its own copy of the bytes. */
function cutter(found: (object: GitObject | null) => void): (bytes: Buffer) => void {
  let parts: Buffer[] = [];
  let held = 0;
  let needed = 1;
  return (bytes) => {
    parts.push(bytes);
    held += bytes.length;
    if (held < needed) return;
    let rest = parts.length === 1 ? bytes : Buffer.concat(parts);
    for (needed = 0; needed === 0; ) {
      const end = rest.indexOf(0x0a);
      const [, oid, type, size] =
        /^([0-9a-f]{40,64}) (\w+) (\d+)$/.exec(rest.toString('latin1', 0, end)) ?? [];
      if (end < 0) needed = rest.length + 1;
      else if (oid === undefined || type === undefined) {
        // `<name> missing`, or `ambiguous`
        found(null);
        rest = rest.subarray(end + 1);
      } else {
        const [start, stop] = [end + 1, end + 1 + Number(size)];
        if (rest.length <= stop) needed = stop + 1;
        else {
          found({ oid, type, bytes: new Uint8Array(rest.subarray(start, stop)) });
          rest = rest.subarray(stop + 1);
        }
      }
    }
    parts = rest.length === 0 ? [] : [rest];
    held = rest.length;
  };
}
