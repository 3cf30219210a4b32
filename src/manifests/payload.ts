/**
 * `payload` of a custom rotator. What is current is put into the values of its JSON, after parsing: a password can
 * never end a string or become a key (threat A9).
 */

const placeholder = /\$\{([^}]*)\}/g;

/** What `${current_password}` and `${current.FIELD}` may name. */
export const currentFields = ['password', 'username', 'id'] as const;
export type CurrentField = (typeof currentFields)[number];

const fieldOf = (name: string): CurrentField | null =>
  name === 'current_password'
    ? 'password'
    : (currentFields.find((field) => name === `current.${field}`) ?? null);

export interface PayloadFacts {
  /** Fields of the current version that it mentions. */
  uses: CurrentField[];
  /** What is wrong with it, as one phrase; null when nothing is. */
  problem: string | null;
}

export function inspectPayload(payload: string): PayloadFacts {
  const named = [...payload.matchAll(placeholder)].map(([, name = '']) => name);
  const unknown = named.find((name) => fieldOf(name) === null);
  if (unknown !== undefined)
    return { uses: [], problem: `names \${${unknown}}, which is none of \${current_password}, ${known}` };
  const uses = currentFields.filter((field) => named.some((name) => fieldOf(name) === field));
  if (uses.length === 0) return { uses, problem: null };
  let read: unknown;
  try {
    read = JSON.parse(payload);
  } catch {
    return { uses, problem: 'has placeholders, so it must be JSON' };
  }
  return { uses, problem: inKey(read) ? 'has a placeholder in a key; only values may have one' : null };
}

const known = currentFields.map((field) => `\${current.${field}}`).join(', ');

function inKey(read: unknown): boolean {
  if (typeof read !== 'object' || read === null) return false;
  return Object.entries(read).some(([key, value]) => key.includes('${') || inKey(value));
}

/** The payload as it is sent. */
export function fillPayload(payload: string, values: Partial<Record<CurrentField, string>>): string {
  if (inspectPayload(payload).uses.length === 0) return payload;
  const fill = (value: unknown): unknown => {
    if (typeof value === 'string')
      return value.replace(placeholder, (all, name: string) => {
        const field = fieldOf(name);
        return field === null ? all : (values[field] ?? '');
      });
    if (Array.isArray(value)) return value.map(fill);
    if (typeof value === 'object' && value !== null)
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, fill(inner)]));
    return value;
  };
  return JSON.stringify(fill(JSON.parse(payload)));
}
