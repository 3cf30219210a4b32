/** What a login lacks, asked without changing anything: by what its own tokens say, and by what ARM says of them. */
import type { IssuedJob, Privileges } from '../issued.ts';
import type { SlotJob } from '../slots.ts';
import { azureOf } from './account.ts';
import { claimsOf, credentialOf, tokenOf } from './login.ts';
import { storageOf } from './storage.ts';

/** Application permissions of Microsoft Graph; one of a line is enough. */
export const applicationRoles = ['Application.ReadWrite.OwnedBy', 'Application.ReadWrite.All'];
export const passwordRoles = ['User-PasswordProfile.ReadWrite.All', 'User.ReadWrite.All'];

export const keyActions = [
  'Microsoft.Storage/storageAccounts/listkeys/action',
  'Microsoft.Storage/storageAccounts/regeneratekey/action',
];

/** A login by a person has no application permissions: nothing is said of it. */
export function lacks(token: string, oneOf: readonly string[]): string[] {
  const { roles } = claimsOf(token);
  return roles === undefined || roles.some((role) => oneOf.includes(role)) ? [] : oneOf.slice(0, 1);
}

export async function missingForApplication({
  target,
  actor,
  admin,
  login,
  username,
}: IssuedJob): Promise<Privileges> {
  const own = actor === 'self' && login ? { username, password: login.value } : undefined;
  const token = await tokenOf(await credentialOf({ target, own, admin }), target, 'graph');
  const { roles } = claimsOf(token);
  const missing = lacks(token, applicationRoles);
  const everywhere = roles?.includes('Application.ReadWrite.All') === true;
  return { missing, unknown: everywhere || missing.length > 0 ? [] : [`change ${username} as its owner`] };
}

interface Permission {
  actions?: string[];
  notActions?: string[];
}

export async function missingForKeys(job: SlotJob, resourceGroup: string): Promise<Privileges> {
  const { target, admin } = job;
  const { subscriptionId, name } = storageOf(job);
  const token = await tokenOf(await credentialOf({ target, own: undefined, admin }), target, 'management');
  const account = `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}/providers/Microsoft.Storage/storageAccounts/${name}`;
  const url = `${azureOf(target).endpoints.management}${account}/providers/Microsoft.Authorization/permissions?api-version=2022-04-01`;
  const answer = await fetch(url, {
    headers: { authorization: `Bearer ${token}`, accept: 'application/json' },
    signal: AbortSignal.timeout(target.timeout),
    redirect: 'error',
  });
  if (!answer.ok) return { missing: [], unknown: keyActions };
  const { value = [] } = (await answer.json()) as { value?: Permission[] };
  return { missing: keyActions.filter((action) => !value.some((one) => grants(one, action))), unknown: [] };
}

const grants = ({ actions = [], notActions = [] }: Permission, action: string): boolean =>
  actions.some((pattern) => covers(pattern, action)) &&
  !notActions.some((pattern) => covers(pattern, action));

/** `*` stands for anything, and case for nothing. */
function covers(pattern: string, action: string): boolean {
  const [first = '', ...rest] = pattern.toLowerCase().split('*');
  const wanted = action.toLowerCase();
  if (rest.length === 0) return wanted === first;
  if (!wanted.startsWith(first)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = part === '' ? wanted.length : wanted.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return rest.at(-1) === '' || at === wanted.length;
}
