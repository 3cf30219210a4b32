/**
 * Errors of MySQL and MariaDB, by number and server, never by name: mysql2 names MariaDB's numbers after
 * unrelated errors of MySQL (T8). Every number has exactly one class; an unknown one proves nothing.
 */
import type { Probe, SetResult } from '../driver.ts';

export type Flavour = 'mysql' | 'mariadb';

/** What is left of an error: no text of the server, no SQL. */
export class MysqlFailure extends Error {
  /** The server's own number; undefined when it did not answer. */
  readonly errno: number | undefined;
  readonly code: string;
  readonly flavour: Flavour;

  constructor(errno: number | undefined, code: string, flavour: Flavour) {
    super(code);
    this.name = 'MysqlFailure';
    this.errno = errno;
    this.code = code;
    this.flavour = flavour;
  }
}

/** Rebuilds any error from its number or system code; everything else about it is dropped. */
export function failureOf(error: unknown, flavour: Flavour): MysqlFailure {
  if (error instanceof MysqlFailure) return error;
  const { errno, code } = (typeof error === 'object' && error !== null ? error : {}) as Record<
    string,
    unknown
  >;
  if (typeof errno === 'number' && errno > 0) return new MysqlFailure(errno, String(errno), flavour);
  const name = typeof code === 'string' && /^[A-Z][A-Z0-9_]{2,59}$/.test(code) ? code : 'UNKNOWN';
  return new MysqlFailure(undefined, name, flavour);
}

type Login = Probe['r'];
type Why = Exclude<Extract<SetResult, { r: 'refused' }>['why'], 'too-soon' | 'untrusted'>;

const loginByNumber: Record<number, Login> = {
  1044: 'ok',
  1045: 'denied',
  1698: 'denied',
  1820: 'ok-restricted',
  1862: 'ok-restricted',
  1040: 'unreachable',
  1042: 'unreachable',
  1043: 'unreachable',
  1053: 'unreachable',
  1129: 'unreachable',
  1130: 'unreachable',
  1152: 'unreachable',
  1158: 'unreachable',
  1159: 'unreachable',
  1160: 'unreachable',
  1161: 'unreachable',
  1203: 'unreachable',
  1226: 'unreachable',
};

const loginByServer: Record<Flavour, Record<number, Login>> = {
  mysql: {
    3118: 'ok-restricted',
    3955: 'blocked',
    3032: 'unreachable',
    3159: 'unreachable',
    4031: 'unreachable',
  },
  mariadb: { 4151: 'ok-restricted', 4150: 'blocked' },
};

/** The client library gave up on an authentication method: the value was not judged. */
const methodUnknown = new Set(['AUTH_SWITCH_PLUGIN_ERROR', 'MYSQL_CLEAR_PASSWORD_NOT_ENABLED']);

const loginWords: Record<Login, string> = {
  ok: 'logged in',
  'ok-restricted': 'the value is right, but the account is expired or locked',
  denied: 'the value is not accepted',
  blocked: 'blocked after too many failed logins',
  unreachable: 'no usable answer from the server',
  inconclusive: 'the answer does not tell whether the value is right',
};

/** What a failed login says about the value. */
export function classifyLogin({ errno, code, flavour }: MysqlFailure): Probe {
  const known = errno === undefined ? undefined : (loginByServer[flavour][errno] ?? loginByNumber[errno]);
  const r = known ?? (errno === undefined && !methodUnknown.has(code) ? 'unreachable' : 'inconclusive');
  return { r, code, detail: loginWords[r] };
}

const whyByNumber: Record<number, Why> = {
  1819: 'policy',
  1372: 'policy',
  1044: 'permission',
  1045: 'permission',
  1064: 'permission',
  1131: 'permission',
  1142: 'permission',
  1143: 'permission',
  1227: 'permission',
  1524: 'permission',
  1820: 'permission',
  1290: 'readonly',
  1792: 'readonly',
  1836: 'readonly',
  1133: 'no-account',
  1396: 'no-account',
};

const whyByServer: Record<Flavour, Record<number, Why>> = {
  mysql: {
    3638: 'history',
    3878: 'permission',
    3891: 'bad-current',
    3892: 'bad-current',
    3893: 'permission',
    3894: 'permission',
    3895: 'permission',
  },
  mariadb: {},
};

const whyWords: Record<Why, string> = {
  policy: "the server's password policy refuses the value",
  history: 'the server refuses a value that was used before',
  permission: 'the login that changes the password may not do it',
  'bad-current': 'the current value is not accepted',
  readonly: 'the server is read-only',
  'no-account': 'there is no such account',
};

/** What a failed statement says about the change. A number that is not known as a refusal may have been applied. */
export function classifySet({ errno, code, flavour }: MysqlFailure): SetResult {
  const why = errno === undefined ? undefined : (whyByServer[flavour][errno] ?? whyByNumber[errno]);
  if (why === undefined)
    return { r: 'ambiguous', code, detail: 'the statement was sent and its result is not known' };
  return { r: 'refused', why, code, detail: whyWords[why] };
}

/** What a login that failed before any statement was sent means for a change. */
export function classifyUnsent(login: Probe): SetResult {
  const { r, code } = login;
  if (r === 'denied')
    return { r: 'refused', why: 'bad-current', code, detail: 'the login was refused, nothing was sent' };
  return { r: 'not-sent', code, detail: login.detail };
}
