/** What a tenant holds, as the doubles of Entra, Graph and ARM see it. */
import { randomBytes, randomUUID } from 'node:crypto';

export interface ApplicationSecret {
  keyId: string;
  displayName: string | null;
  secretText: string;
  startDateTime: string;
  endDateTime: string;
  /** Token requests with it that are still refused, as after every new secret. */
  refusals: boolean[];
  /** Reads of the application that still lack it. */
  hiddenFor: number;
}

export interface Application {
  id: string;
  appId: string;
  displayName: string;
  secrets: ApplicationSecret[];
  /** Graph application permissions that an administrator granted. */
  roles: string[];
  /** ARM actions that it may do on every storage account. */
  actions: string[];
  /** `appId`s that own it, for permissions over owned applications. */
  owners: string[];
  /** Subjects of GitHub's tokens that may act as it. */
  subjects: string[];
  /** Base64url thumbprints (SHA-1) of certificates that may act as it, with their PEM. */
  certificates: { thumbprint: string; pem: string }[];
  publicClient: boolean;
}

export interface User {
  id: string;
  userPrincipalName: string;
  password: string;
  lastPasswordChangeDateTime: string;
  onPremisesSyncEnabled: boolean | null;
  accountEnabled: boolean;
  /** AADSTS code that a right password is answered with, e.g. 50076 for a second factor. */
  afterPassword: number | null;
  forceChange: boolean;
  /** Reads that still show the former time of change. */
  staleFor: number;
  formerChange: string;
}

export interface StorageKey {
  keyName: string;
  value: string;
  creationTime: string;
}

export interface StorageAccount {
  subscriptionId: string;
  resourceGroup: string;
  name: string;
  keys: StorageKey[];
}

export interface Directory {
  tenantId: string;
  applications: Application[];
  users: User[];
  accounts: StorageAccount[];
}

export const emptyDirectory = (): Directory => ({
  tenantId: randomUUID(),
  applications: [],
  users: [],
  accounts: [],
});

const year = 365 * 86_400_000;

/** Graph writes whole seconds in `startDateTime`, and keeps seven digits elsewhere. */
export const seconds = (date: Date): string => `${date.toISOString().slice(0, 19)}Z`;

export function addApplication(directory: Directory, name: string, of: Partial<Application> = {}) {
  const application: Application = {
    id: randomUUID(),
    appId: randomUUID(),
    displayName: name,
    secrets: [],
    roles: [],
    actions: [],
    owners: [],
    subjects: [],
    certificates: [],
    publicClient: false,
    ...of,
  };
  directory.applications.push(application);
  return application;
}

export function addSecret(
  application: Application,
  displayName: string | null,
  of: Partial<ApplicationSecret> = {},
) {
  const now = new Date();
  const secret: ApplicationSecret = {
    keyId: randomUUID(),
    displayName,
    // Entra's own look: 40 characters, with ~ and . and _ among them
    secretText: `${randomBytes(2).toString('hex').slice(0, 3)}8Q~${randomBytes(25).toString('base64url').slice(0, 33)}`,
    startDateTime: seconds(now),
    endDateTime: seconds(new Date(now.getTime() + 2 * year)),
    refusals: [],
    hiddenFor: 0,
    ...of,
  };
  application.secrets.push(secret);
  return secret;
}

export function addUser(directory: Directory, userPrincipalName: string, of: Partial<User> = {}) {
  const changed = new Date(Date.now() - year).toISOString();
  const user: User = {
    id: randomUUID(),
    userPrincipalName,
    password: randomBytes(12).toString('base64url'),
    lastPasswordChangeDateTime: seconds(new Date(changed)),
    onPremisesSyncEnabled: null,
    accountEnabled: true,
    afterPassword: null,
    forceChange: false,
    staleFor: 0,
    formerChange: seconds(new Date(changed)),
    ...of,
  };
  directory.users.push(user);
  return user;
}

export const newKey = (keyName: string, at = new Date()): StorageKey => ({
  keyName,
  value: randomBytes(64).toString('base64'),
  creationTime: at.toISOString().replace('Z', '0000Z'),
});

export function addStorageAccount(directory: Directory, name: string, of: Partial<StorageAccount> = {}) {
  const account: StorageAccount = {
    subscriptionId: randomUUID(),
    resourceGroup: `rg-${name}`,
    name,
    keys: [newKey('key1'), newKey('key2')],
    ...of,
  };
  directory.accounts.push(account);
  return account;
}
