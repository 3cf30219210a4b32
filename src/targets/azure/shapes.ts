/** Answers of Graph and ARM as they must look before anything is done with them. What looks otherwise is no answer. */
import type { IssuedKey } from '../issued.ts';

/** For `classify`, as any answer that does not say what happened. */
class Malformed extends Error {
  override readonly name = 'MALFORMED';
}

function demand(holds: boolean): asserts holds {
  if (!holds) throw new Malformed('an answer has another shape than it should');
}

/** Ids become parts of paths, handles of records, and words to people. */
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;
/** 64 bytes in base64; some clouds may have others. */
const key = /^[A-Za-z0-9+/]{40,256}={0,2}$/;
const group = /^[\p{L}\p{N}_.()-]{1,90}$/u;

type Fields = Record<string, unknown>;

function fieldsOf(answer: unknown): Fields {
  demand(typeof answer === 'object' && answer !== null && !Array.isArray(answer));
  return answer as Fields;
}

const isId = (value: unknown): value is string => typeof value === 'string' && uuid.test(value);
const isTime = (value: unknown): value is string =>
  typeof value === 'string' && time.test(value) && !Number.isNaN(Date.parse(value));
const isSame = (value: unknown, wanted: string): boolean =>
  typeof value === 'string' && value.toLowerCase() === wanted.toLowerCase();

/** Null where the answer leaves it out. */
function timeOf(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  demand(isTime(value));
  return value;
}

export interface Application {
  id: string;
  secrets: IssuedKey[];
}

/** That application and no other. */
export function applicationIn(answer: unknown, appId: string): Application {
  const { id, appId: whose, passwordCredentials } = fieldsOf(answer);
  demand(isId(id) && isSame(whose, appId) && Array.isArray(passwordCredentials));
  return { id, secrets: passwordCredentials.map(keyOf) };
}

/** Undefined where the answer says that there is none. */
export function foundIn(answer: unknown, appId: string): Application | undefined {
  const { value } = fieldsOf(answer);
  demand(Array.isArray(value));
  return value.length === 0 ? undefined : applicationIn(value[0], appId);
}

function keyOf(credential: unknown): IssuedKey {
  const { keyId, displayName, startDateTime, endDateTime } = fieldsOf(credential);
  demand(isId(keyId) && (typeof displayName === 'string' || (displayName ?? null) === null));
  const end = timeOf(endDateTime);
  const [, uid, claim] = /^keyturn\/([^/]+)\/([^/]+)\/\d+$/.exec(String(displayName ?? '')) ?? [];
  return {
    handle: keyId,
    createdAt: iso(timeOf(startDateTime) ?? '1970-01-01T00:00:00Z'),
    active: true,
    ...(end === null ? {} : { expiresAt: iso(end) }),
    ...(uid === undefined || claim === undefined ? {} : { madeFor: uid, claim }),
  };
}

const iso = (at: string): string => new Date(at).toISOString();

/** A secret that was made; undefined where the answer does not hold one. Its end may be missing. */
export function secretIn(
  answer: unknown,
): { keyId: string; secretText: string; expiresAt?: string } | undefined {
  if (typeof answer !== 'object' || answer === null) return undefined;
  const { keyId, secretText, endDateTime } = answer as Fields;
  if (!isId(keyId) || typeof secretText !== 'string' || !/^[\x21-\x7e]{8,512}$/.test(secretText))
    return undefined;
  return { keyId, secretText, ...(isTime(endDateTime) ? { expiresAt: iso(endDateTime) } : {}) };
}

export interface User {
  enabled: boolean;
  synchronised: boolean;
  /** ISO time of the last change of the password. */
  changed: string | null;
}

/** That user and no other, whom `username` names by principal name or by id. */
export function userIn(answer: unknown, username: string): User {
  const { id, userPrincipalName, accountEnabled, onPremisesSyncEnabled, lastPasswordChangeDateTime } =
    fieldsOf(answer);
  demand(isSame(id, username) || isSame(userPrincipalName, username));
  for (const flag of [accountEnabled, onPremisesSyncEnabled])
    demand(typeof flag === 'boolean' || (flag ?? null) === null);
  return {
    enabled: accountEnabled === true,
    synchronised: onPremisesSyncEnabled === true,
    changed: timeOf(lastPasswordChangeDateTime),
  };
}

export interface StorageKey {
  keyName: string;
  value: string;
  createdAt: string | null;
}

/** Of `listKeys`, whose dates the SDK has read. */
export function keysIn(answer: unknown): StorageKey[] {
  const { keys } = fieldsOf(answer);
  demand(Array.isArray(keys));
  const found = keys.map((each): StorageKey => {
    const { keyName, value, creationTime } = fieldsOf(each);
    demand(typeof keyName === 'string' && typeof value === 'string' && key.test(value));
    demand(creationTime === undefined || creationTime === null || creationTime instanceof Date);
    return { keyName, value, createdAt: creationTime?.toISOString() ?? null };
  });
  // one value in two slots would end in both
  for (const each of [found.map(({ value }) => value), found.map(({ keyName }) => keyName)])
    demand(new Set(each).size === each.length);
  return found;
}

/** From the id of a resource. */
export function groupIn(id: unknown): string {
  const [, name = ''] = /\/resourceGroups\/([^/]+)\//i.exec(typeof id === 'string' ? id : '') ?? [];
  demand(group.test(name));
  return name;
}
