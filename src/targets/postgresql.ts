import { createHash } from 'node:crypto';
import type { ChosenDriver, Target } from './driver.ts';
import { createRotator } from './postgresql/rotator.ts';

/** PostgreSQL takes any string; these also survive DSNs, shells and `.pgpass` with the least doubt (protocol §3.6). */
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%()*+,-./:;<=>?@[]^_{}~';
const maxLength = 256;

const allows = (value: string): boolean =>
  value.length > 0 && value.length <= maxLength && [...value].every((symbol) => alphabet.includes(symbol));

const trust = ({ mode, ca }: Target['tls']): string => {
  if (mode === 'disable') return 'disabled';
  return ca === undefined ? 'system' : `sha256:${createHash('sha256').update(ca).digest('hex')}`;
};

/** Roles of PostgreSQL 10 and newer. One role has one password: versions overlap only with two roles that alternate. */
export const postgresql: ChosenDriver = {
  machine: 'chosen',
  type: 'postgresql',
  constraints: () => ({ alphabet, maxLength }),
  overlap: (account) => (account.usernames.length === 2 ? 'alternate' : 'none'),
  binding: (target, account) => ({
    type: 'postgresql',
    host: target.host,
    port: target.port,
    account: account.usernames.join('|'),
    tls: trust(target.tls),
  }),
  rotator: (job) => createRotator(job, allows),
};
