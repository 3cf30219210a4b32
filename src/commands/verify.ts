import pLimit from 'p-limit';
import { askCurrent } from '../engine/check.ts';
import { type ExitCode, KeyturnError } from '../errors.ts';
import type { RotatedSecret } from '../manifests/model.ts';
import { renderJson } from '../output/json.ts';
import { renderTable } from '../output/tables.ts';
import type { Session } from '../run.ts';
import { walkHistory } from '../state/walk.ts';
import { type Command, quietSession } from './context.ts';

export interface Report {
  secret: string;
  version: number | null;
  result: string;
  detail: string;
}

/** `keyturn verify [NAME…]`: one login with every current version. Writes nothing. Exit 3 when one is not accepted, or its target moved. */
export const verify: Command<[string[], { history: boolean }]> = async (context, names, { history }) => {
  const session = await quietSession(context);
  if (history) return verifyHistory(context, session);
  for (const name of names)
    if (!session.desired.secrets.has(name))
      throw new KeyturnError(name, 'no such secret', { hint: 'keyturn list shows the names' });
  const reports = await askAll(session, (name) => names.length === 0 || names.includes(name));
  const { console } = context;
  if (context.json) console.data(renderJson(reports));
  else
    console.data(
      renderTable(
        ['secret', 'version', 'result', 'detail'],
        reports.map((r) => [r.secret, r.version === null ? '-' : `v${r.version}`, r.result, r.detail]),
        { color: console.color.data },
      ),
    );
  return verdict(reports);
};

/** One login a secret, eight at a time. */
export function askAll(session: Session, wanted: (name: string) => boolean): Promise<Report[]> {
  const limit = pLimit(8);
  const secrets = [...session.desired.secrets.values()].filter(({ name }) => wanted(name));
  return Promise.all(secrets.map((secret) => limit(() => check(secret, session))));
}

/** Results that a person must look at: a value that is not accepted, or whose target is not where it was bound to. */
export const needsPerson = ({ result }: Report): boolean => result === 'drift' || result === 'moved';

/** No answer may be one the next time. */
export function verdict(reports: readonly Report[]): ExitCode {
  if (reports.some(needsPerson)) return 3;
  return reports.some((r) => r.result === 'no answer') ? 75 : 0;
}

async function check(secret: RotatedSecret, { desired, world }: Session): Promise<Report> {
  const answer = await askCurrent(secret, desired, world);
  const report = (result: string, detail: string): Report => ({
    secret: secret.name,
    version: answer.record?.current ?? null,
    result,
    detail,
  });
  if (answer.r !== 'asked') return report(answer.r, answer.detail);
  const { probe } = answer;
  switch (probe.r) {
    case 'ok':
      return report('ok', 'logged in');
    case 'ok-restricted':
      return report('restricted', probe.detail);
    case 'denied':
      return report(
        'drift',
        `${probe.detail}; keyturn reconcile ${secret.name} or keyturn adopt ${secret.name}`,
      );
    case 'blocked':
    case 'unreachable':
    case 'inconclusive':
      return report('no answer', probe.detail);
  }
}

/** Signatures and chain of every segment that the branch's history holds. Offline. */
async function verifyHistory({ console, json }: Parameters<typeof verify>[0], session: Session): Promise<0> {
  const entries = await walkHistory(session.repository, session.ledger.tip, session.identity);
  const first = entries[0];
  const last = entries.at(-1);
  if (json)
    console.data(
      renderJson({ segments: entries.length, from: first?.serial ?? null, to: last?.serial ?? null }),
    );
  else
    console.data(
      first && last
        ? `history: ${entries.length} segments, serial ${first.serial} to ${last.serial}: every signature and every link holds`
        : 'history: nothing recorded yet',
    );
  return 0;
}
