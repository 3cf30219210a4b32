import picocolors from 'picocolors';
import { type ExitCode, KeyturnError, ManyErrors } from '../errors.ts';
import { cleanLine, cleanText } from './clean.ts';

/**
 * Any thrown thing as lines for stderr, no newline at the end. `debug` (`KEYTURN_DEBUG=1`) adds the stack
 * of an error that is not ours; nothing else ever shows one.
 */
export function renderError(error: unknown, options: { color: boolean; debug?: boolean }): string {
  const { red, dim } = picocolors.createColors(options.color);
  if (error instanceof ManyErrors) {
    const count = error.errors.length === 1 ? '1 error' : `${error.errors.length} errors`;
    const lines = error.errors.flatMap((one) => [
      `${cleanLine(one.subject)}: ${cleanLine(one.what)}`,
      ...(one.hint === undefined ? [] : [`  ${dim('hint:')} ${cleanLine(one.hint)}`]),
    ]);
    return [...lines, `keyturn: ${red(count)}`].join('\n');
  }
  if (error instanceof KeyturnError) {
    const line = `keyturn: ${red('error:')} ${cleanLine(error.subject)}: ${cleanLine(error.what)}`;
    return error.hint === undefined ? line : `${line}\nkeyturn: ${dim('hint:')} ${cleanLine(error.hint)}`;
  }
  const hint = options.debug
    ? 'this is a bug in keyturn, please report it with what you ran'
    : 'this is a bug in keyturn, please report it with what you ran; KEYTURN_DEBUG=1 shows where it happened';
  return [
    `keyturn: ${red('internal error:')} ${cleanLine(classOf(error))}`,
    `keyturn: ${dim('hint:')} ${hint}`,
    ...(options.debug && error instanceof Error && error.stack !== undefined ? [cleanText(error.stack)] : []),
  ].join('\n');
}

/** What the process exits with after `error`. */
export function exitCodeOf(error: unknown): ExitCode {
  return error instanceof KeyturnError || error instanceof ManyErrors ? error.exit : 1;
}

function classOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return typeof error;
  return error.constructor?.name || 'object';
}
