/** What runners of both protocols have in common: leases, and what is forgotten when one stops. */
import { at } from './explorer.ts';

interface Shared<Runner extends { place: string; claim: number }> {
  runners: Runner[];
  /** Claims whose lease is over while their owner still runs. */
  expired: number[];
}

/** Whether another runner may take a claim over: its lease is over, or nobody holds it any more. */
export function mayTakeOver<Runner extends { place: string; claim: number }>(
  state: Shared<Runner>,
  claim: number,
  lease: boolean,
): boolean {
  return !lease || state.expired.includes(claim) || !state.runners.some((runner) => runner.claim === claim);
}

/** An idle runner remembers nothing; a claim that nobody holds needs no expiry. Changes `next`. */
export function tidy<Runner extends { place: string; claim: number }>(
  next: Shared<Runner>,
  index: number,
  idle: Runner,
): void {
  if (at(next.runners, index).place === 'idle') next.runners[index] = idle;
  if (next.expired.length > 0)
    next.expired = next.expired.filter((claim) => next.runners.some((runner) => runner.claim === claim));
}
