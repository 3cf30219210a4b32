import pLimit from 'p-limit';
import { tryOnce } from '../engine/adopt.ts';
import { recordOf } from '../engine/plan.ts';
import { KeyturnError } from '../errors.ts';
import type { RotatedSecret } from '../manifests/model.ts';
import { renderJson } from '../output/json.ts';
import { renderTable } from '../output/tables.ts';
import type { Session } from '../run.ts';
import type { SecretRecord } from '../state/model.ts';
import { versionOf } from '../state/transitions.ts';
import { walkHistory } from '../state/walk.ts';
import { type Command, quietSession } from './context.ts';

interface Report {
  secret: string;
  version: number | null;
  result: string;
  detail: string;
}

/** `keyturn verify [NAME…]`: one login with every current version. Writes nothing. Exit 3 when one is not accepted. */
export const verify: Command<[string[], { history: boolean }]> = async (context, names, { history }) => {
  const session = await quietSession(context);
  if (history) return verifyHistory(context, session);
  for (const name of names)
    if (!session.desired.secrets.has(name))
      throw new KeyturnError(name, 'no such secret', { hint: 'keyturn list shows the names' });
  const secrets = [...session.desired.secrets.values()].filter(
    (s) => names.length === 0 || names.includes(s.name),
  );
  const limit = pLimit(8);
  const reports = await Promise.all(secrets.map((secret) => limit(() => check(secret, session))));
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
  if (reports.some((r) => r.result === 'drift')) return 3;
  return reports.some((r) => r.result === 'no answer') ? 75 : 0;
};

async function check(secret: RotatedSecret, session: Session): Promise<Report> {
  const { desired, ledger, world } = session;
  const record = recordOf(secret, Object.values(ledger.state.records));
  const target = desired.targets.get(secret.target);
  const report = (result: string, detail: string): Report => ({
    secret: secret.name,
    version: record?.current ?? null,
    result,
    detail,
  });
  if (!record || record.current === null || !target) return report('skipped', 'has no version yet');
  if (record.pending) return report('skipped', `v${record.pending.v} is pending; keyturn apply settles it`);
  const pause = record.sched.probeAfter;
  if (pause !== null && Date.parse(pause) > world.clock.now().getTime())
    return report('skipped', `the account may be locked; not tried before ${pause}`);
  const driver = await world.driver(target.type);
  if (
    JSON.stringify(driver.binding(target, secret.account)) !==
    JSON.stringify(bound(record, driver.binding(target, secret.account)))
  )
    return report('skipped', 'its manifest points elsewhere than it is bound to; keyturn rebind');
  const { value } = await ledger.readVersion(record, record.current);
  const { username, handle } = versionOf(record, record.current);
  const probe = await tryOnce(driver, target, secret, record.uid, record.current, username, value, handle);
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

/** The recorded binding with the keys in the order of `like`, to compare. */
const bound = (record: SecretRecord, like: SecretRecord['binding']): SecretRecord['binding'] =>
  Object.fromEntries(
    Object.keys(like).map((key) => [key, record.binding[key as keyof typeof like]]),
  ) as unknown as typeof like;

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
