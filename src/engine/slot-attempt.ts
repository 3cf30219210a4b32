/** One secret whose target keeps it in a slot and shows it on demand, on its way from its claim to its outcome. */
import type { Reader, Target } from '../manifests/model.ts';
import type { Change } from '../state/ledger.ts';
import type { Sealed } from '../state/transitions.ts';
import { fingerprintOf, type Slot, type SlotDriver, type SlotRotator } from '../targets/slots.ts';
import { type Keep, keep, type Lost } from './attempt.ts';
import type { UnderWay } from './fence.ts';

export interface SlotAttempt extends UnderWay {
  machine: 'slots';
  target: Target;
  driver: SlotDriver;
  rotator: SlotRotator;
  /** The one that is renewed: of a pair the one not in use. */
  slot: string;
  /** Everybody the value will be sealed to. */
  readers: Reader[];
}

export type SlotOutcome =
  /** Renewed and read again: promote. */
  { r: 'live'; sealed: Sealed; write: Change['writes'][number] } | Keep | Lost;

/** What a claim writes down of the slot that it is about to renew. */
export const baselineOf = (uid: string, { value, createdAt }: Slot): Record<string, string> => ({
  slot: fingerprintOf(uid, value),
  ...(createdAt === null ? {} : { createdAt }),
});

/** Why there is nothing to look at. */
export const unread = (
  reading:
    | { r: 'unreachable'; code: string; detail: string }
    | { r: 'refused'; why: string; code: string; detail: string; hint: string },
  more: Partial<Keep>,
): Keep =>
  reading.r === 'unreachable'
    ? keep('read', 'unreachable', reading, more)
    : keep('read', reading.why, reading, { ...more, outcome: 'human', hint: reading.hint });
