import type { ChosenDriver } from './driver.ts';
import { MysqlRotator } from './mysql/rotator.ts';
import { accountText, maxLength } from './mysql/sql.ts';
import { alphabet, trustIn } from './portable.ts';

/** MySQL from 8.0.21 and MariaDB from 10.4; which one it is, the server says (protocol §3.6). */
export const mysql: ChosenDriver = {
  machine: 'chosen',
  type: 'mysql',
  constraints: (target) => ({ alphabet, maxLength: maxLength(target) }),
  overlap: (account) => (account.usernames.length === 2 ? 'alternate' : 'dual'),
  binding: ({ host, port, tls }, account) => ({
    type: 'mysql',
    host,
    port,
    account: account.usernames
      .map((username) => accountText({ username, host: account.host ?? '%' }))
      .join('|'),
    tls: trustIn(tls),
  }),
  rotator: (job) => new MysqlRotator(job),
};
