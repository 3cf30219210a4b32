/** What must hold of a record, and of every byte that a soak left behind. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { SecretRecord } from '../../src/state/model.ts';
import type { Machine, World } from '../crash/world.ts';
import type { Member } from './part.ts';

/**
 * I1, I3, I5, I6: something recorded works, or can be had from the target again; `current` does, unless its successor
 * is recorded, or can be had, and may have replaced it.
 */
export function verdict(member: Member, record: SecretRecord, accepted: number[]): string[] {
  const { overlap } = member;
  const { current, pending } = record;
  const found: string[] = [];
  if (accepted.length === 0 && !(pending !== null && member.again?.(record) === true))
    found.push('nothing that is recorded logs in');
  if (current !== null && !accepted.includes(current) && (overlap || pending === null))
    found.push('what readers read does not log in');
  return found;
}

/** In the end. */
export function resting({ pending, health, current }: SecretRecord): string[] {
  return [
    ...(current === null ? ['there is no current version'] : []),
    ...(pending === null ? [] : ['something is pending']),
    ...(health === 'ok' ? [] : [`health is ${health}`]),
  ];
}

/** Every byte that was said, shown to other processes, committed or left in a file; and who may read what is kept. */
export function leaks(world: World, machines: readonly Machine[], logs: string[], runs: number): string[] {
  const { canary, remote, at } = world;
  const found: string[] = [];
  const findings = canary.findings({
    repositories: [remote, ...machines.map(({ clone }) => clone)],
    folders: [at('tmp'), ...machines.map(({ env }) => env.HOME ?? '')],
    logs: logs,
  });
  for (const finding of findings) found.push(`leaked: ${finding}`);
  if (existsSync('/proc/self/environ') && canary.sampled < runs) found.push('the canary slept');
  for (const { env } of machines) {
    const kept = join(env.HOME ?? '', '.cache', 'keyturn');
    const files = existsSync(kept) ? readdirSync(kept, { recursive: true, encoding: 'utf8' }) : [];
    for (const file of ['', ...files])
      if (existsSync(kept) && (statSync(join(kept, file)).mode & 0o077) !== 0)
        found.push(`others may read ${join(kept, file)}`);
  }
  for (const folder of readdirSync(at('tmp'))) found.push(`left in the temporary folder: ${folder}`);
  return found;
}
