/** Takes people's sessions from the files that they push into the signed records, and removes what has ended. */
import canonicalize from 'canonicalize';
import { type Session, sessionsSeen } from './run.ts';
import { withSessions } from './state/bookkeeping.ts';
import type { Change } from './state/ledger.ts';
import { endOf, sessionPath } from './state/sessions.ts';

/** No commit where nothing is new. Whatever does not get through is there for the next run. Never throws for a remote. */
export async function registerSessions(session: Session): Promise<void> {
  const { ledger, host } = session;
  const now = host.clock.now();
  const files = await ledger.sessions();
  const seen = await sessionsSeen(session);
  const records = Object.values(ledger.state.records);
  const changes = records.flatMap((from): Change[] => {
    const sessions = seen.get(from.name) ?? [];
    if (canonicalize(sessions) === canonicalize(from.sessions ?? [])) return [];
    return [{ uid: from.uid, name: from.name, from, to: withSessions(from, sessions), writes: [] }];
  });
  const over = files.filter((file) => endOf(file, now) !== null);
  if (changes.length + over.length === 0) return;
  const known = new Set(records.map(({ name }) => name));
  const removals = over.map(({ id, secret }) => ({
    secret,
    write: { path: sessionPath(id), bytes: null },
  }));
  // a file goes in the very push that notes its session, so that a lost change keeps it
  const carried = changes.map((change) => ({
    ...change,
    writes: removals.filter(({ secret }) => secret === change.name).map(({ write }) => write),
  }));
  const noted = new Set(changes.map(({ name }) => name));
  const loose = removals.filter(({ secret }) => !noted.has(secret) || !known.has(secret));
  const names = [...new Set([...noted, ...removals.map(({ secret }) => secret)])];
  const what = names.length === 1 ? names[0] : `${names.length} secrets`;
  await ledger.commit(
    carried,
    `keyturn: note sessions on ${what}`,
    loose.map(({ write }) => write),
    ['sessions'],
  );
}
