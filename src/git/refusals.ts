/** What git's and the hosts' words mean. Texts of git 2.30-2.50 in the C locale, GitHub, GitLab, Bitbucket, Gitea. */
import { KeyturnError } from '../errors.ts';
import { redact } from '../redact.ts';
import { type Answer, lastWords } from './plumbing.ts';

export type Sent =
  /** The remote says it has it. Still to be read. */
  | { r: 'sent' }
  | { r: 'refused'; why: 'protected' | 'forbidden' | 'hook' | 'other'; detail: string }
  /** Somebody else was at the ref: read, then perhaps again. */
  | { r: 'race'; detail: string }
  /** No answer: it may have arrived. */
  | { r: 'lost'; detail: string };

const race =
  /cannot lock ref|failed to update ref|failed to lock|stale info|non-fast-forward|fetch first|incorrect old value|reference already exists|unable to create '[^']*\.lock'/i;
const guarded = /GH006|GH013|protected branch|repository rule|pre-receive hook declined/i;
const hook = /hook declined/i;
const forbidden =
  /returned error: 40[13]|could not read (username|password)|permission\b.*\bdenied|authentication failed|access denied|not allowed to push|write access to repository not granted|deploy key|http basic: access denied|publickey|\b40[13] (forbidden|unauthorized)/i;
const missing =
  /repository .*not found|returned error: 404|does not appear to be a git repository|does not exist/i;
const untrusted = /host key verification failed|ssl certificate|server certificate|certificate verif/i;
/** This machine's disk, not the remote's: those words come after `remote: `. */
const disk = /^(?!remote: ).*(no space left|read-only file system|disk quota exceeded|couldn't write ')/im;

/** What a push meant, before the remote is read. Nothing was written when it says `refused`. */
export function sentence(answer: Answer): Sent {
  if (answer.code === 0) return { r: 'sent' };
  const all = `${answer.out.toString()}\n${answer.err}`;
  const detail = words(answer);
  if (answer.timedOut) return { r: 'lost', detail };
  const verdict = /^!\t\S+\t(.*)$/m.exec(answer.out.toString())?.[1] ?? '';
  if (race.test(verdict)) return { r: 'race', detail };
  if (verdict.startsWith('[remote rejected]') || verdict.startsWith('[rejected]')) {
    if (guarded.test(all)) return { r: 'refused', why: 'protected', detail };
    if (hook.test(verdict)) return { r: 'refused', why: 'hook', detail };
    return { r: 'refused', why: forbidden.test(all) ? 'forbidden' : 'other', detail };
  }
  // without a verdict the pack was not taken: only a refusal to talk at all is an answer
  if (verdict === '' && forbidden.test(answer.err)) return { r: 'refused', why: 'forbidden', detail };
  return { r: 'lost', detail };
}

/** Nobody holds the ref where we need it, or a lock is in the way: trying again may help. */
export const isRace = (answer: Answer): boolean => race.test(answer.err);

/** Why the remote cannot be read: 75 when a rerun may help, 1 when a person must change something. */
export function unreadable(place: string, answer: Answer): KeyturnError {
  const what = `cannot be read: ${words(answer)}`;
  if (!answer.timedOut && disk.test(answer.err)) {
    return new KeyturnError('git', `cannot write to this clone: ${words(answer)}`, {
      hint: 'make room on the disk, or make it writable; nothing was changed',
      code: 'EDISK',
    });
  }
  if (!answer.timedOut && forbidden.test(answer.err)) {
    return new KeyturnError(place, what, {
      hint: 'give this job a token or deploy key that may read and write, and test it with `git ls-remote`',
      code: 'EAUTH',
    });
  }
  if (!answer.timedOut && untrusted.test(answer.err)) {
    return new KeyturnError(place, what, {
      hint: "add the server's key to known_hosts or its certificate authority to git's `http.sslCAInfo`",
      code: 'EUNTRUSTED',
    });
  }
  if (!answer.timedOut && missing.test(answer.err)) {
    return new KeyturnError(place, what, { hint: 'check the address with `git remote -v`', code: 'ENOENT' });
  }
  return new KeyturnError(place, what, {
    hint: 'run it again when the network or the server is back; nothing was changed',
    exit: 75,
    code: answer.timedOut ? 'ETIMEDOUT' : 'EUNREACHABLE',
  });
}

const longest = 500;

/** The telling lines in one, without credentials. */
function words(answer: Answer): string {
  if (answer.timedOut) return 'no answer in time';
  const said = answer.err
    .split('\n')
    .filter((line) => line.startsWith('remote: '))
    .map((line) => line.slice('remote: '.length).trim())
    .filter(Boolean);
  const verdict = /^!\t\S+\t(.*)$/m.exec(answer.out.toString())?.[1];
  const parts = [verdict ?? lastWords(answer.err), ...said].join('; ');
  const bare = parts.replaceAll(/(\w+:\/\/)[^\s/@]+@/g, '$1');
  return redact(bare).slice(0, longest);
}
