/**
 * The machine for values that the target keeps in slots and shows on demand (protocol §4.4): claim -> fence -> renew ->
 * read -> promote. A value that was made and not written down is read again, so nothing can be lost; of a pair the slot
 * in use is never the one that is renewed.
 */
import type { Secret } from '../secret.ts';
import { pendingOf } from '../state/transitions.ts';
import { fingerprintOf } from '../targets/slots.ts';
import { type Keep, keep } from './attempt.ts';
import { fence, say } from './fence.ts';
import { type SlotAttempt, type SlotOutcome, unread } from './slot-attempt.ts';
import type { World } from './world.ts';

/** An answer may get lost this often in one run before the secret waits for the next. */
const lostAnswers = 2;
/** For the target to show what it made just now. */
const showing = [1_000, 2_000, 4_000, 8_000];

export async function rotateSlot(attempt: SlotAttempt, world: World): Promise<SlotOutcome> {
  if (attempt.replay) {
    say(attempt, world, 'reclaim');
    const found = await look(attempt);
    if ('r' in found) return found;
    if (found.value) return seal(attempt, found.value, world);
  }
  for (let answersLost = 0; ; ) {
    const fenced = await fence(attempt, world);
    if (fenced) return fenced;
    say(attempt, world, 'set');
    await world.failpoint('set.beforeConnect');
    const result = await attempt.rotator.renew(attempt.slot);
    await world.failpoint('set.afterAck');
    if (result.r === 'refused')
      return keep('set', result.why, result, {
        left: attempt.replay ? 'unknown' : 'refused',
        outcome: 'human',
        hint: result.hint,
      });
    if (result.r === 'not-sent')
      return keep('set', 'unreachable', result, { left: attempt.replay ? 'unknown' : 'unchanged' });
    attempt.replay = true;
    const found = await shown(attempt, world);
    if ('r' in found) return found;
    if (found.value) return seal(attempt, found.value, world);
    answersLost += 1;
    if (result.r === 'renewed')
      return keep('verify', 'lag', { code: 'LAG', detail: 'the target still shows the former value' });
    if (answersLost >= lostAnswers) return keep('set', 'ambiguous', result);
  }
}

/** S3: what the target shows, never what it answered; undefined while that is what it held before the claim. */
async function shown(attempt: SlotAttempt, world: World): Promise<{ value: Secret | undefined } | Keep> {
  say(attempt, world, 'verify');
  await world.failpoint('verify.before');
  for (const pause of showing) {
    const found = await look(attempt);
    if ('r' in found || found.value) return found;
    await world.clock.sleep(pause);
  }
  return look(attempt);
}

async function look({ rotator, record, slot }: SlotAttempt): Promise<{ value: Secret | undefined } | Keep> {
  const reading = await rotator.read();
  if (reading.r !== 'read') return unread(reading, {});
  const { value } = reading.slots.find(({ name }) => name === slot) ?? {};
  const same = value && fingerprintOf(record.uid, value) === pendingOf(record).baseline.slot;
  return { value: same ? undefined : value };
}

async function seal(attempt: SlotAttempt, value: Secret, world: World): Promise<SlotOutcome> {
  const { record, version, driver, target, slot, readers } = attempt;
  const fields = { username: slot, ...driver.describe(target, slot) };
  const recipients = readers.map((reader) => reader.recipient);
  const { write, sealed } = await world.ledger.seal(record, version, { value, fields }, recipients);
  await world.failpoint('verify.after');
  return { r: 'live', sealed, write };
}
