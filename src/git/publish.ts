/**
 * Pushes one commit until it is known what became of it. The exit code of a push is a hint; the remote's ref
 * is the answer (protocol G4). Every try sends the same commit object, so a late copy of an earlier try does
 * no harm.
 */
import type { Clock } from '../clock.ts';
import { KeyturnError } from '../errors.ts';
import type { Oid, Publication, PublishOutcome } from './contract.ts';
import type { Place } from './place.ts';
import type { Sent } from './refusals.ts';

const tries = 4;
/** Starts no further try after this: the claims of this push have a lease. */
const patience = 90_000;

export interface Publishing {
  place: Place;
  clock: Clock;
  random: (n: number) => Uint8Array;
  /** Awaited at `push.beforeSend` and, once the remote has the commit, at `push.afterApply`. */
  failpoint: (name: string) => Promise<void>;
}

/** Moves the ref from `publication.base` to `commit`, or says for certain or for uncertain why not. */
export async function settle(
  { place, clock, random, failpoint }: Publishing,
  commit: Oid,
  { base, subject }: Publication,
): Promise<PublishOutcome> {
  const started = clock.monotonic();
  // an earlier try without an answer may still arrive: from then on no refusal is final
  let doubt = false;
  let detail = '';
  for (let attempt = 1; attempt <= tries; attempt++) {
    if (attempt > 1) {
      if (clock.monotonic() - started > patience) break;
      await clock.sleep(200 * 2 ** attempt * (0.5 + (random(1)[0] ?? 0) / 256));
    }
    await failpoint('push.beforeSend');
    const sent = await place.send(commit, base, subject);
    if (sent.r === 'sent') await failpoint('push.afterApply');
    const seen = await read(place, commit, base);
    if (seen.r === 'published' || seen.r === 'moved') return seen;
    if (sent.r === 'refused' && !doubt) return sent;
    if (sent.r === 'sent' || sent.r === 'lost') doubt = true;
    detail = describe(sent, seen);
  }
  return { r: 'unknown', detail };
}

type Seen =
  | Extract<PublishOutcome, { r: 'published' | 'moved' }>
  | { r: 'unmoved' }
  | { r: 'unread'; detail: string };

async function read(place: Place, commit: Oid, base: Oid | null): Promise<Seen> {
  try {
    const tip = await place.look();
    if (tip === commit) return { r: 'published', tip };
    if (tip === base) return { r: 'unmoved' };
    if (tip !== null && (await place.contains(tip, commit, base))) return { r: 'published', tip };
    return { r: 'moved', tip };
  } catch (error) {
    if (error instanceof KeyturnError) return { r: 'unread', detail: error.what };
    throw error;
  }
}

function describe(sent: Sent, seen: Seen): string {
  const push = sent.r === 'sent' ? 'the push was accepted' : sent.detail;
  return seen.r === 'unread' ? `${push}; ${seen.detail}` : `${push}; the ref has not moved`;
}
