import type { ChosenDriver } from './driver.ts';
import { alphabet, trustIn } from './portable.ts';
import { createRotator } from './web/rotator.ts';

const maxLength = 1024;

/** Any service behind an https endpoint that knows how to rotate (protocol §5). */
export const web: ChosenDriver = {
  machine: 'chosen',
  type: 'web',
  constraints: () => ({ alphabet, maxLength }),
  overlap: (account, _, custom) => {
    if (account.usernames.length === 2) return 'alternate';
    return custom?.operations.includes('revoke') === true ? 'dual' : 'none';
  },
  // the whole url: another path is another rotator, and would be sent the value (threat A8)
  binding: ({ host, port, tls, web: at }, account) => ({
    type: 'web',
    host: `${host}${at?.path ?? ''}`,
    port,
    account: account.usernames.join('|'),
    tls: trustIn(tls),
  }),
  rotator: (job) => createRotator(job, maxLength),
};
