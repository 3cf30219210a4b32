/** One question to a rotator: signed, bound to its bytes, asked again under the same key where no answer came. */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { KeyturnError } from '../../errors.ts';
import type { About, Authenticate } from '../driver.ts';
import type { Resolve } from './addresses.ts';
import { type Endpoint, type HttpResult, post } from './http.ts';

export interface Line {
  endpoint: Endpoint;
  header: string;
  audience: string;
  accessId: string | undefined;
  itemName: string;
  authenticate: Authenticate;
  /** For tests: the resolver of names. */
  resolve?: Resolve;
}

export interface Question {
  operation: 'rotate' | 'verify' | 'revoke' | 'status';
  /** The same for every try of the same thing. */
  key: string;
  /** Of the first try; each later one counts on. */
  attempt: number;
  payload: string;
  fields: Record<string, unknown>;
  /** `unsent`: a second try that arrives could do harm. `never`: the answer of one try is what is wanted. */
  again?: 'unsent' | 'never';
}

/** More tries of one question, and what is waited before each. */
const pauses = [250, 1_000];
/** Milliseconds between two questions to a rotator that is still at it. */
const [shortestWait, usualWait, longestWait] = [200, 1_000, 10_000];
/** Answers that say nothing about what was done. */
const passing = new Set([408, 425, 429, 500, 502, 503, 504]);
const unreached = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

/** Asks at most three times, and waits for a rotator that says it is still at it, for one `timeout` more. */
export async function ask(caller: Line, question: Question): Promise<HttpResult> {
  const began = performance.now();
  let { attempt } = question;
  let sent = false;
  for (let failures = 0; ; attempt += 1) {
    const result = await once(caller, question, attempt);
    sent ||= result.r !== 'not-sent';
    const told = result.r === 'answer' && result.retryAfter !== null ? result.retryAfter * 1_000 : usualWait;
    const wait = Math.min(Math.max(told, shortestWait), longestWait);
    if (isRunning(result) && performance.now() - began + wait < caller.endpoint.timeout) {
      await sleep(wait);
      continue;
    }
    const pause = pauses[failures];
    if (
      pause === undefined ||
      !isPassing(result) ||
      question.again === 'never' ||
      (question.again === 'unsent' && sent)
    )
      return asSent(result, sent);
    await sleep(result.r === 'answer' && result.retryAfter !== null ? wait : pause);
    failures += 1;
  }
}

/** An earlier try may have arrived although the last did not. */
const asSent = (result: HttpResult, sent: boolean): HttpResult =>
  result.r === 'not-sent' && sent ? { ...result, r: 'lost' } : result;

export const isRunning = (result: HttpResult): boolean =>
  result.r === 'answer' && result.status === 409 && result.json?.code === 'in-progress';

function isPassing(result: HttpResult): boolean {
  if (result.r === 'lost') return true;
  if (result.r === 'not-sent') return unreached.has(result.code);
  return passing.has(result.status);
}

async function once(caller: Line, question: Question, attempt: number): Promise<HttpResult> {
  const { endpoint, header, audience, accessId, itemName } = caller;
  const requestId = `${question.key}.${attempt}`;
  const body = Buffer.from(
    JSON.stringify({
      payload: question.payload,
      operation: question.operation,
      item_name: itemName,
      request_id: requestId,
      attempt,
      ...question.fields,
    }),
  );
  const bodySha256 = createHash('sha256').update(body).digest('base64url');
  const about: About = { audience, accessId, itemName, requestId, url: endpoint.url, bodySha256 };
  const token = await caller.authenticate(about).catch((error: unknown) => {
    if (error instanceof KeyturnError) return error;
    throw error;
  });
  if (token instanceof KeyturnError)
    return { r: 'not-sent', code: token.code ?? 'NO_TOKEN', detail: token.what };
  return post(
    endpoint,
    body,
    { [header]: token.reveal(), 'Idempotency-Key': question.key },
    caller.resolve,
  ).finally(() => body.fill(0));
}
