/**
 * Looks for plaintext where none belongs. Values are learned as they become known, everything that was heard
 * or sampled before is judged at the end. A finding names the place, never the value.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

export interface Canary {
  /** `typed`: the harness itself wrote it into SQL, so server logs may show it. */
  learn(label: string, value: string, typed?: boolean): void;
  /** Output of a child that may not show values. */
  hear(where: string, text: string): void;
  /** Samples command lines and environments of a process and its descendants until the returned function is called. */
  watch(where: string, pid: number): () => void;
  /** Findings in everything heard, and in these places. */
  findings(places: { repositories?: string[]; folders?: string[]; logs?: string[] }): string[];
  /** Processes sampled so far: a canary that never sang proves nothing. */
  readonly sampled: number;
}

const shortest = 8;
const pause = 30;

export function createCanary(): Canary {
  const values = new Map<string, { label: string; typed: boolean }>();
  const heard = new Map<string, string>();
  const seen = new Set<string>();

  const search = (where: string, text: string, log = false): string[] =>
    [...values].flatMap(([value, { label, typed }]) =>
      !(log && typed) && forms(value).some((form) => text.includes(form)) ? [`${label} in ${where}`] : [],
    );

  return {
    learn(label, value, typed = false) {
      if (value.length >= shortest && !values.has(value)) values.set(value, { label, typed });
    },
    hear(where, text) {
      heard.set(text, where);
    },
    watch(where, pid) {
      if (!existsSync('/proc/self/environ')) return () => undefined;
      const sample = () => {
        for (const one of family(pid))
          for (const file of ['cmdline', 'environ'])
            try {
              const text = readFileSync(`/proc/${one}/${file}`, 'latin1');
              if (text === '') continue;
              seen.add(`${one}`);
              heard.set(text, `${file} of a process of ${where}`);
            } catch {
              // gone meanwhile
            }
      };
      sample();
      const timer = setInterval(sample, pause);
      return () => clearInterval(timer);
    },
    findings({ repositories = [], folders = [], logs = [] }) {
      const found = [...heard].flatMap(([text, where]) => search(where, text));
      for (const repository of repositories)
        found.push(...search(`the objects of ${repository}`, objects(repository)));
      for (const folder of folders)
        for (const file of files(folder)) found.push(...search(file, readFileSync(file, 'latin1')));
      for (const log of logs) found.push(...search(log, readFileSync(log, 'latin1'), true));
      return [...new Set(found)];
    },
    get sampled() {
      return seen.size;
    },
  };
}

const forms = (value: string): string[] => {
  const bytes = Buffer.from(value);
  return [
    value,
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
    bytes.toString('hex'),
    encodeURIComponent(value),
  ];
};

function family(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    return [pid, ...children.filter(Boolean).flatMap((child) => family(Number(child)))];
  } catch {
    return [pid];
  }
}

/** Every object that the repository has, reachable or not, inflated. */
const objects = (repository: string): string =>
  execFileSync('git', ['cat-file', '--batch-all-objects', '--batch'], {
    cwd: repository,
    maxBuffer: 1024 * 1024 * 1024,
  }).toString('latin1');

function files(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return files(path);
    return entry.isFile() && statSync(path).size > 0 ? [path] : [];
  });
}
