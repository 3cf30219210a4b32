/**
 * Password verifiers as PostgreSQL stores them, computed here, so that a value never travels to the server
 * and never stands in its logs (RFC 5802, RFC 7677, `src/common/scram-common.c`).
 */
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify(pbkdf2);
const keyBytes = 32;
const saltBytes = 16;
const scramForm = /^SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$/;
const md5Form = /^md5[0-9a-f]{32}$/;
/** Outside ASCII the server normalises first (SASLprep), which we do not imitate. */
const ascii = /^[\x20-\x7e]*$/;

/** What `pg_authid.rolpassword` holds for `value`: safe in a quoted literal, different on every call. */
export async function scramVerifier(
  value: string,
  iterations: number,
  salt: Buffer = randomBytes(saltBytes),
): Promise<string> {
  const salted = await derive(value, salt, iterations, keyBytes, 'sha256');
  const hmac = (text: string) => createHmac('sha256', salted).update(text).digest();
  const storedKey = createHash('sha256').update(hmac('Client Key')).digest('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${hmac('Server Key').toString('base64')}`;
}

/** Whether `stored` was derived from `value`, in constant time; undefined where we cannot tell. */
export async function matches(stored: string, value: string, username: string): Promise<boolean | undefined> {
  if (!ascii.test(value)) return undefined;
  if (md5Form.test(stored)) {
    const digest = createHash('md5').update(value).update(username).digest('hex');
    return same(stored, `md5${digest}`);
  }
  const [, iterations, salt] = scramForm.exec(stored) ?? [];
  if (iterations === undefined || salt === undefined) return undefined;
  return same(stored, await scramVerifier(value, Number(iterations), Buffer.from(salt, 'base64')));
}

function same(left: string, right: string): boolean {
  const [a, b] = [Buffer.from(left), Buffer.from(right)];
  return a.length === b.length && timingSafeEqual(a, b);
}
