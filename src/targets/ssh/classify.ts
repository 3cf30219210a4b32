/** What a failed login or a refused change means, in our words: a host's text never leaves this room. Total. */
import type { Preflight, Probe, RetireResult, SetResult } from '../driver.ts';
import type { SshFailure } from './failure.ts';

export function probeFailure({ kind, outcome }: SshFailure): Probe {
  switch (kind) {
    case 'denied':
    case 'blocked':
    case 'unreachable':
    case 'inconclusive':
      return { r: kind, ...outcome };
    case 'restricted':
      return { r: 'ok-restricted', ...outcome };
    case 'untrusted':
      return { r: 'inconclusive', ...outcome };
  }
}

const pinHint = 'somebody may be in between: compare with the host itself; keyturn doctor shows what to pin';

/** Nothing can be done, or not now. Of the login that would change the account. */
export function preflightFailure(failure: SshFailure): Exclude<Preflight, { r: 'ready' }> {
  const { kind, code, outcome } = failure;
  switch (kind) {
    case 'unreachable':
      return { r: 'unreachable', ...outcome };
    case 'blocked':
      return { r: 'blocked', ...outcome };
    case 'untrusted':
      return { r: 'refused', why: 'untrusted', hint: pinHint, ...outcome };
    case 'denied':
      return {
        r: 'refused',
        why: 'bad-current',
        ...outcome,
        hint: 'the value is wrong, or the account is locked or expired: keyturn reconcile or keyturn adopt',
      };
    case 'restricted':
    case 'inconclusive':
      return { r: 'refused', why: 'permission', ...outcome, hint: hints[code] ?? hints.NOT_PERMITTED };
  }
}

const hints: Record<string, string> & { NOT_PERMITTED: string } = {
  NOT_PERMITTED:
    'log in as root, or let sudo run /bin/sh or at least /usr/sbin/chpasswd and set sudo in the target',
  NO_LOGIN: 'give the target credentials',
  NO_SHELL: 'give the login a shell that runs commands',
  SUDO_PASSWORD: 'set credentials.password in the target to what sudo asks for',
  MUST_CHANGE: 'log in once and change it, then keyturn adopt; or let the target change it',
};

/** Before anything was sent. */
export function setLoginFailure(failure: SshFailure): SetResult {
  const found = preflightFailure(failure);
  if (found.r !== 'refused') return { r: 'not-sent', ...failure.outcome };
  const { why } = found;
  return { r: 'refused', why: why === 'unsupported' ? 'permission' : why, ...failure.outcome };
}

export function retireFailure(failure: SshFailure): RetireResult {
  return {
    r: setLoginFailure(failure).r === 'refused' ? 'refused' : 'unreachable',
    ...failure.outcome,
  };
}

type Refusal = Extract<SetResult, { r: 'refused' }>;
const refusals: [RegExp, Refusal['why'], string, string][] = [
  [/wait longer/i, 'too-soon', 'MIN_AGE', 'the minimum age of the present password is not over'],
  [
    /already (been )?used|been used already/i,
    'history',
    'HISTORY',
    'the host remembers the value as an earlier one',
  ],
  [
    /BAD PASSWORD|too short|longer password|too simple|similar|palindrome|dictionary|case changes|weak/i,
    'policy',
    'POLICY',
    "the host's password policy refuses the value",
  ],
  [
    /unchanged|not been changed|same as the old/i,
    'history',
    'SAME',
    'the host says that the value is the present one',
  ],
  [/does not exist|unknown user/i, 'no-account', 'NO_ACCOUNT', 'the account does not exist'],
  [
    /lock busy|cannot lock|try again later|read-only/i,
    'readonly',
    'BUSY',
    'the password files are locked or read-only',
  ],
  [/Permission denied|only root may/i, 'permission', 'NOT_PERMITTED', 'the login may not change passwords'],
  [
    /password change required/i,
    'permission',
    'MUST_CHANGE',
    'the password must be changed on a terminal first',
  ],
];

/** chpasswd or passwd ended with an error: what it said on stderr, in the C locale. */
export function refusal(stderr: string, otherwise: Pick<Refusal, 'why' | 'code' | 'detail'>): Refusal {
  const found = refusals.find(([pattern]) => pattern.test(stderr));
  if (found === undefined) return { r: 'refused', ...otherwise };
  const [, why, code, detail] = found;
  return { r: 'refused', why, code, detail };
}

/** A preflight that ends before any login, or because of what it found. */
export const refused = (why: 'unsupported' | 'no-account', code: string, detail: string): Preflight => ({
  r: 'refused',
  why,
  code,
  detail,
  hint:
    why === 'no-account'
      ? 'create the account, or correct the manifest'
      : 'see the documentation of type: ssh',
});
