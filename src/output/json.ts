/** What a terminal or a CI log could act on: control and format characters, and the runner's old `##[`. */
const active = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]|(?<=#)#(?=\[)/gu;

/**
 * `value` as indented JSON, keys in the order they are in. Pure ASCII escapes stand for everything
 * invisible, so it passes the console unchanged and parses back to the same value. No newline at the end.
 */
export function renderJson(value: unknown): string {
  return JSON.stringify(value, null, 2).replaceAll(active, (character) =>
    Array.from(
      { length: character.length },
      (_, unit) => `\\u${character.charCodeAt(unit).toString(16).padStart(4, '0')}`,
    ).join(''),
  );
}
