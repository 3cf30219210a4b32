/** What the model of the R-type protocol knows: its bounds, its state, and when two states are the same. */
import { at, Names, none, symmetricKey } from './explorer.ts';

export type Mutant =
  | 'stale-spool'
  | 'unjournaled-delete'
  | 'deactivate-first'
  | 'del-old-first'
  | 'nobaseline'
  | 'compensate-blind';

export interface Config {
  runners: number;
  /** How often things may happen in one run. */
  rotations: number;
  kills: number;
  evictions: number;
  ambiguous: number;
  /** A claim is taken over only when its lease is over or its owner gone; its owner stops at the end of it. */
  lease: boolean;
  /** Unexplained keys open a claim that cleans them up. */
  sweep: boolean;
  /** Every key of the account is ours. */
  exclusive: boolean;
  /** A retained previous key exists at the start, so both slots are taken. */
  hasPrevious?: boolean;
  /** Somebody else's key takes the second slot. */
  foreign?: boolean;
  mutant?: Mutant;
}

/** Keys that the target holds at most. */
export const limit = 2;

export interface Key {
  id: number;
  active: boolean;
  foreign: boolean;
}

export type Place =
  | 'idle'
  | 'pushIntent'
  | 'pushTake'
  | 'resync'
  | 'fence'
  | 'pushVictim'
  | 'delOrphan'
  | 'free'
  | 'blockedSlot'
  | 'create'
  | 'createDeactivated'
  | 'spool'
  | 'delOld'
  | 'pushIssued'
  | 'resyncIssued'
  | 'compensate'
  | 'verify'
  | 'pushDropIssued'
  | 'pushPromote';

export interface Runner {
  place: Place;
  /** The key it got, and the one it is about to delete. */
  id: number;
  victim: number;
  claim: number;
  /** Generation of the ref that its next push builds on. */
  base: number;
  /** Keys that existed before the claim. */
  baseline: readonly number[];
}

/** What a runner's disk remembers of a key that it got: the claim that it was made for is only told apart. */
export interface Spool {
  id: number;
  claim: number;
}

export const empty: Spool = { id: none, claim: none };

export interface Pending {
  claim: number;
  baseline: readonly number[];
  victim: number;
  issued: number;
}

/**
 * `ref` is the pushed record, `keys` what the target holds, `spools` each runner's disk, `expired` the claims whose lease is over while their owner still runs; the counters say what may
 * still happen.
 */
export interface State {
  ref: { generation: number; current: number; previous: number; pending: Pending | undefined };
  keys: readonly Key[];
  foreignDeleted: boolean;
  spools: Spool[];
  expired: number[];
  runners: Runner[];
  nextKey: number;
  nextClaim: number;
  rotations: number;
  kills: number;
  evictions: number;
  ambiguous: number;
}

export const idle: Runner = { place: 'idle', id: none, victim: none, claim: none, base: none, baseline: [] };

export function initial(config: Config): State {
  const { runners, rotations, kills, evictions, ambiguous, hasPrevious, foreign } = config;
  const keys = [{ id: 1, active: true, foreign: false }];
  if (hasPrevious) keys.unshift({ id: 0, active: true, foreign: false });
  if (foreign) keys.push({ id: 99, active: true, foreign: true });
  return {
    ref: { generation: 0, current: 1, previous: hasPrevious ? 0 : none, pending: undefined },
    keys,
    foreignDeleted: false,
    spools: Array.from({ length: runners }, () => empty),
    expired: [],
    runners: Array.from({ length: runners }, () => idle),
    nextKey: 2,
    nextClaim: 1,
    rotations,
    kills,
    evictions,
    ambiguous,
  };
}

export const copy = (state: State): State => ({
  ...state,
  ref: { ...state.ref },
  spools: [...state.spools],
  runners: state.runners.map((runner) => ({ ...runner })),
});

/** Whether the record explains the key. */
export const isRecorded = ({ current, previous, pending }: State['ref'], id: number): boolean =>
  id === current || id === previous || id === pending?.issued;

export const key = (state: State): string =>
  symmetricKey(state.runners.length, (order) => {
    const { ref, expired } = state;
    const name = new Names();
    const claim = new Names();
    name.of(ref.current);
    let text = `${name.of(ref.previous)}|`;
    if (ref.pending) {
      const { victim, issued, baseline } = ref.pending;
      text += `${name.of(victim)}~${name.of(issued)}.${claim.of(ref.pending.claim)}.${name.all(baseline)}`;
    }
    text += `|${state.rotations},${state.kills},${state.evictions},${state.ambiguous},${state.foreignDeleted}|`;
    const keys = state.keys.map(
      ({ id, active, foreign }) => `${name.of(id)}${active ? 'A' : 'I'}${foreign ? 'F' : ''}`,
    );
    text += keys.sort().join();
    for (const index of order) {
      const runner = at(state.runners, index);
      text += `;${runner.place}`;
      if (runner.place !== 'idle') {
        text += `,${name.of(runner.id)},${name.of(runner.victim)},${claim.of(runner.claim)}`;
        text += `,${runner.base === ref.generation},${expired.includes(runner.claim)},${name.all(runner.baseline)}`;
      }
      const spooled = at(state.spools, index);
      if (spooled !== empty) text += `#${name.of(spooled.id)}.${claim.of(spooled.claim)}`;
    }
    return text;
  });
