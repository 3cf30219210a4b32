/** What an exception of an Azure SDK means: by codes and status alone, never by its text. */
import type { Outcome } from '../driver.ts';

export type Answer =
  /** The credential that logs in is wrong, unknown, expired, or not there yet. */
  | ({ r: 'denied' } & Outcome)
  /** Nobody gave this process anything to log in with. */
  | ({ r: 'no-login' } & Outcome)
  | ({ r: 'permission' } & Outcome)
  | ({ r: 'absent' } & Outcome)
  /** Azure takes no such value, or no such change. */
  | ({ r: 'invalid' } & Outcome)
  /** Azure answered that it did nothing, for now; `after` is how many milliseconds it asks for. */
  | ({ r: 'busy'; after: number | null } & Outcome)
  /** Nothing was sent. */
  | ({ r: 'not-sent' } & Outcome)
  /** It may have happened. */
  | ({ r: 'unknown' } & Outcome);

const connection: Record<string, string> = {
  ECONNREFUSED: 'nobody listens there',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'the name could not be resolved',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  UND_ERR_CONNECT_TIMEOUT: 'nobody answers there',
};

interface Thrown {
  name?: string;
  code?: string | null;
  statusCode?: number;
  /** Of Graph. */
  headers?: { get?(name: string): string | null };
  /** Of ARM. */
  response?: { headers?: { get?(name: string): string | undefined } };
  cause?: Thrown;
  message?: string;
  errorNo?: string;
}

/** Of a request to Graph or ARM. */
export function classify(error: unknown): Answer {
  if (error instanceof LoginFailed) return error.answer;
  const {
    name = '',
    statusCode = -1,
    response,
    headers = response?.headers,
    ...rest
  } = (error ?? {}) as Thrown;
  const code = short(rest.code ?? name);
  if (rest.code === 'Directory_ConcurrencyViolation' || statusCode === 429) {
    const seconds = Number(headers?.get?.('retry-after') ?? Number.NaN);
    return {
      r: 'busy',
      code,
      detail: 'Azure asks to try again',
      after: seconds >= 0 ? seconds * 1000 : null,
    };
  }
  if (statusCode === 401) return { r: 'denied', code, detail: 'the token is not accepted' };
  if (statusCode === 403) return { r: 'permission', code, detail: 'not allowed' };
  if (statusCode === 404) return { r: 'absent', code, detail: 'there is no such thing' };
  if (statusCode >= 400 && statusCode < 500)
    return { r: 'invalid', code, detail: 'Azure refused the request' };
  const reason = connection[code];
  if (reason !== undefined) return { r: 'not-sent', code, detail: reason };
  if (/^(CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|ERR_TLS)/.test(code))
    return {
      r: 'not-sent',
      code,
      detail: 'its certificate is not trusted; NODE_EXTRA_CA_CERTS names more authorities',
    };
  return { r: 'unknown', code, detail: 'no answer that says what happened' };
}

/** No token: whatever it was for was not sent. */
export class LoginFailed extends Error {
  readonly answer: Extract<Answer, { r: 'denied' | 'no-login' | 'not-sent' }>;
  /** Entra's number of the failure, e.g. 7000215; null where Entra did not answer. */
  readonly aadsts: number | null;

  constructor(error: unknown) {
    super('no token');
    const { name = '', message = '', cause } = (error ?? {}) as Thrown;
    const [, digits] = /\bAADSTS(\d{5,8})\b/.exec(`${cause?.message ?? ''} ${message}`) ?? [];
    this.aadsts = digits === undefined ? null : Number(digits);
    this.answer =
      this.aadsts !== null
        ? { r: 'denied', code: `AADSTS${this.aadsts}`, detail: wordsOf(this.aadsts) }
        : name === 'CredentialUnavailableError' && !/resolution_error|network_error/.test(message)
          ? { r: 'no-login', code: name, detail: 'nothing to log in with was found' }
          : { r: 'not-sent', code: short(name), detail: 'Entra gave no token and no reason' };
  }
}

const known: Record<number, string> = {
  7000215: 'the client secret is wrong, or not known everywhere yet',
  7000222: 'the client secret has expired',
  700016: 'the tenant does not know the application',
  7000229: 'the application has no service principal in the tenant',
  700027: 'the certificate is not one of the application',
  70021: 'no federated credential of the application fits the token of this job',
  700213: 'no federated credential of the application fits the token of this job',
  90002: 'there is no such tenant',
};

const wordsOf = (aadsts: number): string => known[aadsts] ?? 'Entra refuses the login';

/** Codes are words; anything else of a server does not leave this file. */
const short = (code: unknown): string =>
  typeof code === 'string' && /^[A-Za-z0-9_.]{1,64}$/.test(code) ? code : 'unknown';
