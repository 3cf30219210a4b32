/** Shorter values would blank out ordinary words; the password policy never makes one. */
const shortest = 5;
/** Of a value with several lines (a key, a certificate) each at least this long is kept back by itself too. */
const shortestLine = 16;
/** Tells the kind of a key, not the key. */
const boundary = /^-----(BEGIN|END) [A-Z0-9 ]+-----$/;

/** What must not get out, by its first `shortest` characters: one look-up a place, however many values there are. */
const known = new Map<string, string[]>();

/** Whether a value may begin with these characters: for nearly every place of a text, which is then not looked up. */
const beginnings = new Uint8Array(1 << 16);

const listeners = new Set<(plaintext: string) => void>();

/** Calls back with every value that the redactor learns from now on: for the runner of GitHub Actions, which masks it. */
export function onConceal(listen: (plaintext: string) => void): void {
  listeners.add(listen);
}

/** Teaches the process-wide redactor a value and its long lines, with their base64, hex, URL and JSON forms. */
export function conceal(plaintext: string): void {
  if (plaintext.length < shortest) return;
  for (const listen of listeners) listen(plaintext);
  const lines = plaintext
    .split(/\r?\n/)
    .filter((line) => line.length >= shortestLine && !boundary.test(line) && line !== plaintext);
  for (const form of [plaintext, ...lines].flatMap(forms)) {
    const start = form.slice(0, shortest);
    beginnings[traceAt(form, 0)] = 1;
    const alike = known.get(start) ?? [];
    if (!alike.includes(form))
      known.set(
        start,
        [...alike, form].sort((a, b) => b.length - a.length),
      );
  }
}

/** `text` with every known value replaced by `[secret]`. Every line that leaves the process goes through it. */
export function redact(text: string): string {
  let clean = '';
  let end = 0;
  for (let at = 0; at <= text.length - shortest; at += 1) {
    if (beginnings[traceAt(text, at)] === 0) continue;
    const found = known.get(text.slice(at, at + shortest))?.find((form) => text.startsWith(form, at));
    if (found === undefined) continue;
    // One that begins inside another is part of the same stretch, whose end is the later of both.
    if (at >= end) clean += `${text.slice(end, at)}[secret]`;
    end = Math.max(end, at + found.length);
  }
  return clean + text.slice(end);
}

/** A number below `beginnings.length` for the `shortest` characters there. */
function traceAt(text: string, at: number): number {
  let trace = 0;
  for (let index = at; index < at + shortest; index += 1)
    trace = (trace * 37 + text.charCodeAt(index)) & (beginnings.length - 1);
  return trace;
}

function forms(plaintext: string): string[] {
  const bytes = Buffer.from(plaintext);
  return [
    plaintext,
    bytes.toString('base64'),
    bytes.toString('base64url'),
    bytes.toString('hex'),
    // Half a surrogate pair has no URL form.
    encodeURIComponent(plaintext.toWellFormed()),
    JSON.stringify(plaintext).slice(1, -1),
  ];
}
