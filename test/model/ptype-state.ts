/** What the model of the P-type protocol knows: its bounds, its state, and when two states are the same. */
import { at, Names, none, symmetricKey } from './explorer.ts';

export type Mutant =
  | 'nojournal'
  | 'latejournal'
  | 'drop-on-error'
  | 'drop-on-reject'
  | 'forget-abandoned'
  | 'takeover-newvalue'
  | 'nofence';

export interface Config {
  runners: number;
  /** How often things may happen in one run. */
  rotations: number;
  crashes: number;
  ambiguous: number;
  refusals: number;
  /** How many previous and abandoned values the record keeps. */
  retain: number;
  /** Who sets the value: the target's credentials, or the account with its old value. */
  as: 'target' | 'self';
  /** A claim is taken over only when its lease is over or its owner gone; its owner stops at the end of it. */
  lease: boolean;
  /** The target refuses the value that is live already. */
  history?: boolean;
  /** A takeover sets again without looking first. */
  blind?: boolean;
  /** SET keeps the old value valid beside the new one. */
  dual?: boolean;
  /** The target tells whether the value is live without a login. */
  witness?: boolean;
  /** Grace may end: the secondary value is discarded. */
  discard?: boolean;
  /** I3 is not asked for: drift is left to `verify`. */
  driftAllowed?: boolean;
  mutant?: Mutant;
}

export type Place =
  | 'idle'
  | 'pushClaim'
  | 'pushClaimLate'
  | 'pushTake'
  | 'resync'
  | 'fence'
  | 'set'
  | 'verify'
  | 'observe'
  | 'observeRefused'
  | 'drop'
  | 'pushPromote'
  | 'resyncPromote'
  | 'blocked';

export interface Runner {
  place: Place;
  /** The value it wants live, and the one that self mode logs in with. */
  value: number;
  old: number;
  claim: number;
  /** Generation of the ref that its next push builds on. */
  base: number;
  /** Between its fence (or start) and the end of its SET. */
  fenced: boolean;
}

/**
 * `ref` is the pushed record, `live` and `secondary` what the target accepts, `expired` the claims whose lease
 * is over while their owner still runs; the counters say what may still happen.
 */
export interface State {
  ref: {
    generation: number;
    current: number;
    pending: { value: number; claim: number } | undefined;
    abandoned: number[];
    previous: number[];
  };
  live: number;
  secondary: number;
  expired: number[];
  runners: Runner[];
  nextValue: number;
  nextClaim: number;
  rotations: number;
  crashes: number;
  ambiguous: number;
  refusals: number;
}

export const idle: Runner = { place: 'idle', value: none, old: none, claim: none, base: none, fenced: false };

export function initial({ runners, rotations, crashes, ambiguous, refusals }: Config): State {
  const ref = { generation: 0, current: 1, pending: undefined, abandoned: [], previous: [] };
  const everybody = Array.from({ length: runners }, () => idle);
  const left = { rotations, crashes, ambiguous, refusals };
  return {
    ref,
    live: 1,
    secondary: none,
    expired: [],
    runners: everybody,
    nextValue: 2,
    nextClaim: 1,
    ...left,
  };
}

export const copy = (state: State): State => ({
  ...state,
  ref: { ...state.ref },
  runners: state.runners.map((runner) => ({ ...runner })),
});

export const key = (state: State): string =>
  symmetricKey(state.runners.length, (order) => {
    const { ref, expired } = state;
    const value = new Names();
    const claim = new Names();
    let text = `${value.of(ref.current)}|`;
    text += ref.pending ? `${value.of(ref.pending.value)}.${claim.of(ref.pending.claim)}` : '-';
    text += `|${value.all(ref.abandoned)}|${value.all(ref.previous)}|${value.of(state.live)}.${value.of(state.secondary)}`;
    text += `|${state.rotations},${state.crashes},${state.ambiguous},${state.refusals}`;
    for (const index of order) {
      const runner = at(state.runners, index);
      text += `;${runner.place}`;
      if (runner.place === 'idle') continue;
      text += `,${value.of(runner.value)},${value.of(runner.old)},${claim.of(runner.claim)}`;
      text += `,${runner.base === ref.generation},${runner.fenced},${expired.includes(runner.claim)}`;
    }
    return text;
  });
