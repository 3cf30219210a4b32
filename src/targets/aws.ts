import { accountOf } from './aws/account.ts';
import { missingPermissions } from './aws/permissions.ts';
import { policyFor, policyToAssume } from './aws/policy.ts';
import { AwsRotator } from './aws/rotator.ts';
import type { IssuedDriver } from './issued.ts';

/** Access keys of IAM users (protocol §4.2). */
export const aws: IssuedDriver = {
  machine: 'issued',
  type: 'aws',
  handleField: 'accessKeyId',
  limit: 2,
  binding: (target, account) => ({
    type: 'aws',
    host: target.host,
    port: target.port,
    account: `${accountOf(target).accountId}/${account.usernames[0]}`,
    tls: target.tls.mode === 'disable' ? 'disabled' : 'system',
  }),
  rotator: (job) => new AwsRotator(job),
  leastPrivileges: (mode, target, usernames) =>
    [policyFor(mode, target, usernames), ...(mode === 'target' ? [policyToAssume(target)] : [])]
      .flatMap((policy) => (policy === null ? [] : [JSON.stringify(policy)]))
      .join(' and, for whoever assumes the role, '),
  missingPrivileges: missingPermissions,
};
