import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** What the job is, on standard input. */
export function given<Job>(): Job & { concurrency: number; folder: string; remote: string } {
  return JSON.parse(readFileSync(0, 'utf8'));
}

/** As many as one push of keyturn claims. */
export const waveSize = 32;

export const waves = <Item>(items: readonly Item[]): Item[][] =>
  Array.from({ length: Math.ceil(items.length / waveSize) }, (_, n) =>
    items.slice(n * waveSize, (n + 1) * waveSize),
  );

/**
 * One push by git, with as many bytes as keyturn's: a file for each name and one for all of them together. Then the ref
 * is looked at and fetched, as by anybody who pushes where others do. (keyturn needs the fetch only where
 * others have pushed, or a push took long; README says what the floor would be without.)
 */
export function pushing(
  folder: string,
  remote: string,
): (names: readonly string[], sizes?: { value: number; state: number }) => Promise<void> {
  const git = async (...args: string[]): Promise<string> =>
    (await run('git', ['-c', 'core.fsync=all', '-c', 'gc.auto=0', ...args], { cwd: folder })).stdout.trim();
  const branch = `bare-${randomBytes(6).toString('hex')}`;
  let tip = '';
  return async (names, { value, state } = { value: 700, state: 500 + 250 * names.length }) => {
    const files = [
      ...names.map((name) => ({ path: `values/${name}/${randomBytes(4).toString('hex')}.age`, size: value })),
      { path: `state/${randomBytes(4).toString('hex')}.age`, size: state },
    ];
    const stream = [
      `commit refs/heads/${branch}\ncommitter bare <bare@localhost> now\ndata 4\nbare${tip === '' ? '' : `\nfrom ${tip}`}\n`,
      ...files.map(({ path, size }) => {
        const text = randomBytes(size / 2).toString('hex');
        return `M 100644 inline ${path}\ndata ${text.length}\n${text}\n`;
      }),
      'done\n',
    ].join('');
    const child = run(
      'git',
      ['-c', 'core.fsync=all', 'fast-import', '--quiet', '--done', '--date-format=now'],
      {
        cwd: folder,
      },
    );
    child.child.stdin?.end(stream);
    await child;
    await git('push', '--quiet', remote, `refs/heads/${branch}:refs/heads/${branch}`);
    tip = (await git('ls-remote', remote, `refs/heads/${branch}`)).split('\t')[0] ?? '';
    await git('fetch', '--quiet', remote, `refs/heads/${branch}`);
  };
}
