/** The end of a process in which something came up that nobody was waiting for. */
import type { Host } from '../host.ts';
import { createConsole } from './console.ts';
import { renderError } from './errors.ts';

/** One sentence on stderr, redacted, without a stack trace. What a run left is for the next one to settle. */
export function sayLastWords(error: unknown, { stdout, stderr, env }: Host): void {
  const out = createConsole({ stdout, stderr, env, quiet: false, json: false });
  out.warn(renderError(error, { color: out.color.words, debug: env.KEYTURN_DEBUG === '1' }));
}
