import type { ChosenDriver } from './driver.ts';
import { alphabet, isPortable, trustIn } from './portable.ts';
import { createRotator } from './postgresql/rotator.ts';

const maxLength = 256;

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
    tls: trustIn(target.tls),
  }),
  rotator: (job) => createRotator(job, (value) => isPortable(value, maxLength)),
};
