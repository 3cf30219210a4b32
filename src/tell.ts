/**
 * Tells people what a run has found and done. The notices are pushed before anything is delivered and struck out in a
 * push after it, so a crash anywhere loses none; see `state/outbox.ts` for what is guaranteed. It never fails a run.
 */

import type { Plan, Result } from './engine/model.ts';
import { news } from './engine/notices.ts';
import { lease, recordNamed } from './engine/world.ts';
import { KeyturnError } from './errors.ts';
import type { ValueRef } from './manifests/model.ts';
import { deliver, type Post } from './output/notify/deliver.ts';
import { type Message, messageOf } from './output/notify/message.ts';
import { registerSessions } from './register.ts';
import type { Session } from './run.ts';
import type { Secret } from './secret.ts';
import type { Change } from './state/ledger.ts';
import type { Notice, SecretRecord } from './state/model.ts';
import { deliveryKey, isStale, noticeId, struckOut, writerOf } from './state/outbox.ts';

export interface Note {
  level: 'info' | 'warning';
  text: string;
}

/** What people at this console should know: annotations, channels that are down. Makes no commit where nothing is new. */
export async function tell(session: Session, plan: Plan, results: readonly Result[]): Promise<Note[]> {
  const { desired, ledger, world, identity, repository } = session;
  if (identity.signer === null) return [];
  const before = ledger.tip;
  const notes: Note[] = [];
  try {
    await registerSessions(session);
    await record(session, news(desired, ledger.state, plan, results, world.owner, world.clock.now()), 'note');
    notes.push(...(await deliverAll(session)));
  } catch (error) {
    if (!(error instanceof KeyturnError)) throw error;
    notes.push({ level: 'warning', text: `notifications: ${error.message}; the next run tries again` });
  }
  const { tip } = ledger;
  const followed = tip === null || tip === before ? null : await repository.followTip(tip);
  return followed === null ? notes : [...notes, { level: 'info', text: followed }];
}

async function deliverAll(session: Session): Promise<Note[]> {
  const { desired, ledger, world, host } = session;
  const { channels } = desired.project;
  const waiting = Object.values(ledger.state.records).flatMap((one) => outstanding(one, session));
  const notes: Note[] = [];
  const { posts, problems } = await deliver(waiting, {
    channels,
    resolve: (ref, subject) => resolveFor(session, ref, subject),
    announce: ({ level, title, text }) => notes.push({ level, text: `${title}. ${text}` }),
    env: host.env,
    now: () => world.clock.now(),
  });
  for (const text of problems) notes.push({ level: 'warning', text });
  const accepted = new Set(
    posts.map((post) => `${post.message.uid} ${deliveryKey(post.notice, post.channel)}`),
  );
  const changes = Object.values(ledger.state.records).flatMap((one): Change[] => {
    const mine = new Set(
      (one.outbox ?? []).flatMap((notice) =>
        notice.channels
          .map((channel) => deliveryKey(notice, channel))
          .filter((key) => accepted.has(`${one.uid} ${key}`)),
      ),
    );
    const to = struckOut(one, mine, (name) => Object.hasOwn(channels, name), world.clock.now());
    return to === one ? [] : [{ uid: one.uid, name: one.name, from: one, to, writes: [] }];
  });
  await record(session, changes, 'told');
  return notes;
}

/** What this process has to deliver of a record: its own notices, and those that another one left behind. */
function outstanding(one: SecretRecord, { world, ledger, desired }: Session): (Post & { notice: Notice })[] {
  const now = world.clock.now();
  const me = writerOf(world.owner);
  return (one.outbox ?? [])
    .filter((notice) => notice.by === me || now.getTime() - Date.parse(notice.at) > lease)
    .filter((notice) => !isStale(notice, now))
    .flatMap((notice) => {
      const message: Message = messageOf({
        id: noticeId(ledger.repo, one, notice),
        event: notice.event,
        project: desired.project.name,
        secret: one.name,
        uid: one.uid,
        target: one.target,
        version: notice.version,
        at: notice.at,
        facts: notice.facts,
      });
      return notice.channels.map((channel) => ({ message, notice, channel }));
    });
}

/** The value of a reference of keyturn.yaml; a rotated secret's is its current one. */
export async function resolveFor(
  { world, desired, ledger }: Session,
  ref: ValueRef,
  subject: string,
): Promise<Secret> {
  if (!('secret' in ref)) return world.resolve(ref, subject);
  const found = recordNamed(world, desired, ref.secret);
  if (!found || found.current === null)
    throw new KeyturnError(subject, `${ref.secret} has no version yet`, { hint: 'keyturn apply makes one' });
  return (await ledger.readVersion(found, found.current)).value;
}

async function record({ ledger, world }: Session, changes: Change[], verb: string): Promise<void> {
  if (changes.length === 0) return;
  const what = changes.length === 1 ? changes[0]?.name : `${changes.length} secrets`;
  const step = `tell.${verb}`;
  await world.failpoint(`${step}.beforeCommit`);
  const outcome = await ledger.commit(changes, `keyturn: ${verb} ${what}`, [], ['tell']);
  await world.failpoint(`${step}.afterPush`);
  if (outcome.r !== 'committed')
    throw new KeyturnError(ledger.place, `what was told could not be pushed: ${outcome.detail}`, {
      exit: 75,
    });
}
