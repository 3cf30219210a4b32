/** Shorter values would blank out ordinary words; the password policy never makes one. */
const shortest = 5;
const known = new Set<string>();

const forms = (plaintext: string): string[] => [
  plaintext,
  Buffer.from(plaintext).toString('base64'),
  Buffer.from(plaintext).toString('base64url'),
  Buffer.from(plaintext).toString('hex'),
  encodeURIComponent(plaintext),
  JSON.stringify(plaintext).slice(1, -1),
];

/** Teaches the process-wide redactor a value, with its base64, hex, URL and JSON forms. */
export function conceal(plaintext: string): void {
  if (plaintext.length < shortest) return;
  for (const form of forms(plaintext)) known.add(form);
}

/** `text` with every known value replaced by `[secret]`. Every line that leaves the process goes through it. */
export function redact(text: string): string {
  let clean = text;
  for (const form of known) if (clean.includes(form)) clean = clean.replaceAll(form, '[secret]');
  return clean;
}
