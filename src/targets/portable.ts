/** What kinds of targets share: symbols that every one takes, and how the trust in a server is written down. */
import { createHash } from 'node:crypto';
import type { Tls } from '../manifests/model.ts';

/**
 * Letters, digits and the symbols that need no escaping in a statement under any `sql_mode`, and survive DSNs,
 * shells and `.pgpass` with the least doubt (protocol §3.6).
 */
export const alphabet =
  'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%()*+,-./:;<=>?@[]^_{}~';

/** Whether a value is made of the alphabet, and neither empty nor longer than `maxLength`. */
export const isPortable = (value: string, maxLength: number): boolean =>
  value.length > 0 && value.length <= maxLength && [...value].every((symbol) => alphabet.includes(symbol));

/** The `tls` of a binding: `disabled`, `system`, or the digest of the authority that the manifest names. */
export function trustIn({ mode, ca }: Tls): string {
  if (mode === 'disable') return 'disabled';
  return ca === undefined ? 'system' : `sha256:${createHash('sha256').update(ca).digest('hex')}`;
}
