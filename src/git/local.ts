/** The state ref of a repository without a remote: git's own compare-and-swap, fsynced (protocol G9). */
import { isBelow } from './history.ts';
import type { Place } from './place.ts';
import { type Git, lastWords, text } from './plumbing.ts';
import { isRace } from './refusals.ts';

export function localPlace(git: Git, ref: string): Place {
  const look = async () =>
    text(await git.run(['rev-parse', '--verify', '--quiet', `${ref}^{commit}`])) || null;
  return {
    name: `this repository (${ref}), no remote`,
    ref,
    hasRemote: false,
    fetch: look,
    look,
    contains: (tip, commit) => isBelow(git, commit, tip),
    async send(commit, base, subject) {
      const reason = `keyturn: ${subject}`;
      const answer = await git.run(['update-ref', '--create-reflog', '-m', reason, ref, commit, base ?? '']);
      if (answer.code === 0) return { r: 'sent' };
      const detail = lastWords(answer.err);
      if (answer.timedOut) return { r: 'lost', detail };
      return isRace(answer) ? { r: 'race', detail } : { r: 'refused', why: 'other', detail };
    },
  };
}
