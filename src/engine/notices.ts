/**
 * What people are to be told, and when: derived from the record, the manifest and the clock, so that a run which dies
 * before it says anything leaves it to the next. PURE. Where a notice has been written its key is in the record.
 */
import { createHash } from 'node:crypto';
import type { Desired, RotatedSecret } from '../manifests/model.ts';
import { protectedBy } from '../state/bookkeeping.ts';
import type { Change } from '../state/ledger.ts';
import type { Claim, Notice, SecretRecord, State } from '../state/model.ts';
import { type Listeners, passedOver, withNotice } from '../state/outbox.ts';
import type { Action, Plan, Result } from './model.ts';
import { recordOf } from './plan.ts';
import { isOverdue } from './schedule.ts';
import { nextDue } from './why.ts';
import { inWindow, nextWindowStart } from './windows.ts';

type News = Pick<Notice, 'key' | 'event' | 'version' | 'facts'>;

/** Failures of a run's own making, over with the run. */
const passing = new Set(['late', 'stopped', 'in-use']);

export const listenersOf = ({ notify }: RotatedSecret): Listeners => ({
  channels: notify.channels,
  events: [...(notify.before.length > 0 ? (['before'] as const) : []), ...notify.events],
});

/** Written in the push that promotes the version. */
export const rotatedNews = (
  record: SecretRecord,
  secret: RotatedSecret,
  of: { version: number; why: string; at: string; by: Claim['by'] },
): SecretRecord =>
  withNotice(
    record,
    listenersOf(secret),
    { key: `rotated:${of.version}`, event: 'rotated', version: of.version, facts: { why: of.why } },
    of,
  );

/** Written in the push that claims the rotation which locks the reader out. */
export const removedNews = (
  record: SecretRecord,
  secret: RotatedSecret,
  of: { version: number | null; reason: string; at: string; by: Claim['by'] },
): SecretRecord => withNotice(record, listenersOf(secret), readerRemoved(of.version, of.reason), of);

const readerRemoved = (version: number | null, reason: string): News => ({
  key: `reader-removed:${version}:${digest(reason.replace(/[,;].*$/s, ''))}`,
  event: 'reader-removed',
  version,
  facts: { reason: short(reason) },
});

/**
 * What this run has to write down beyond its own conclusions: a change for each record that has news, or whose
 * `deleteProtection` is another now.
 */
export function news(
  desired: Desired,
  state: State,
  plan: Plan,
  results: readonly Result[],
  by: Claim['by'],
  now: Date,
): Change[] {
  const actions = Map.groupBy(
    plan.groups.flatMap((group) => group.actions),
    (action) => action.secret,
  );
  const resulted = Map.groupBy(results, (result) => result.secret);
  const at = now.toISOString();
  return [...desired.secrets.values()].flatMap((secret): Change[] => {
    const record = recordOf(secret, state.records);
    if (!record) return [];
    const same = (record.protected ?? true) === secret.deleteProtection;
    const told = upcoming(same ? record : protectedBy(record, secret.deleteProtection), secret, at, by, now);
    const to = [
      ...overdue(record, secret, now),
      ...planned(record, actions.get(secret.name) ?? []),
      ...trouble(record, resulted.get(secret.name) ?? []),
    ].reduce((next, one) => withNotice(next, listenersOf(secret), one, { at, by }), told);
    return to === record ? [] : [{ uid: record.uid, name: record.name, from: record, to, writes: [] }];
  });
}

/** Of several lead times that have come since the last run the shortest is told, and the others count as told. */
function upcoming(
  record: SecretRecord,
  secret: RotatedSecret,
  at: string,
  by: Claim['by'],
  now: Date,
): SecretRecord {
  const runs = nextRun(record, secret);
  if (!runs || runs <= now) return record;
  const key = (lead: number): string => `before:${record.current}:${lead}`;
  const come = secret.notify.before
    .filter((lead) => runs.getTime() - lead <= now.getTime())
    .sort((a, b) => a - b);
  const [shortest, ...longer] = come;
  if (shortest === undefined) return record;
  const told = withNotice(
    record,
    listenersOf(secret),
    { key: key(shortest), event: 'before', version: record.current, facts: { due: runs.toISOString() } },
    { at, by },
  );
  return told === record ? record : passedOver(told, longer.map(key));
}

/** When its schedule rotates the secret next, a window that it waits for included; null when it does not. */
export function nextRun(record: SecretRecord, secret: RotatedSecret): Date | null {
  const due = secret.schedule.paused ? null : nextDue(secret, record);
  if (!due) return null;
  return inWindow(secret.schedule, due) ? due : nextWindowStart(secret.schedule, due);
}

function overdue(record: SecretRecord, secret: RotatedSecret, now: Date): News[] {
  const due = overdueSince(record, secret, now);
  if (!due) return [];
  const version = record.current;
  return [{ key: `overdue:${version}`, event: 'overdue', version, facts: { due: due.toISOString() } }];
}

/** When the secret should have been rotated, windows included, if that is longer ago than its schedule tolerates. */
export function overdueSince(record: SecretRecord, secret: RotatedSecret, now: Date): Date | null {
  const runs = nextRun(record, secret);
  return runs && isOverdue(secret.schedule, runs, now) ? runs : null;
}

/** What the plan says but does not do: a person is needed, or a removed reader still knows the value. */
function planned({ current }: SecretRecord, actions: readonly Action[]): News[] {
  return actions.flatMap((action): News[] => {
    const facts = { reason: short(action.reason) };
    if (action.verb === 'block')
      return [
        {
          key: `blocked:${current}:${digest(withoutTimes(action.reason))}`,
          event: 'blocked',
          version: current,
          facts,
        },
      ];
    if (action.verb === 'hold' && action.reason.startsWith('reader removed: '))
      return [readerRemoved(action.from, action.reason)];
    return [];
  });
}

/** What the last attempt ended in, as far as it still stands. */
function trouble(record: SecretRecord, results: readonly Result[]): News[] {
  const { lastError, driftAt } = record.sched;
  const version = record.pending?.v ?? record.current;
  const human = results.find((result) => result.outcome === 'human');
  if (driftAt !== undefined)
    return [{ key: `drift:${version}`, event: 'drift', version, facts: { since: driftAt } }];
  // found before or after the claim, it is the same key
  if (lastError?.class === 'foreign-key')
    return [
      {
        key: `foreign-key:${digest(lastError.code)}`,
        event: 'foreign-key',
        version: record.current,
        facts: { step: lastError.step, class: lastError.class, keys: short(lastError.code) },
      },
    ];
  if (lastError && !passing.has(lastError.class))
    return [
      {
        key: `trouble:${version}:${lastError.class}:${lastError.step}`,
        event: human ? 'blocked' : 'failed',
        version,
        facts: { ...lastError },
      },
    ];
  if (!human) return [];
  const facts = { step: human.verb };
  return [{ key: `blocked:${version}:${human.verb}`, event: 'blocked', version, facts }];
}

const longestFact = 300;
const short = (text: string): string => text.slice(0, longestFact);
const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 12);
/** `found 3h ago` says something else an hour later, and the same. */
const withoutTimes = (text: string): string => text.replaceAll(/\b(in )?\d+[smhd]( ago)?\b/g, '');
