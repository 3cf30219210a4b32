/** Commands that a GitHub Actions runner reads from the log. */
import { join } from 'node:path/posix';
import { KeyturnError, ManyErrors } from '../errors.ts';
import { cleanLine, cleanText } from './clean.ts';

export interface WorkflowCommand {
  name: 'error' | 'warning' | 'notice' | 'group' | 'endgroup';
  /** `file`, `line`, `col`, `title`. */
  properties?: Readonly<Record<string, string>>;
  message: string;
}

/** `::error file=a.yaml,line=3,col=1::what`, cleaned and escaped: always exactly one command, on one line. */
export function renderWorkflowCommand(command: WorkflowCommand): string {
  const properties = Object.entries(command.properties ?? {})
    .map(([key, value]) => `${key}=${escapeProperty(cleanLine(value))}`)
    .join(',');
  return `::${command.name}${properties === '' ? '' : ` ${properties}`}::${escapeMessage(cleanText(command.message).replaceAll('\t', ' '))}`;
}

/** `::add-mask::` of a value and of its lines: the one command that says a value, and the runner shows none of it. */
export function renderMask(value: string): string {
  const lines = value.split(/\r?\n/).filter((line) => line.length >= shortestMask);
  return [...new Set([value, ...lines])].map((one) => `::add-mask::${escapeMessage(one)}\n`).join('');
}

/** A shorter one would blank out ordinary words. */
const shortestMask = 5;

/**
 * One `error` for each thing that went wrong, at its place in the manifests where the subject names one. `folder` is
 * the project's, relative to the top of what was checked out.
 */
export function annotationsOf(error: unknown, folder = ''): WorkflowCommand[] {
  if (error instanceof ManyErrors) return error.errors.map((one) => annotationOf(one, folder));
  return error instanceof KeyturnError ? [annotationOf(error, folder)] : [];
}

const place = /^(?<file>.+?):(?<line>\d+)(?::(?<col>\d+))?(?:: (?<rest>.+))?$/u;

function annotationOf(error: KeyturnError, folder: string): WorkflowCommand {
  const { file, line, col, rest } = place.exec(error.subject)?.groups ?? {};
  const subject = file === undefined ? error.subject : rest;
  const sentence = subject === undefined ? error.what : `${subject}: ${error.what}`;
  return {
    name: 'error',
    properties: {
      ...(file === undefined ? {} : { file: join(folder, file) }),
      ...(line === undefined ? {} : { line }),
      ...(col === undefined ? {} : { col }),
    },
    message: error.hint === undefined ? sentence : `${sentence}\nhint: ${error.hint}`,
  };
}

function escapeMessage(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function escapeProperty(text: string): string {
  return escapeMessage(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}
