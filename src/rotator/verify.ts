/** A rotator's front door: who asks, for what, and was it answered before? */
import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Answers } from './answers.ts';
import { checkToken, sameName, type TokenRules } from './token.ts';
import { parseRequest, type Reply, type RotatorRequest, refusal } from './wire.ts';

export interface Incoming {
  method: string;
  /** Names in lower case, as node:http gives them. */
  headers: IncomingHttpHeaders;
  /** As it arrived: the token is bound to these bytes. */
  body: Uint8Array;
}

export interface RotatorRules extends TokenRules {
  answers: Answers;
  /** The secrets that this rotator serves; without them it serves every one that the token may name. */
  itemNames?: readonly string[];
  /** Header with the token; default `KeyturnCreds`. */
  header?: string;
}

export type Verdict =
  /**
   * Do it. `remember` keeps the answer for whoever asks again: call it in the transaction that changes the password,
   * or right after; with a store that answers at once it does so itself. `release` lets the next try in where the
   * work failed.
   */
  | {
      r: 'new';
      request: RotatorRequest;
      remember: (reply: Reply) => Reply | Promise<Reply>;
      release: () => void;
    }
  /** It was done before, or is being done: send this. */
  | { r: 'answered' | 'running'; reply: Reply }
  /** Not from somebody whom we trust, or not to be understood: send this; `why` is for the log. */
  | { r: 'refused'; why: string; reply: Reply };

/** Keys on which work goes on, by store. */
const running = new WeakMap<Answers, Set<string>>();

export async function verifyRequest(
  { method, headers, body }: Incoming,
  rules: RotatorRules,
): Promise<Verdict> {
  const token = one(headers, rules.header ?? 'KeyturnCreds');
  if (token === undefined) return refused(401, 'no-token');
  if (method !== 'POST') return refused(405, 'wrong-method');
  const request = parseRequest(body);
  if (typeof request === 'string') return refused(400, request);
  const trusted = await checkToken(
    { token, itemName: request.item_name, requestId: request.request_id, method, body },
    rules,
  );
  if (trusted.r === 'refused') return refused(401, trusted.why);
  if (rules.itemNames?.some((name) => sameName(request.item_name, name)) === false)
    return refused(403, 'unknown-item');
  const key = one(headers, 'Idempotency-Key');
  // the header is not signed, the request id is
  if (key === undefined || request.request_id !== `${key}.${request.attempt}`)
    return refused(400, 'wrong-idempotency-key');
  const asking = request.operation === 'verify' || request.operation === 'status';
  if (asking) return { r: 'new', request, remember: (reply) => reply, release: () => undefined };
  return admit(key, request, rules.answers);
}

async function admit(key: string, request: RotatorRequest, answers: Answers): Promise<Verdict> {
  const busy = running.get(answers) ?? new Set();
  running.set(answers, busy);
  if (busy.has(key)) return { r: 'running', reply: { status: 409, body: { code: 'in-progress' } } };
  busy.add(key);
  const release = (): void => {
    busy.delete(key);
  };
  try {
    const fingerprint = fingerprintOf(request);
    const known = await answers.read(key);
    if (known === undefined)
      return {
        r: 'new',
        request,
        remember: (reply) => {
          const written = answers.write(key, { reply, fingerprint });
          return written === undefined ? reply : written.then(() => reply);
        },
        release,
      };
    release();
    return known.fingerprint === fingerprint
      ? { r: 'answered', reply: known.reply }
      : refused(422, 'other-request');
  } catch (error) {
    release();
    throw error;
  }
}

const refused = (status: number, why: string): Verdict => ({
  r: 'refused',
  why,
  // whoever is not trusted learns no more than that
  reply: refusal(status, status === 401 ? 'unauthorized' : why),
});

function one(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name.toLowerCase()];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** What is asked for, whichever try it is; a digest, since there are passwords in it. */
function fingerprintOf(request: RotatorRequest): string {
  const { request_id: _, attempt: __, ...asked } = request;
  const sorted = Object.entries(asked).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256').update(JSON.stringify(sorted)).digest('base64url');
}
