import { renderJson } from '../output/json.ts';
import { renderTable } from '../output/tables.ts';
import type { Pending, SecretRecord } from '../state/model.ts';
import type { SessionNote } from '../state/sessions.ts';
import { walkHistory } from '../state/walk.ts';
import { type Command, sessionIfReadable } from './context.ts';
import { findRecord, minute } from './list.ts';
import { forReader } from './show.ts';

interface Entry {
  serial: number;
  at: string;
  by: string;
  what: string;
}

/** `keyturn history NAME`: every recorded step of one secret, oldest first, from the signed journal; a reader sees its versions. */
export const history: Command<[string]> = async (context, name) => {
  const session = await sessionIfReadable(context);
  if (!session) return forReader(context, name);
  const { uid } = findRecord(session, name);
  const entries: Entry[] = [];
  let before: SecretRecord | undefined;
  for (const { serial, at, by, records } of await walkHistory(
    session.repository,
    session.ledger.tip,
    session.identity,
  )) {
    const after = records.get(uid);
    if (!after) continue;
    const what = difference(before, after);
    if (what !== '') entries.push({ serial, at, by, what });
    before = after;
  }
  if (context.json) context.console.data(renderJson(entries));
  else
    context.console.data(
      renderTable(
        ['serial', 'at', 'by', 'what'],
        entries.map((entry) => [String(entry.serial), minute(entry.at), entry.by, entry.what]),
        { color: context.console.color.data },
      ),
    );
  return 0;
};

/** Why it was claimed: of a wish or a changed token the words, elsewhere the kind. */
const said = ({ why, reason }: Pending): string =>
  (why === 'flagged' || why === 'rotate-token') && reason !== undefined ? `${why}: ${reason}` : why;

function sessionWords({ by, from, host, openedAt, endedAt, end, unused }: SessionNote): string {
  const ending = {
    left: unused === true ? 'nobody got in' : `left ${minute(endedAt ?? null)}`,
    lapsed: `no sign of life since, over ${minute(endedAt ?? null)}`,
    gone: 'its file was removed',
  };
  const how = end === undefined ? 'goes on' : ending[end];
  return `session of ${by} from ${from} on ${host} ${minute(openedAt)}: ${how}`;
}

function difference(before: SecretRecord | undefined, after: SecretRecord): string {
  const words: string[] = [];
  for (const [v, version] of Object.entries(after.versions)) {
    const was = before?.versions[v]?.stage;
    if (was === version.stage) continue;
    const why = version.stage === 'pending' && after.pending ? ` (${said(after.pending)})` : '';
    words.push(`v${v} ${version.stage}${why}`);
  }
  if (before?.pending && after.pending && before.pending.claim.id !== after.pending.claim.id)
    words.push(`v${after.pending.v} taken over, attempt ${after.pending.claim.attempt}`);
  for (const v of Object.keys(before?.versions ?? {})) if (!after.versions[v]) words.push(`v${v} pruned`);
  if (before && before.name !== after.name) words.push(`renamed from ${before.name}`);
  for (const session of after.sessions ?? []) {
    const was = before?.sessions?.find(({ id }) => id === session.id);
    if (was?.endedAt === session.endedAt && was !== undefined) continue;
    words.push(sessionWords(session));
  }
  const { lastError } = after.sched;
  if (lastError && JSON.stringify(lastError) !== JSON.stringify(before?.sched.lastError))
    words.push(`${lastError.step} failed: ${lastError.class} (${lastError.code})`);
  return words.join(', ');
}
