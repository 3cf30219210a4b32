import { stripVTControlCharacters } from 'node:util';
import { redact } from '../redact.ts';

/** Control characters, direction overrides, zero-width characters, Unicode line breaks. */
const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
const unprintableButLines = /(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Nearly every line, of which nothing has to go. */
const harmless = /^[ -~]*$/;

function clean(text: string, strip: (text: string) => string): string {
  const redacted = redact(text);
  if (harmless.test(redacted)) return redacted;
  const stripped = strip(redacted);
  // Stripping can put a value together that control characters had taken apart.
  return stripped === redacted ? redacted : redact(stripped);
}

/**
 * Text from outside (names, reasons, labels, errors) as one harmless line: known values are `[secret]`,
 * line breaks and tabs are spaces, terminal escapes and invisible characters are gone.
 */
export function cleanLine(text: string): string {
  return clean(text, (redacted) =>
    stripVTControlCharacters(redacted)
      .replaceAll(/\s*[\n\r\u2028\u2029]\s*|\t/gu, ' ')
      .replaceAll(unprintable, ''),
  );
}

/** Like `cleanLine`, but lines and tabs stay. */
export function cleanText(text: string): string {
  return clean(text, (redacted) =>
    stripVTControlCharacters(redacted).replaceAll('\r\n', '\n').replaceAll(unprintableButLines, ''),
  );
}

/** The colours and weights of picocolors: no background, and not the one that hides text. */
const style = new RegExp(`(${String.fromCharCode(27)}\\[(?:[0-79]|2[2-9]|3[0-79]|9[0-7])m)`, 'u');

/** Like `cleanText`, but the colours that our renderers use stay. */
export function cleanStyledText(text: string): string {
  // A split by a pattern with one group alternates between text and separator.
  const parts = redact(text).split(style);
  return redact(parts.map((part, index) => (index % 2 === 1 ? part : cleanText(part))).join(''));
}
