import type { Clock } from '../clock.ts';
import { remainsText } from '../engine/last-resort.ts';
import type { Event, Result } from '../engine/model.ts';
import { cleanLine } from './clean.ts';
import type { Console, Live } from './console.ts';
import { resultCounts, resultWord, versioned } from './results.ts';
import { renderResultsMarkdown } from './results-markdown.ts';
import { pad, widest } from './tables.ts';

export interface Progress {
  on(event: Event): void;
  /** The last word: everything not done with its hint, the counts, the job summary. Call it once. */
  end(results: readonly Result[]): void;
}

/**
 * Makes words of the engine's events: on a terminal a line a secret in work, redrawn in place; elsewhere
 * plain lines with their time, in groups inside GitHub Actions.
 */
export function createProgress(console: Console, setup: { tty: boolean; clock: Clock }): Progress {
  const plain = createPlain(console);
  let sink: Sink | null = plain;
  let waiting: Array<[Event, Date]> = [];
  let ended = false;

  const begin = (next: Sink) => {
    sink = next;
    for (const [event, at] of waiting) next.on(event, at);
    waiting = [];
  };
  if (setup.tty) {
    sink = null;
    console.live().then(
      (live) => (ended ? live?.end() : begin(live === null ? plain : createTerminal(console, live))),
      () => (ended ? undefined : begin(plain)),
    );
  }

  return {
    on: (event) => {
      const at = setup.clock.now();
      if (sink === null) waiting.push([event, at]);
      else sink.on(event, at);
    },
    end: (results) => {
      ended = true;
      if (sink === null) begin(plain);
      sink?.end();
      for (const result of results) if (result.outcome !== 'done') sayUndone(console, result);
      console.words(resultCounts(results));
      console.summary(renderResultsMarkdown(results));
    },
  };
}

interface Sink {
  on(event: Event, at: Date): void;
  end(): void;
}

function createPlain(console: Console): Sink {
  let grouped = false;
  const stamped = (at: Date, line: string) => console.words(`${at.toISOString().slice(11, 19)}Z ${line}`);
  return {
    on: (event, at) => {
      switch (event.kind) {
        case 'step':
          stamped(at, cleanLine(`${versioned(event.secret, event.version)}: ${event.step}`));
          break;
        case 'pushed':
          if (console.actions) {
            if (grouped) console.command({ name: 'endgroup', message: '' });
            console.command({ name: 'group', message: cleanLine(pushedLine(event)) });
            grouped = true;
            for (const secret of event.secrets) console.words(cleanLine(`  ${secret}`));
          } else {
            stamped(at, cleanLine(pushedLine(event)));
          }
          break;
        case 'done':
          stamped(at, cleanLine(doneLine(event.result)));
          break;
        case 'note':
          sayNote(console, event, (line) => stamped(at, line));
          break;
        case 'last-resort':
          for (const line of remainsText(event)) console.words(line);
          break;
      }
    },
    end: () => {
      if (grouped) console.command({ name: 'endgroup', message: '' });
      grouped = false;
    },
  };
}

function createTerminal(console: Console, live: Live): Sink {
  const inWork = new Map<string, { subject: string; step: string }>();
  const redraw = () => {
    const width = widest([...inWork.values()].map(({ subject }) => subject));
    live.show([...inWork.values()].map(({ subject, step }) => `  ${pad(subject, width)}   ${step}`));
  };
  return {
    on: (event) => {
      switch (event.kind) {
        case 'step':
          inWork.set(event.secret, {
            subject: cleanLine(versioned(event.secret, event.version)),
            step: event.step,
          });
          redraw();
          break;
        case 'pushed':
          console.words(cleanLine(pushedLine(event)));
          break;
        case 'done':
          inWork.delete(event.result.secret);
          redraw();
          console.words(cleanLine(doneLine(event.result)));
          break;
        case 'note':
          sayNote(console, event, (line) => console.words(line));
          break;
        case 'last-resort':
          for (const line of remainsText(event)) console.words(line);
          break;
      }
    },
    end: () => live.end(),
  };
}

/** `pushed 1a2b3c4 keyturn: promote 3 secrets`. */
function pushedLine(event: Extract<Event, { kind: 'pushed' }>): string {
  return `pushed ${event.commit.slice(0, 7)} ${event.subject}`;
}

function doneLine(result: Result): string {
  const line = `${versioned(result.secret, result.version)}: ${resultWord(result)}`;
  return result.detail === '' ? line : `${line}, ${result.detail}`;
}

function sayNote(
  console: Console,
  note: Extract<Event, { kind: 'note' }>,
  inform: (line: string) => void,
): void {
  const line = cleanLine(note.secret === null ? note.text : `${note.secret}: ${note.text}`);
  if (note.level === 'info') inform(line);
  else if (console.actions) console.command({ name: 'warning', message: line });
  else console.warn(`warning: ${line}`);
}

function sayUndone(console: Console, result: Result): void {
  const lines = [
    cleanLine(`${resultWord(result)}: ${versioned(result.secret, result.version)}: ${result.detail}`),
    ...(result.hint === null ? [] : [cleanLine(`  hint: ${result.hint}`)]),
  ];
  if (result.outcome === 'skipped') {
    console.words(lines.join('\n'));
    return;
  }
  console.warn(lines.join('\n'));
  console.command({ name: 'warning', message: lines.map((line) => line.trim()).join('\n') });
}
