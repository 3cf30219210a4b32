/** Where an access key belongs: account, partition, user. */
import type { AwsTarget } from '../../manifests/model.ts';
import type { Target } from '../driver.ts';

export function accountOf(target: Target): AwsTarget {
  if (target.aws) return target.aws;
  throw new Error(`${target.name} is no AWS target`);
}

/** The user that an identity's ARN names, without its path; null where it is none: a role, the root. */
export const userOf = (arn: string): string | null =>
  /^arn:[^:]+:iam::\d{12}:user\/(?:.*\/)?([^/]+)$/.exec(arn)?.[1] ?? null;

export const userArn = (target: Target, username: string): string => {
  const { partition, accountId } = accountOf(target);
  return `arn:${partition}:iam::${accountId}:user/${username}`;
};
