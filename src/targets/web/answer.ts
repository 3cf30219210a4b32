/** What a rotator's answer means (protocol §5). Whatever is not clearly a yes or a no is no answer. */
import { Secret } from '../../secret.ts';
import type { Given, Outcome, Probe, SetResult } from '../driver.ts';
import { isRunning } from './call.ts';
import type { HttpResult } from './http.ts';

export type Rotated =
  | ({ r: 'applied'; given: Given | null } & Outcome)
  | Exclude<SetResult, { r: 'applied' | 'other' }>;

type Why = Extract<SetResult, { r: 'refused' }>['why'];

const reasons: Record<string, Why> = {
  policy: 'policy',
  history: 'history',
  'bad-current': 'bad-current',
  'no-account': 'no-account',
  readonly: 'readonly',
  'too-soon': 'too-soon',
};

export function rotatedBy(result: HttpResult): Rotated {
  if (result.r === 'not-sent') return result;
  if (result.r === 'lost') return { r: 'ambiguous', code: result.code, detail: result.detail };
  const { status, json } = result;
  if (status >= 400 && status < 500 && json?.applied === false) {
    const code = wordIn(json.code);
    return {
      r: 'refused',
      why: reasons[code] ?? 'permission',
      code: `HTTP ${status}`,
      detail: `the rotator answered ${code === '' ? 'no' : code}`,
    };
  }
  if (status !== 200) return { r: 'ambiguous', ...wordsFor(result) };
  const value = json?.password ?? json?.payload;
  if (typeof value === 'string' && value !== '')
    return {
      r: 'applied',
      code: 'HTTP 200',
      detail: 'the rotator says so',
      given: { value: new Secret(value), username: textIn(json?.username), id: textIn(json?.id) },
    };
  if (json?.applied === true)
    return { r: 'applied', code: 'HTTP 200', detail: 'the rotator says so', given: null };
  return {
    r: 'ambiguous',
    code: 'BAD_ANSWER',
    detail: 'the rotator answered 200, but not whether it did it',
  };
}

export function verifiedBy(result: HttpResult): Probe {
  if (result.r !== 'answer') return { r: 'unreachable', code: result.code, detail: result.detail };
  const { status, json } = result;
  if (status === 200 && json?.valid === true)
    return { r: 'ok', code: 'HTTP 200', detail: 'the rotator says it is valid' };
  if (status === 200 && json?.valid === false) {
    const locked = json.code === 'locked' || json.code === 'blocked';
    return locked
      ? { r: 'blocked', code: 'HTTP 200', detail: 'the account is locked' }
      : { r: 'denied', code: 'HTTP 200', detail: 'the rotator says it is not valid' };
  }
  return status >= 500
    ? { r: 'unreachable', ...wordsFor(result) }
    : { r: 'inconclusive', ...wordsFor(result) };
}

export type Status = { r: 'applied'; given: Given | null } | { r: 'not-applied' } | { r: 'unknown' };

export function statusBy(result: HttpResult): Status {
  if (result.r !== 'answer' || result.status !== 200) return { r: 'unknown' };
  const { json } = result;
  if (json?.state === 'not-applied') return { r: 'not-applied' };
  if (json?.state !== 'applied') return { r: 'unknown' };
  const rotated = rotatedBy({ ...result, json: { ...json, applied: true } });
  return { r: 'applied', given: rotated.r === 'applied' ? rotated.given : null };
}

/** What an answer that is neither yes nor no looked like; nothing of it is repeated. */
export function wordsFor(result: Extract<HttpResult, { r: 'answer' }>): Outcome {
  const code = `HTTP ${result.status}`;
  if (isRunning(result)) return { code: 'IN_PROGRESS', detail: 'the rotator is still at it' };
  if (result.status >= 300 && result.status < 400)
    return { code, detail: 'the rotator answered with a redirect, which is not followed' };
  if (result.json === null)
    return { code, detail: `the rotator answered ${result.status} without a JSON object` };
  return { code, detail: `the rotator answered ${result.status}` };
}

/** A short word of theirs that may be shown. */
const wordIn = (value: unknown): string =>
  typeof value === 'string' && /^[a-z][a-z-]{0,29}$/.test(value) ? value : '';

const textIn = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' && value.length <= 256 && !/\p{Cc}/u.test(value)
    ? value
    : undefined;
