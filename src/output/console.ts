/** The only writer to stdout and stderr. stdout is data, stderr is words. */
import { appendFileSync } from 'node:fs';
import { cleanLine, cleanStyledText, cleanText } from './clean.ts';
import { renderMask, renderWorkflowCommand, type WorkflowCommand } from './workflow-commands.ts';

export interface Live {
  /** Replaces the lines shown at the bottom of the terminal. */
  show(lines: readonly string[]): void;
  /** Takes them away; nothing is left of them. */
  end(): void;
}

export interface Console {
  /** Whether the renderers' output may carry colours. */
  readonly color: { readonly data: boolean; readonly words: boolean };
  /** The runner of GitHub Actions reads along. */
  readonly actions: boolean;
  /** To stdout: redacted, cleaned, ended by a newline. */
  data(text: string): void;
  /** To stderr, unless `quiet`. */
  words(text: string): void;
  /** To stderr, always. */
  warn(text: string): void;
  /** To stdout, exactly these bytes: the one way out for a secret value. For `get` alone. */
  value(text: string): void;
  /** For the runner; nothing outside GitHub Actions, no groups when `quiet`. */
  command(command: WorkflowCommand): void;
  /** Has the runner hide a value in everything that the job says from now on; nothing outside GitHub Actions. */
  mask(value: string): void;
  /** Appended to the job summary; nothing outside GitHub Actions. */
  summary(markdown: string): void;
  /** Lines that are redrawn in place; null where stderr is no terminal, or words are not wanted there. */
  live(): Promise<Live | null>;
}

type Stream = NodeJS.WritableStream & { isTTY?: boolean };
type Environment = Readonly<Record<string, string | undefined>>;

/** A console on these streams. `quiet` silences words, `json` keeps colours out of the data. */
export function createConsole(setup: {
  stdout: Stream;
  stderr: Stream;
  env: Environment;
  quiet: boolean;
  json: boolean;
}): Console {
  const { stdout, stderr, env, quiet, json } = setup;
  const actions = env.GITHUB_ACTIONS === 'true';
  const color = { data: !json && mayColor(stdout, env), words: mayColor(stderr, env) };
  let frame: { erase(): void; draw(): void } | null = null;
  for (const stream of new Set([stdout, stderr])) stream.on('error', forgiveClosedPipe);

  const write = (stream: Stream, text: string) => {
    frame?.erase();
    stream.write(text);
    frame?.draw();
  };
  const say = (stream: Stream, styled: boolean, text: string) => {
    const clean = styled ? cleanStyledText(text) : cleanText(text);
    write(stream, ended(actions ? withoutCommands(clean) : clean));
  };

  return {
    color,
    actions,
    data: (text) => say(stdout, color.data, text),
    words: (text) => {
      if (!quiet) say(stderr, color.words, text);
    },
    warn: (text) => say(stderr, color.words, text),
    value: (text) => write(stdout, text),
    command: (command) => {
      const grouping = command.name === 'group' || command.name === 'endgroup';
      if (actions && !(quiet && grouping)) write(stderr, ended(renderWorkflowCommand(command)));
    },
    mask: (value) => {
      if (actions) write(stderr, renderMask(value));
    },
    summary: (markdown) => {
      const file = env.GITHUB_STEP_SUMMARY;
      if (!actions || file === undefined || file === '') return;
      try {
        appendFileSync(file, ended(cleanText(markdown)));
      } catch (error) {
        // The work is done and its results are in the log: a missing summary must not fail the job.
        say(stderr, false, `warning: job summary: cannot be written (${codeOf(error)})`);
      }
    },
    live: async () => {
      if (quiet || json || actions || stderr.isTTY !== true || env.TERM === 'dumb') return null;
      const { createLogUpdate } = await import('log-update');
      // Hiding the cursor would bring signal handlers that compete with the finish-the-step one.
      const render = createLogUpdate(stderr, { showCursor: true });
      let text = '';
      frame = {
        erase: () => render.clear(),
        draw: () => {
          if (text !== '') render(text);
        },
      };
      return {
        show: (lines) => {
          text = lines.map((line) => (color.words ? cleanStyledText(line) : cleanLine(line))).join('\n');
          if (text === '') render.clear();
          else render(text);
        },
        end: () => {
          frame = null;
          render.clear();
        },
      };
    },
  };
}

/** `NO_COLOR` beats `FORCE_COLOR` beats what the stream is; an empty variable says nothing. */
function mayColor(stream: Stream, env: Environment): boolean {
  if (env.NO_COLOR) return false;
  const force = env.FORCE_COLOR;
  if (force) return force !== '0' && force !== 'false';
  return stream.isTTY === true && env.TERM !== 'dumb';
}

/** The runner obeys `::name::` at the start of a line and `##[name]` anywhere: only `command` may say them. */
function withoutCommands(text: string): string {
  return text.replaceAll(/^([^\S\n]*)::/gmu, '$1: :').replaceAll('##[', '## [');
}

function ended(text: string): string {
  return text.endsWith('\n') ? text : `${text}\n`;
}

/** `keyturn list | head`: whoever read has seen enough, and an apply goes on all the same. */
function forgiveClosedPipe(error: unknown): void {
  if (codeOf(error) !== 'EPIPE') throw error;
}

function codeOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : 'no code';
}
