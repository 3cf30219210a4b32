/** One request at a double and what it says; nothing here knows Azure. */

export interface Asked {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
}

export interface Answer {
  status: number;
  body?: unknown;
  headers?: Record<string, string>;
}

/** A request that no client of ours may make: it fails the test that made it. */
export class Violation extends Error {}

export function demand(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Violation(what);
}

export function jsonOf({ headers, body }: Asked): Record<string, unknown> {
  demand(
    /^application\/json(;|$)/.test(String(headers['content-type'] ?? '')),
    'the body is not sent as JSON',
  );
  const value: unknown = JSON.parse(body.toString());
  demand(typeof value === 'object' && value !== null && !Array.isArray(value), 'the body is no object');
  return value as Record<string, unknown>;
}

/** Exactly these keys, no other. */
export function keysOf(value: unknown, keys: readonly string[], what: string): Record<string, unknown> {
  demand(typeof value === 'object' && value !== null, `${what} is no object`);
  const found = Object.keys(value).sort().join();
  demand(found === [...keys].sort().join(), `${what} has ${found}, not ${[...keys].sort().join()}`);
  return value as Record<string, unknown>;
}
