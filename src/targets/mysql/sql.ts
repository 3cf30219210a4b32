/** Text that goes into statements. `ALTER USER` cannot be prepared, so what may enter a literal is decided here alone. */
import type { Target } from '../driver.ts';
import { alphabet } from '../portable.ts';

/**
 * MySQL answers 1396 to more than 256 bytes (T15). Without TLS a login by `caching_sha2_password` travels
 * inside one RSA block of the server's key, 2048 bits by default: 214 bytes with the closing zero.
 */
export const maxLength = ({ tls }: Target): number => (tls.mode === 'disable' ? 213 : 256);

const allowed = new Set(alphabet);

/** Whether a new value may be sent at all. */
export const isSendable = (value: string, target: Target): boolean =>
  value.length > 0 && value.length <= maxLength(target) && [...value].every((symbol) => allowed.has(symbol));

/** A string literal. Right only after `SET SESSION sql_mode=''`, which makes the backslash an escape (T7). */
export const quote = (text: string): string =>
  `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\0', '\\0')}'`;

export interface AccountName {
  username: string;
  host: string;
}

export const accountLiteral = ({ username, host }: AccountName): string =>
  `${quote(username)}@${quote(host)}`;

/** As `CURRENT_USER()` says it. */
export const accountText = ({ username, host }: AccountName): string => `${username}@${host}`;

/** Host names have no case, user names do. */
export function isSameAccount(currentUser: string, { username, host }: AccountName): boolean {
  const at = currentUser.lastIndexOf('@');
  return (
    currentUser.slice(0, at) === username && currentUser.slice(at + 1).toLowerCase() === host.toLowerCase()
  );
}
