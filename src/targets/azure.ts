import { bindingOf } from './azure/account.ts';
import { ApplicationSecrets } from './azure/application.ts';
import { applicationRoles, missingForApplication } from './azure/permissions.ts';
import { EntraPassword, maxLength } from './azure/user.ts';
import type { ChosenDriver } from './driver.ts';
import type { IssuedDriver } from './issued.ts';
import { alphabet } from './portable.ts';

/** Client secrets of applications (protocol §4.3). */
export const application: IssuedDriver = {
  machine: 'issued',
  type: 'azure',
  handleField: 'keyId',
  limit: 2,
  marks: true,
  disables: false,
  binding: (target, { usernames }) => bindingOf('azure', target, usernames[0]),
  rotator: (job) => new ApplicationSecrets(job),
  leastPrivileges: (mode, _, usernames) =>
    `${applicationRoles[0]} of Microsoft Graph, and ${mode === 'user' ? 'each application an owner of itself' : `its login an owner of ${usernames.join(', ')}`}; or ${applicationRoles[1]}`,
  missingPrivileges: missingForApplication,
};

/** Passwords of Entra users (protocol §3.8). */
export const user: ChosenDriver = {
  machine: 'chosen',
  type: 'azure',
  constraints: () => ({
    alphabet,
    maxLength,
  }),
  overlap: () => 'none',
  binding: (target, { usernames }) => bindingOf('azure', target, usernames[0]),
  rotator: (job) => new EntraPassword(job),
};
