/** What stands between a claim and every effect at the target (protocol P2, G6). */
import type { RotatedSecret } from '../manifests/model.ts';
import type { SecretRecord } from '../state/model.ts';
import { endOf } from '../state/sessions.ts';
import { type Keep, keep, type Lost } from './attempt.ts';
import type { Step } from './model.ts';
import { fenceFreshness, lease, mutationDeadline, type World } from './world.ts';

/** A rotation between its claim and its outcome, whichever machine it is in. */
export interface UnderWay {
  secret: RotatedSecret;
  /** As pushed last by this run. */
  record: SecretRecord;
  version: number;
  /** An earlier run may have touched the target. */
  replay: boolean;
  /** Monotonic time of the claim: with the claim's wall time the two clocks that G6 asks for. */
  claimedAt: number;
}

/** P2. Null when this run may mutate: the claim is ours at a tip read just now, and young enough. */
export async function fence(attempt: UnderWay, world: World): Promise<Keep | Lost | null> {
  say(attempt, world, 'fence');
  if (world.ledger.age() > fenceFreshness) await world.ledger.refresh();
  await world.failpoint('fence.after');
  const claim = attempt.record.pending?.claim.id;
  if (world.ledger.record(attempt.record.uid)?.pending?.claim.id !== claim)
    return { r: 'lost', detail: 'another run took the claim over' };
  if (claimAge(attempt, world) >= mutationDeadline || world.ledger.age() > fenceFreshness)
    return keep(
      'fence',
      'late',
      { code: 'deadline', detail: 'this run took too long after its claim' },
      {
        left: attempt.replay ? 'unknown' : 'unchanged',
      },
    );
  if (await exclusiveSession(attempt.secret, world))
    return keep(
      'fence',
      'in-use',
      { code: 'session', detail: 'somebody has an exclusive session' },
      {
        left: attempt.replay ? 'unknown' : 'unchanged',
      },
    );
  if (world.stopping())
    return keep(
      'fence',
      'stopped',
      { code: 'signal', detail: 'the run was asked to stop' },
      {
        left: attempt.replay ? 'unknown' : 'unchanged',
      },
    );
  return null;
}

/** One that began before our claim: who begins one later sees the version that we are about to set (`connect/record.ts`). */
async function exclusiveSession({ name, access }: RotatedSecret, { ledger, clock }: World): Promise<boolean> {
  if (access?.exclusive !== true) return false;
  const open = (await ledger.sessions()).filter((file) => endOf(file, clock.now()) === null);
  return open.some(({ secret, exclusive }) => secret === name && exclusive);
}

/** The older of the claim's two ages: a suspended machine stops one clock, a stepped clock the other. */
function claimAge(attempt: UnderWay, world: World): number {
  const claim = attempt.record.pending?.claim;
  const wall = claim ? world.clock.now().getTime() - Date.parse(claim.at) : lease;
  return Math.max(wall, world.clock.monotonic() - attempt.claimedAt);
}

export function say(attempt: UnderWay, world: World, step: Step): void {
  world.emit({ kind: 'step', secret: attempt.secret.name, step, version: attempt.version });
}
