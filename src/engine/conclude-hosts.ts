/** What the outcomes of several hosts mean for their one record. No effects. */
import { hostMissed, hostsOf, hostsSettled, hostTook, hostUntouched, lacking } from '../state/hosts.ts';
import type { Ledger } from '../state/ledger.ts';
import type { Health, HostRecord, SecretRecord } from '../state/model.ts';
import { hostPointers } from '../state/pointers.ts';
import type { Keep, Outcome, Verified } from './attempt.ts';
import { type Conclusion, conclude } from './conclude.ts';
import { progress } from './hosts.ts';
import type { HostsAttempt } from './hosts-attempt.ts';
import type { Action } from './model.ts';

/** Promotes once all hosts have the value, and never before; until then it says which have. */
export function concludeHosts(
  action: Action,
  attempt: HostsAttempt,
  outcomes: ReadonlyMap<string, Outcome>,
  ledger: Ledger,
  now: Date,
): Conclusion {
  const { secret, record, wanted, version } = attempt;
  let noted = record;
  const alarms: string[] = [];
  for (const [host, outcome] of outcomes) {
    if (outcome.r === 'live') {
      noted = hostTook(noted, host, { how: outcome.how, health: outcome.health });
      if (outcome.alarm !== null) alarms.push(`${host}: ${outcome.alarm}`);
    }
    if (outcome.r === 'keep')
      noted = hostMissed(noted, host, {
        ...outcome,
        sent: sentBy(outcome, hostsOf(record)[host]?.sent),
      });
    if (outcome.r === 'refused')
      noted = hostMissed(noted, host, {
        failure: { class: 'policy', code: outcome.code, step: 'set' },
        sent: 'no',
      });
  }
  for (const { host, attempt: one } of attempt.hosts)
    if (!one.replay && !outcomes.has(host)) noted = hostUntouched(noted, host);
  const whole = summary(attempt, noted, outcomes, alarms);
  const after = whole.r === 'live' ? hostsSettled : (same: SecretRecord) => same;
  const ended = conclude(action, { ...attempt, record: noted }, whole, ledger, now);
  if (ended.change?.to == null) return ended;
  const to = after(ended.change.to, wanted);
  const writes = [...ended.change.writes, ...hostPointers(secret.name, record, to)];
  const { result } = ended;
  const done = `all ${wanted.length} hosts have v${version}`;
  return {
    ...ended,
    change: { ...ended.change, from: record, to, writes },
    result: result.outcome === 'done' ? { ...result, detail: `${done}: ${result.detail}` } : result,
  };
}

/** An acknowledged SET whose proof is missing has most likely changed the host; one without an answer, who knows. */
function sentBy({ failure, left }: Keep, before: HostRecord['sent']): NonNullable<HostRecord['sent']> {
  if (left === 'unchanged') return 'no';
  if (failure.class === 'not-effective') return 'unknown';
  return failure.step === 'verify' || before === 'acknowledged' ? 'acknowledged' : 'unknown';
}

/** One outcome for the record: live where every host is, else the worst of what is in the way. */
function summary(
  { secret, wanted, version }: HostsAttempt,
  record: SecretRecord,
  outcomes: ReadonlyMap<string, Outcome>,
  alarms: readonly string[],
): Outcome {
  const all = [...outcomes];
  const lost = all.map(([, outcome]) => outcome).find((outcome) => outcome.r === 'lost');
  if (lost) return lost;
  if (lacking(record, wanted, version).length === 0)
    return {
      r: 'live',
      ...weakest(record, wanted),
      alarm: alarms.length === 0 ? null : alarms.join('; '),
    };
  for (const [host, outcome] of all)
    if (outcome.r === 'refused') return { ...outcome, detail: `${host}: ${outcome.detail}` };
  const kept = all.flatMap(([host, outcome]) => (outcome.r === 'keep' ? [{ host, outcome }] : []));
  const worst = kept.find(({ outcome }) => outcome.outcome === 'human') ?? kept[0];
  if (!worst) throw new Error(`${secret.name}: a host lacks v${version} and nothing says why`);
  const { probeAfter: _, tried: __, ...first } = worst.outcome;
  const words = kept.map(({ host, outcome }) => `${host}: ${outcome.detail}`);
  const untouched = all.length === kept.length && kept.every(({ outcome }) => outcome.left === 'unchanged');
  const have = progressWords(secret, record);
  return {
    ...first,
    left: untouched && wanted.every((host) => hostsOf(record)[host]?.v !== version) ? 'unchanged' : 'unknown',
    detail: `${have}; ${words.join('; ')}`,
  } satisfies Keep;
}

const progressWords = (secret: HostsAttempt['secret'], record: SecretRecord): string =>
  (progress(secret, record) ?? '').split('; ')[0] ?? '';

const hows: Verified['how'][] = ['acknowledged', 'witness', 'login'];
const healths: Health[] = ['unverified', 'restricted', 'ok'];

/** A value is proven as far as it is at every host. */
function weakest(record: SecretRecord, wanted: readonly string[]): { how: Verified['how']; health: Health } {
  const took = wanted.flatMap((host) => hostsOf(record)[host]?.took ?? []);
  return {
    how: hows.find((how) => took.some((one) => one.how === how)) ?? 'login',
    health: healths.find((health) => took.some((one) => one.health === health)) ?? 'ok',
  };
}
