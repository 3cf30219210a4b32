/** What an exception of the SDK means: by its code alone, never by its text. */
import type { Outcome } from '../driver.ts';

export type Answer =
  /** The key that signed is unknown, switched off, not there yet, or its secret is wrong. */
  | ({ r: 'denied' } & Outcome)
  | ({ r: 'permission' } & Outcome)
  | ({ r: 'absent' } & Outcome)
  | ({ r: 'limit' } & Outcome)
  /** Nobody gave this process anything to sign with. */
  | ({ r: 'no-login' } & Outcome)
  /** What signs could not be had: a role that may not be assumed, a token that AWS does not take. */
  | ({ r: 'no-session'; hint: string } & Outcome)
  /** The server answered that it did nothing, for now. */
  | ({ r: 'busy' } & Outcome)
  /** Nothing was sent. */
  | ({ r: 'not-sent' } & Outcome)
  /** It may have happened. */
  | ({ r: 'unknown' } & Outcome);

const words: Record<string, readonly [Exclude<Answer['r'], 'no-session'>, string]> = {
  InvalidClientTokenId: ['denied', 'the access key is not accepted'],
  UnrecognizedClientException: ['denied', 'the access key is not accepted'],
  SignatureDoesNotMatch: ['denied', 'the secret of the access key is wrong, or the clock is off'],
  IncompleteSignature: ['denied', 'the signature is not accepted'],
  AuthFailure: ['denied', 'the access key is not accepted'],
  ExpiredToken: ['denied', 'the session has expired'],
  ExpiredTokenException: ['denied', 'the session has expired'],
  RequestExpired: ['denied', 'the clock of this machine is off'],
  AccessDenied: ['permission', 'not allowed'],
  AccessDeniedException: ['permission', 'not allowed'],
  NoSuchEntity: ['absent', 'there is no such thing'],
  NoSuchEntityException: ['absent', 'there is no such thing'],
  LimitExceeded: ['limit', 'the user holds as many keys as AWS allows'],
  LimitExceededException: ['limit', 'the user holds as many keys as AWS allows'],
  Throttling: ['busy', 'AWS asks to slow down'],
  ThrottlingException: ['busy', 'AWS asks to slow down'],
  TooManyRequestsException: ['busy', 'AWS asks to slow down'],
  RequestLimitExceeded: ['busy', 'AWS asks to slow down'],
  EntityTemporarilyUnmodifiable: ['busy', 'AWS is still changing the user'],
  EntityTemporarilyUnmodifiableException: ['busy', 'AWS is still changing the user'],
  CredentialsProviderError: ['no-login', 'nothing to sign with was found'],
  ECONNREFUSED: ['not-sent', 'nobody listens there'],
  ENOTFOUND: ['not-sent', 'there is no such host'],
  EAI_AGAIN: ['not-sent', 'the name could not be resolved'],
  EHOSTUNREACH: ['not-sent', 'the host cannot be reached'],
  ENETUNREACH: ['not-sent', 'the network cannot be reached'],
  ETIMEDOUT: ['unknown', 'no answer in time'],
};

/** Nobody signs: whatever it was for was not sent. */
export class NoSession extends Error {
  readonly answer: Answer;

  constructor(error: unknown, detail: string, hint: string) {
    super('no session');
    const answer = classify(error);
    const { r, code } = answer;
    if (r === 'no-login') this.answer = answer;
    else if (r === 'busy' || r === 'not-sent' || r === 'unknown')
      this.answer = { r: 'not-sent', code, detail: answer.detail };
    else this.answer = { r: 'no-session', code, detail: `${detail} (${code})`, hint };
  }
}

export function classify(error: unknown): Answer {
  if (error instanceof NoSession) return error.answer;
  const {
    name = '',
    code = '',
    $metadata,
  } = (error ?? {}) as {
    name?: string;
    code?: string;
    $metadata?: { httpStatusCode?: number };
  };
  const known = words[name] ?? words[code];
  const status = $metadata?.httpStatusCode;
  if (known) return { r: known[0], code: words[name] ? name : code, detail: known[1] };
  if (/^(CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|ERR_TLS)/.test(code))
    return { r: 'not-sent', code, detail: 'its certificate is not trusted' };
  if (status !== undefined && status >= 400 && status < 500)
    return { r: 'permission', code: short(name), detail: 'AWS refused the request' };
  return { r: 'unknown', code: short(code || name), detail: 'no answer that says what happened' };
}

/** The signature was of another time than the target's, and the client knows the target's now. */
export const learnedTime = (error: unknown): boolean =>
  (error as { $metadata?: { clockSkewCorrected?: boolean } } | null)?.$metadata?.clockSkewCorrected === true;

/** Codes are words; anything else of a server does not leave this file. */
const short = (code: string): string => (/^[A-Za-z0-9_.]{1,64}$/.test(code) ? code : 'unknown');
