import { execFileSync } from 'node:child_process';
import { atMost, type Row } from './measure.ts';
import type { Project } from './project.ts';

const waveSize = 32;

const git = (folder: string, ...args: string[]): string =>
  execFileSync('git', args, { cwd: folder, encoding: 'utf8' }).trim();

/** How often a rotation of these secrets pushes: once a wave, and once more for what the last wave promoted. */
export async function pushes(project: Project, names: readonly string[]): Promise<Row> {
  const count = (): number => Number(git(project.remote, 'rev-list', '--count', 'main'));
  const before = count();
  await project.keyturn('rotate', ...names, '--force');
  const waves = Math.ceil(names.length / waveSize);
  return atMost(
    { what: `pushes of ${names.length} rotations`, against: 'waves and one', unit: 'pushes' },
    waves + 1,
    count() - before,
  );
}

/**
 * What a rotation adds to the remote once git has packed it: all secrets are rotated so often that a snapshot of the
 * state is among what was added.
 */
export async function rotationBytes(project: Project, names: readonly string[]): Promise<Row> {
  const times = 4;
  const packed = (): number => {
    git(project.remote, 'gc', '--quiet', '--prune=now');
    const [, kib = '0'] = /size-pack: (\d+)/.exec(git(project.remote, 'count-objects', '-v')) ?? [];
    return Number(kib) * 1024;
  };
  const before = packed();
  for (let time = 0; time < times; time++) await project.keyturn('rotate', ...names, '--force');
  const rotations = times * names.length;
  return atMost(
    { what: `packed git of each of ${rotations} rotations`, against: 'budget', unit: 'bytes' },
    1024,
    (packed() - before) / rotations,
  );
}
