/** Requests of channels: short, without redirects, and with errors that name no address: it may be a secret. */
import { version } from '../../version.ts';

/** One attempt on one channel did not end well; `code` says how in a word. */
export class Undelivered extends Error {
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.name = 'Undelivered';
    this.code = code;
  }
}

const patience = 10_000;
/** Of an answer, in bytes. */
const largest = 1024 * 1024;

/** An answer's JSON, or null for an empty or other one. Throws `Undelivered`. */
export async function request(
  url: string,
  options: { method: 'GET' | 'POST' | 'PATCH'; headers?: Record<string, string>; body?: string },
  limit = patience,
): Promise<unknown> {
  const address = addressOf(url, ['https:', 'http:']);
  let response: Response;
  try {
    response = await fetch(address, {
      method: options.method,
      headers: {
        'user-agent': `keyturn/${version}`,
        'content-type': 'application/json; charset=utf-8',
        ...options.headers,
      },
      ...(options.body === undefined ? {} : { body: options.body }),
      redirect: 'error',
      signal: AbortSignal.timeout(limit),
    });
  } catch (error) {
    throw new Undelivered(codeOf(error));
  }
  const text = await bodyOf(response);
  if (!response.ok) throw new Undelivered(`HTTP ${response.status}`);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

/** The text of an answer; empty for one that is cut off or longer than any that is looked at. */
async function bodyOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of response.body ?? []) {
      size += chunk.length;
      // leaving the loop hangs up
      if (size > largest) return '';
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString();
  } catch {
    return '';
  }
}

/** Credentials and news do not travel in clear text, except to this machine. */
export function addressOf(text: string, schemes: readonly [safe: string, plain: string]): URL {
  const url = URL.canParse(text.trim()) ? new URL(text.trim()) : null;
  if (url === null || !schemes.includes(url.protocol)) throw new Undelivered(`no ${schemes[0]}// address`);
  if (url.protocol === schemes[1] && schemes[1] === 'http:' && !isLoopback(url))
    throw new Undelivered('no https:// address');
  return url;
}

export const isLoopback = ({ hostname }: URL): boolean =>
  hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.');

export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'failed';
  if (error.name === 'TimeoutError') return 'no answer';
  const cause = error.cause instanceof Error ? error.cause : error;
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : 'failed';
}
