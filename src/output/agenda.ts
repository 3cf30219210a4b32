/** The calendar of `plan --days N` for people. */
import type { Entry } from '../engine/agenda.ts';
import { inert, tableHead, tableRow } from './markdown.ts';
import { renderTable } from './tables.ts';

const header = ['when', 'there', 'secret', 'version', 'notes'];

/** One line a rotation; no newline at the end. */
export function renderAgendaText(
  entries: readonly Entry[],
  days: number,
  options: { color: boolean },
): string {
  if (entries.length === 0) return nothing(days);
  return renderTable(header, entries.map(cells), options);
}

export function renderAgendaMarkdown(entries: readonly Entry[], days: number): string {
  if (entries.length === 0) return `${nothing(days)}\n`;
  return `${[tableHead(header), ...entries.map((entry) => tableRow(cells(entry).map(inert)))].join('\n')}\n`;
}

const mostShown = 20;

/** When each secret rotates next, for a job summary: the first ones, and how many more there are. */
export function renderNextMarkdown(next: readonly Pick<Entry, 'at' | 'timezone' | 'secret'>[]): string {
  const rows = next.slice(0, mostShown).map(({ at, timezone, secret }) => {
    const cells = [secret, utc(at), localTime(at, timezone)];
    return tableRow(cells.map(inert));
  });
  const more = next.length - rows.length;
  return [
    '### Next rotations\n',
    ...(rows.length === 0
      ? ['nothing rotates by its schedule']
      : [tableHead(['secret', 'when', 'there']), ...rows]),
    ...(more > 0 ? [`\n_${more} more: \`keyturn list\` has them all._`] : []),
  ].join('\n');
}

const nothing = (days: number): string =>
  `nothing rotates by its schedule within ${days === 1 ? 'a day' : `${days} days`}`;

function cells({ at, timezone, secret, version, notes }: Entry): string[] {
  return [utc(at), localTime(at, timezone), secret, `v${version}`, notes.join('; ')];
}

const utc = (at: string): string => `${at.slice(0, 16).replace('T', ' ')}Z`;

/** `Sun 03:00 Europe/Berlin`: what the clock on the wall shows then. */
function localTime(at: string, timezone: string): string {
  const shown = new Intl.DateTimeFormat('en-GB', {
    timeZone: timezone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).format(new Date(at));
  return `${shown.replace(',', '')} ${timezone}`;
}
