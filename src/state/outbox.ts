/**
 * What people are to be told of a secret, kept in its record until it was delivered. Pure: a record in, a record out.
 *
 * A notice is written in the push that makes it true, or in one of its own; it is delivered after that push and
 * struck out by the next. So none is lost. One is delivered twice only where the process dies between a receiver's
 * answer and the push that strikes it out; both copies carry the same `id`, by which a receiver can drop the second.
 */
import { createHash } from 'node:crypto';
import type { Claim, Notice, NoticeEvent, SecretRecord } from './model.ts';

/** An older notice is no news: it is not delivered any more, and leaves with the next push. */
export const stale = 14 * 86_400_000;
/** A channel that is down for long must not make the state grow: the newest stay. */
const most = 50;

/** Who is told of which events; what a manifest's `notify` says. */
export interface Listeners {
  channels: readonly string[];
  events: readonly NoticeEvent[];
}

/**
 * The record with a notice for every listener, once: a second one with this key changes nothing. Without listeners
 * nothing is kept, so a channel that is added later is not told of the past.
 */
export function withNotice(
  record: SecretRecord,
  listeners: Listeners,
  notice: Pick<Notice, 'key' | 'event' | 'version' | 'facts'>,
  { at, by }: { at: string; by: Claim['by'] },
): SecretRecord {
  const channels = [...new Set(listeners.channels)].sort();
  const { notified } = record.sched;
  if (channels.length === 0 || !listeners.events.includes(notice.event) || notified.includes(notice.key))
    return record;
  const outbox = [...(record.outbox ?? []), { ...notice, at, by: writerOf(by), channels }].slice(-most);
  return { ...record, outbox, sched: { ...record.sched, notified: [...notified, notice.key] } };
}

/** Several that have become one piece of news, e.g. the reminder of a week and that of a day: only marked as told. */
export function passedOver(record: SecretRecord, keys: readonly string[]): SecretRecord {
  const { notified } = record.sched;
  const fresh = keys.filter((key) => !notified.includes(key));
  if (fresh.length === 0) return record;
  return { ...record, sched: { ...record.sched, notified: [...notified, ...fresh] } };
}

/** Strikes out what was delivered (by notice key and channel) and what is stale. The same record where nothing is. */
export function struckOut(
  record: SecretRecord,
  delivered: ReadonlySet<string>,
  isChannel: (name: string) => boolean,
  now: Date,
): SecretRecord {
  const before = record.outbox ?? [];
  const after = before.flatMap((notice) => {
    const channels = notice.channels.filter(
      (channel) => isChannel(channel) && !delivered.has(deliveryKey(notice, channel)),
    );
    return channels.length === 0 || isStale(notice, now) ? [] : [{ ...notice, channels }];
  });
  if (JSON.stringify(after) === JSON.stringify(before)) return record;
  const { outbox: _, ...rest } = record;
  return after.length === 0 ? rest : { ...rest, outbox: after };
}

/** Who wrote a notice delivers it at once; another run leaves it alone for the time that this may take. */
export const writerOf = ({ runner, pid }: Claim['by']): string => `${runner}#${pid}`;

export const isStale = (notice: Notice, now: Date): boolean => now.getTime() - Date.parse(notice.at) > stale;

export const deliveryKey = (notice: Notice, channel: string): string => `${notice.key} ${channel}`;

/** The same for every attempt to deliver this notice, and for no other: receivers may keep it and drop a second copy. */
export const noticeId = (repo: string, record: SecretRecord, notice: Notice): string =>
  createHash('sha256').update(`${repo}\n${record.uid}\n${notice.key}`).digest('hex').slice(0, 32);
