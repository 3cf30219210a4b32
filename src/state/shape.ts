/** Structural checks of parsed JSON, written beside the type that they check so that the compiler ties the two. */

/** Where a value is wrong, e.g. `versions.7.stage`, or null when it is right. Unknown fields are wrong. */
export type Check = (value: unknown, at: string) => string | null;

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
  (value, at) =>
    Array.isArray(value)
      ? first(
          value.map((item, index) => [`${at}.${index}`, item]),
          check,
        )
      : at;

export const mapOf =
  (keys: RegExp, check: Check): Check =>
  (value, at) => {
    if (!isPlain(value)) return at;
    const strange = Object.keys(value).find((key) => !keys.test(key));
    if (strange !== undefined) return at;
    return first(
      Object.entries(value).map(([key, item]) => [`${at}.${key}`, item]),
      check,
    );
  };

export const objectOf = <T>(checks: Checks<T>): Check => {
  const fields = new Map(Object.entries<Check | Optional>(checks));
  return (value, at) => {
    if (!isPlain(value)) return at;
    const present = Object.entries(value).filter(([, item]) => item !== undefined);
    for (const [key, item] of present) {
      const check = fields.get(key);
      if (check === undefined) return at;
      const wrong = (typeof check === 'function' ? check : check.optional)(item, `${at}.${key}`);
      if (wrong !== null) return wrong;
    }
    const names = new Set(present.map(([key]) => key));
    for (const [key, check] of fields)
      if (typeof check === 'function' && !names.has(key)) return `${at}.${key}`;
    return null;
  };
};

function first(items: [at: string, value: unknown][], check: Check): string | null {
  for (const [at, value] of items) {
    const wrong = check(value, at);
    if (wrong !== null) return wrong;
  }
  return null;
}

const isPlain = (value: unknown): value is object =>
  typeof value === 'object' &&
  value !== null &&
  [Object.prototype, null].includes(Object.getPrototypeOf(value));
