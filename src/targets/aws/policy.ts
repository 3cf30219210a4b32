/** The least that AWS must allow, for `doctor`, for hints and for the README. */
import type { Target } from '../driver.ts';
import { accountOf, userArn } from './account.ts';

export const actions = [
  'iam:ListAccessKeys',
  'iam:CreateAccessKey',
  'iam:UpdateAccessKey',
  'iam:DeleteAccessKey',
  'iam:GetAccessKeyLastUsed',
] as const;

export interface Policy {
  Version: '2012-10-17';
  Statement: { Effect: 'Allow'; Action: readonly string[]; Resource: string }[];
}

/**
 * For `authenticateAs: user`, the policy of the users themselves; for `target`, that of whoever signs for the target,
 * over `usernames`. `sts:GetCallerIdentity`, which proves a key, needs no permission.
 */
export function policyFor(mode: 'user' | 'target', target: Target, usernames: readonly string[]): Policy {
  const over =
    mode === 'user'
      ? [userArn(target, '$' + '{aws:username}')]
      : usernames.map((name) => userArn(target, name));
  return {
    Version: '2012-10-17',
    Statement: over.map((Resource) => ({ Effect: 'Allow', Action: actions, Resource })),
  };
}

/** What the signer of a target with `assumeRole` needs besides: the role; the role's own policy is `policyFor`. */
export function policyToAssume(target: Target): Policy | null {
  const role = accountOf(target).assumeRole;
  return role
    ? {
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Action: ['sts:AssumeRole'], Resource: role.arn }],
      }
    : null;
}

export const allow = (action: (typeof actions)[number], target: Target, username: string): string =>
  `allow ${action} on ${userArn(target, username)}`;
