import type { Plan, Verb } from '../engine/model.ts';

interface VerbWords {
  sign: string;
  /** In a plan's counts: `2 rotate`, `1 held`. */
  planned: string;
  /** In an apply's counts: `3 rotated`. */
  done: string;
}

/** In the order of every count. */
export const verbs: Readonly<Record<Verb, VerbWords>> = {
  adopt: { sign: '+', planned: 'adopt', done: 'adopted' },
  rotate: { sign: '~', planned: 'rotate', done: 'rotated' },
  retire: { sign: '-', planned: 'retire', done: 'retired' },
  resume: { sign: '!', planned: 'resume', done: 'resumed' },
  rekey: { sign: '@', planned: 'rekey', done: 'rekeyed' },
  verify: { sign: '*', planned: 'verify', done: 'verified' },
  hold: { sign: '=', planned: 'held', done: 'held' },
  block: { sign: 'x', planned: 'blocked', done: 'blocked' },
  forget: { sign: '?', planned: 'forget', done: 'forgotten' },
};

/** `3 rotate`, `1 held` …: one entry a verb that occurs. */
export function countVerbs(occurring: readonly Verb[], words: 'planned' | 'done'): string[] {
  const counts = new Map<string, number>();
  for (const verb of occurring) counts.set(verb, (counts.get(verb) ?? 0) + 1);
  return Object.entries(verbs).flatMap(([verb, text]) => {
    const count = counts.get(verb);
    return count === undefined ? [] : [`${count} ${text[words]}`];
  });
}

/** `2 rotate, 1 held, 12 unchanged`. */
export function planCounts(plan: Plan): string {
  const occurring = plan.groups.flatMap((group) => group.actions.map((action) => action.verb));
  return [...countVerbs(occurring, 'planned'), `${plan.unchanged} unchanged`].join(', ');
}

/** `nothing to do: 12 secrets unchanged, next due 2026-12-01 03:00 UTC`. */
export function nothingToDo(plan: Plan): string {
  const secrets = plan.unchanged === 1 ? '1 secret' : `${plan.unchanged} secrets`;
  const due = plan.nextDue === null ? '' : `, next due ${utcMinute(plan.nextDue)}`;
  return `nothing to do: ${secrets} unchanged${due}`;
}

/** `sha256:3fa91c02`: enough to compare by eye. */
export function shortChecksum(plan: Plan): string {
  return plan.checksum.slice(0, 'sha256:'.length + 8);
}

/** An ISO time as `2026-12-01 03:00 UTC`. */
function utcMinute(iso: string): string {
  return `${new Date(iso).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
