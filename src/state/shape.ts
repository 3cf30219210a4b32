/** Structural checks of parsed JSON, written beside the type that they check so that the compiler ties the two. */

/**
 * Where a value is wrong, e.g. `versions.7.stage`, or null when it is right. Unknown fields are wrong. The place of
 * `at` is put before that of what is in it only once something is wrong: almost nothing ever is.
 */
export type Check = (value: unknown, at: string) => string | null;

/** A check that remembers what it found right and nobody can change: records share many parts. */
const remembering = (check: Check): Check => {
  const right = new WeakSet<object>();
  return (value, at) => {
    if (typeof value !== 'object' || value === null || !isFixed(value)) return check(value, at);
    if (right.has(value)) return null;
    const wrong = check(value, at);
    if (wrong === null) right.add(value);
    return wrong;
  };
};

const isFixed = (value: object): boolean =>
  Object.isFrozen(value) &&
  Object.values(value).every((part) => typeof part !== 'object' || part === null || isFixed(part));

/** A check of a field that may be absent. */
export interface Optional {
  optional: Check;
}

/** One check for every field of `T`, `Optional` exactly where the field is. */
export type Checks<T> = { [K in keyof T]-?: Record<never, never> extends Pick<T, K> ? Optional : Check };

export const text =
  (pattern?: RegExp): Check =>
  (value, at) =>
    typeof value === 'string' && (pattern?.test(value) ?? true) ? null : at;

export const whole =
  (least: number): Check =>
  (value, at) =>
    typeof value === 'number' && Number.isSafeInteger(value) && value >= least ? null : at;

export const flag: Check = (value, at) => (typeof value === 'boolean' ? null : at);

export const oneOf =
  (...allowed: readonly string[]): Check =>
  (value, at) =>
    typeof value === 'string' && allowed.includes(value) ? null : at;

export const orNull =
  (check: Check): Check =>
  (value, at) =>
    value === null ? null : check(value, at);

export const listOf =
  (check: Check): Check =>
  (value, at) => {
    if (!Array.isArray(value)) return at;
    for (let index = 0; index < value.length; index++) {
      const wrong = check(value[index], String(index));
      if (wrong !== null) return `${at}.${wrong}`;
    }
    return null;
  };

export const mapOf = (keys: RegExp, check: Check): Check =>
  remembering((value, at) => {
    if (!isPlain(value)) return at;
    const names = Object.keys(value);
    for (const key of names) if (!keys.test(key)) return at;
    for (const key of names) {
      const wrong = check(value[key], key);
      if (wrong !== null) return `${at}.${wrong}`;
    }
    return null;
  });

export const objectOf = <T>(checks: Checks<T>): Check => {
  const fields = new Map(Object.entries<Check | Optional>(checks));
  const required = [...fields].flatMap(([key, check]) => (typeof check === 'function' ? [key] : []));
  return remembering((value, at) => {
    if (!isPlain(value)) return at;
    for (const key of Object.keys(value)) {
      const item = value[key];
      if (item === undefined) continue;
      const check = fields.get(key);
      if (check === undefined) return at;
      const wrong = (typeof check === 'function' ? check : check.optional)(item, key);
      if (wrong !== null) return `${at}.${wrong}`;
    }
    for (const key of required)
      if (!Object.hasOwn(value, key) || value[key] === undefined) return `${at}.${key}`;
    return null;
  });
};

function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
