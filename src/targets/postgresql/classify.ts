/**
 * SQLSTATE, routine or system code -> result. Total: what nobody foresaw proves nothing and loses nothing.
 * What a server says before, and what after authentication was seen on PostgreSQL 18.4 (test/targets).
 */
import type { Outcome, Preflight, Probe, RetireResult, SetResult } from '../driver.ts';
import type { Failure } from './connect.ts';

const words: Record<string, string> = {
  '28P01': 'the password was refused',
  '28000': 'the server does not let this account in from here',
  '3D000': 'the database does not exist',
  '22023': 'the server refused the value',
  '25006': 'the server is read-only',
  '42501': 'the server refused the right to do this',
  '42704': 'the role does not exist',
  '53300': 'too many connections',
  '57014': 'the statement took longer than the timeout',
  '57P01': 'the server is shutting down',
  '57P03': 'the server is starting up or shutting down',
  CLEARTEXT: 'the server asked for the password in clear without TLS',
  CLOSED: 'the connection was closed',
  ECONNREFUSED: 'nobody listens there',
  ENOTFOUND: 'the host name is unknown',
  NO_TLS: 'the server speaks no TLS',
  PROTOCOL: 'what came is not what a PostgreSQL server says',
  SASL: 'the SCRAM exchange failed on our side',
  TIMEOUT: 'no answer in time',
};

const outcome = ({ code, origin }: Failure): Outcome => ({
  code,
  detail:
    words[code] ?? (origin === 'server' ? 'the server answered with an error' : 'the connection failed'),
});

/** What a failed login says about the value. */
export function probeFailure(failure: Failure): Probe {
  const said = outcome(failure);
  if (failure.authenticated) return afterAuthentication(failure);
  return { r: failure.origin === 'server' && failure.code === '28P01' ? 'denied' : 'unreachable', ...said };
}

/** The value was right, unless nobody asked for it; the server then found something else. */
function afterAuthentication(failure: Failure): Probe {
  const { code, routine, origin } = failure;
  if (!failure.asked) return notAsked;
  if (origin === 'client') return { r: 'unreachable', ...outcome(failure) };
  if (code === '28000')
    return { r: 'ok-restricted', code, detail: 'the value is right, but the role may not log in' };
  if (code === '53300' && routine === 'InitializeSessionUserId')
    return { r: 'ok', code, detail: "the value is right, all connections of the role's limit are in use" };
  if (code === '3D000' || code === '42501' || code === '55000')
    return { r: 'ok', code, detail: 'the value is right, the role may not use the database' };
  return { r: 'unreachable', ...outcome(failure) };
}

export const notAsked: Probe = {
  r: 'inconclusive',
  code: 'NO_PASSWORD_ASKED',
  detail: 'the server lets this account in without asking for a password',
};

/** A login that came before anything was sent. */
export function loginFailure(
  failure: Failure,
): ({ r: 'refused'; why: 'bad-current' | 'permission' } & Outcome) | ({ r: 'unreachable' } & Outcome) {
  const said = outcome(failure);
  if (failure.origin === 'client') return { r: 'unreachable', ...said };
  if (failure.code === '28P01') return { r: 'refused', why: 'bad-current', ...said };
  if (failure.authenticated && ['28000', '3D000', '42501', '55000'].includes(failure.code))
    return {
      r: 'refused',
      why: 'permission',
      code: failure.code,
      detail: 'the login may not use the database',
    };
  return { r: 'unreachable', ...said };
}

const whys: Record<string, 'policy' | 'permission' | 'readonly' | 'no-account'> = {
  '22023': 'policy',
  '25006': 'readonly',
  '42501': 'permission',
  '42704': 'no-account',
};

/** The statement was sent. Only an answer that we know is a refusal. */
export function setFailure(failure: Failure): SetResult {
  const why = failure.origin === 'server' ? whys[failure.code] : undefined;
  return why === undefined
    ? { r: 'ambiguous', ...outcome(failure) }
    : { r: 'refused', why, ...outcome(failure) };
}

/** A role that is gone accepts no value any more. */
export function retireFailure(failure: Failure): RetireResult {
  if (failure.origin === 'server' && failure.code === '42704') return { r: 'retired', ...outcome(failure) };
  return { r: setFailure(failure).r === 'refused' ? 'refused' : 'unreachable', ...outcome(failure) };
}

/** The server answered a question of preflight with an error, or not at all. */
export function preflightFailure(failure: Failure): Preflight {
  if (failure.origin === 'client' || failure.code !== '42501')
    return { r: 'unreachable', ...outcome(failure) };
  const hint = 'let the login read pg_catalog, as every PostgreSQL role may by default';
  return { r: 'refused', why: 'permission', hint, ...outcome(failure) };
}
