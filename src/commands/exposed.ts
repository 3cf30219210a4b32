/** What a key could ever open, from every signed segment that the branch's history holds. */
import { plainRecipient, recipientHint, recipientProblem } from '../age/age.ts';
import { fingerprint } from '../age/fingerprint.ts';
import { type ExitCode, KeyturnError } from '../errors.ts';
import { renderJson } from '../output/json.ts';
import { renderTable } from '../output/tables.ts';
import type { State } from '../state/model.ts';
import { type Walked, walkHistory } from '../state/walk.ts';
import { type Context, quietSession } from './context.ts';
import { minute } from './list.ts';

interface Exposure {
  uid: string;
  secret: string;
  version: number;
  /** ISO time from which it could be opened. */
  since: string;
  /** `current`, `retired`, …; `gone` where nothing is recorded of it any more. */
  stage: string;
  /** The target may still accept it. */
  valid: boolean;
}

/** `keyturn access --exposed RECIPIENT`: also for one that is in no manifest any more. Writes nothing. */
export async function exposed(context: Context, recipient: string): Promise<ExitCode> {
  const { console } = context;
  const session = await quietSession(context);
  const segments = await walkHistory(session.repository, session.ledger.tip, session.identity);
  const fp = fingerprintOf(recipient);
  const found = exposures(fp, segments, session.ledger.state);
  const [first] = segments;
  if (first && first.serial > 1)
    console.warn(
      `keyturn: the history that can be read here begins at serial ${first.serial}; git fetch --unshallow brings the rest`,
    );
  if (context.json) console.data(renderJson(found.map(({ uid: _, ...exposure }) => exposure)));
  else if (found.length > 0)
    console.data(
      renderTable(
        ['secret', 'version', 'since', 'now', 'still valid'],
        found.map((e) => [e.secret, `v${e.version}`, minute(e.since), e.stage, e.valid ? 'yes' : 'no']),
        { color: console.color.data },
      ),
    );
  const serials = segments.filter((segment) => segment.readers.includes(fp)).map(({ serial }) => serial);
  if (serials.length > 0)
    console.words(
      `keyturn: it could read the state, which holds no value, from serial ${Math.min(...serials)} to ${Math.max(...serials)}`,
    );
  const valid = [...new Set(found.filter((exposure) => exposure.valid).map(({ secret }) => secret))];
  console.words(
    found.length === 0
      ? 'keyturn: it could never open a value'
      : valid.length === 0
        ? 'keyturn: nothing that it could open is still valid'
        : `keyturn: still valid: if the key is lost, remove it from its roles, then keyturn rotate ${valid.join(' ')}`,
  );
  return 0;
}

function fingerprintOf(recipient: string): string {
  if (/^fp:[0-9a-f]{16}$/.test(recipient)) return recipient;
  const problem = recipientProblem(recipient);
  if (problem !== null) throw new KeyturnError('--exposed', problem, { hint: recipientHint });
  return fingerprint(plainRecipient(recipient));
}

/** Sorted by secret, then version. */
function exposures(fp: string, segments: readonly Walked[], state: State): Exposure[] {
  const found = new Map<string, Exposure>();
  for (const { at, records } of segments)
    for (const record of records.values())
      for (const [v, version] of Object.entries(record.versions)) {
        const key = `${record.uid}/${v}`;
        const knows = [...version.readers, ...(version.formerReaders ?? [])].includes(fp);
        if (!knows || found.has(key)) continue;
        const now = state.records[record.uid];
        const stage = now ? (now.versions[v]?.stage ?? 'pruned') : 'gone';
        found.set(key, {
          uid: record.uid,
          secret: now?.name ?? record.name,
          version: Number(v),
          since: at,
          stage,
          valid: ['current', 'retiring', 'pending', 'gone'].includes(stage),
        });
      }
  return [...found.values()].sort(
    (a, b) => (a.secret === b.secret ? 0 : a.secret < b.secret ? -1 : 1) || a.version - b.version,
  );
}
