/**
 * One attempt by one method (protocol §3.7): asks with `none` which methods there are, then answers by one of
 * them, and reads what the host says about the account. Never answers a dialogue that would change a password.
 */
import type { AnyAuthMethod, AuthenticationType, KeyboardInteractiveCallback, ParsedKey, Prompt } from 'ssh2';
import { SshFailure } from './failure.ts';

export type Answer = { password: string } | { key: ParsedKey };

export interface Dialogue {
  /** The next method, or false when there is nothing more to try. */
  next(left: AuthenticationType[] | null, partial: boolean | null): AnyAuthMethod | false;
  /** Text that the host showed outside of a dialogue. */
  hear(banner: string): void;
  /** What the attempt came to when the host let nobody in; `closed`: it hung up instead of answering. */
  failure(closed: boolean): SshFailure | undefined;
  /** False where the host let us in without asking for the value. */
  readonly asked: boolean;
}

const locked = /account is (temporarily )?locked/i;
const mustChange = /required to change|password (has )?expired|change your password/i;

/** `abort` hangs up at once; called where the host asks what must not be answered. */
export function dialogue(username: string, answer: Answer, abort: () => void): Dialogue {
  let sent = false;
  let verdict: SshFailure | undefined;
  let expired = false;
  const end = (kind: SshFailure['kind'], code: string, detail: string): false => {
    verdict ??= new SshFailure(kind, code, detail);
    return false;
  };

  /** What the host's question means for the attempt; undefined where it is the one question to answer. */
  const objection = (whole: string, asks: string[]): [SshFailure['kind'], string, string] | undefined => {
    if (!sent && locked.test(whole))
      return ['blocked', 'FAILLOCK', 'the account is locked after failed logins'];
    const line = asks[0]?.trimEnd().split('\n').at(-1) ?? '';
    const isChange = /\b(new|retype|current)\b/i.test(line) || mustChange.test(whole);
    if (sent && isChange)
      return ['restricted', 'MUST_CHANGE', 'the password must be changed at the next login'];
    const isQuestion = asks.length === 1 && /password:\s*$/i.test(line) && 'password' in answer;
    if (!sent && isQuestion && !isChange) return undefined;
    return ['inconclusive', 'OTHER_PROMPT', 'the host asks for something else than the password'];
  };

  const prompted = (text: string, prompts: Prompt[], finish: KeyboardInteractiveCallback): void => {
    const asks = prompts.map(({ prompt }) => prompt);
    const objected = objection([text, ...asks].join('\n'), asks);
    if (asks.length === 0 && objected?.[1] !== 'FAILLOCK') {
      finish([]);
    } else if (objected !== undefined) {
      end(...objected);
      abort();
    } else if ('password' in answer) {
      sent = true;
      finish([answer.password]);
    }
  };

  return {
    next(left, partial) {
      if (left === null) return { type: 'none', username };
      if (sent && partial === true)
        return end('restricted', 'MFA', 'the value is right, but the host asks for another factor too');
      if (sent) return end('denied', 'DENIED', 'the login was refused');
      const offers = (method: string): boolean => (left as string[]).includes(method);
      if ('key' in answer) {
        if (!offers('publickey'))
          return end('blocked', 'NO_KEY_LOGIN', 'the host lets nobody log in with a key');
        sent = true;
        return { type: 'publickey', username, key: answer.key };
      }
      if (offers('keyboard-interactive'))
        return {
          type: 'keyboard-interactive',
          username,
          prompt: (name, instructions, _, prompts, finish) =>
            prompted(`${name}\n${instructions}`, prompts, finish),
        };
      if (!offers('password'))
        return end('blocked', 'NO_PASSWORD_LOGIN', 'the host lets nobody log in with a password');
      sent = true;
      return { type: 'password', username, password: answer.password };
    },
    hear(banner) {
      if (sent && /account has expired/i.test(banner)) expired = true;
    },
    failure(closed) {
      if (verdict === undefined && closed && expired)
        end('restricted', 'EXPIRED', 'the value is right, but the account has expired');
      return verdict;
    },
    get asked() {
      return sent;
    },
  };
}
