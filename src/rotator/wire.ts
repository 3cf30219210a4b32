/** What keyturn sends to a rotator and gets back (schemas/rotator.openapi.json). Plain data, no dependency. */

export const operations = ['rotate', 'verify', 'revoke', 'status'] as const;
export type Operation = (typeof operations)[number];

/** Bytes of a request or an answer; more is refused. */
export const largestBody = 64 * 1024;

export interface RotatorRequest {
  operation: Operation;
  /** The manifest's `payload`. */
  payload: string;
  /** Name of the rotated secret, with a leading slash. */
  item_name: string;
  /** `<idempotency key>.<attempt>`. */
  request_id: string;
  attempt: number;
  /** The account, where the manifest names one. */
  username?: string;
  /** `rotate`, unless the rotator makes the value: set exactly this one. */
  proposed_password?: string;
  /** `rotate`: the former password must go on working until it is revoked. */
  retain?: boolean;
  /** `rotate`: what the value must look like where the rotator makes it. */
  password_policy?: {
    length: number;
    lower: boolean;
    upper: boolean;
    digits: boolean;
    symbols: boolean;
    exclude?: string;
  };
  /** `verify`: does this log in? `revoke`: it shall not any more. */
  password?: string;
  /** `revoke`: the name under which the value was issued, where the rotator gave one. */
  id?: string;
  /** `status`: the idempotency key that is asked about. */
  operation_id?: string;
}

export interface Reply {
  status: number;
  body: Record<string, unknown>;
}

/** Nothing was changed: keyturn may go on with what it had. */
export const refusal = (status: number, code: string): Reply => ({ status, body: { applied: false, code } });

/** The request in these bytes, or what is wrong with them in a word. */
export function parseRequest(body: Uint8Array): RotatorRequest | string {
  if (body.length > largestBody) return 'too-big';
  let read: unknown;
  try {
    read = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    return 'not-json';
  }
  if (typeof read !== 'object' || read === null || Array.isArray(read)) return 'not-an-object';
  const given = read as Record<string, unknown>;
  for (const key of ['payload', 'item_name', 'request_id'] as const)
    if (typeof given[key] !== 'string') return `no-${key}`;
  for (const key of ['username', 'proposed_password', 'password', 'id', 'operation_id'] as const)
    if (given[key] !== undefined && typeof given[key] !== 'string') return `bad-${key}`;
  if (!operations.some((operation) => operation === given.operation)) return 'unknown-operation';
  if (!Number.isSafeInteger(given.attempt)) return 'no-attempt';
  if (given.operation === 'verify' && given.password === undefined) return 'no-password';
  if (given.operation === 'status' && given.operation_id === undefined) return 'no-operation_id';
  return read as RotatorRequest;
}
