/** How a runner of the R-type protocol (§4) goes on: one function a place, one label a step. */
import { at, none, type Step } from './explorer.ts';
import {
  type Config,
  copy,
  empty,
  idle,
  isRecorded,
  limit,
  type Place,
  type Runner,
  type State,
} from './rtype-state.ts';
import { mayTakeOver, tidy } from './runners.ts';

/** Every way in which the runner `index` can go on, itself or by bad luck. */
export function steps(state: State, index: number, config: Config): Step<State>[] {
  const { ref } = state;
  const { pending } = ref;
  const self = at(state.runners, index);
  const spooled = at(state.spools, index).id;
  const { mutant, lease } = config;
  const out: Step<State>[] = [];

  const step = (label: string, change: (next: State, runner: Runner) => void): void => {
    const next = copy(state);
    change(next, at(next.runners, index));
    out.push({ label, state: next });
  };
  const go = (label: string, place: Place, change?: (next: State, runner: Runner) => void): void =>
    step(label, (next, runner) => {
      runner.place = place;
      change?.(next, runner);
    });
  const leave = (next: State): void => {
    next.runners[index] = idle;
  };
  /** A compare-and-swap push: `change` to the record, on the generation that the runner saw. */
  const push = (label: string, done: Place, failed: Place, change: (next: State) => void): void => {
    if (ref.generation !== self.base) {
      go(`${label}:rejected`, failed);
      return;
    }
    const publish = (next: State, runner: Runner): void => {
      change(next);
      runner.base = ++next.ref.generation;
    };
    go(`${label}:ok`, done, publish);
    if (state.ambiguous === 0) return;
    go(`${label}:applied-but-error`, failed, (next, runner) => {
      publish(next, runner);
      next.ambiguous--;
    });
    go(`${label}:not-applied-error`, failed, (next) => {
      next.ambiguous--;
    });
  };
  const amend = (next: State, change: Partial<NonNullable<typeof pending>>): void => {
    if (next.ref.pending) next.ref.pending = { ...next.ref.pending, ...change };
  };
  const ownsPending = pending !== undefined && pending.claim === self.claim;
  const ownLeaseOver = lease && state.expired.includes(self.claim);
  const isActive = (id: number): boolean => state.keys.some((key) => key.id === id && key.active);
  const exists = (id: number): boolean => state.keys.some((key) => key.id === id);

  const claim = (label: string, place: Place, baseline: readonly number[], spends = 0): void =>
    go(label, place, (next, runner) => {
      next.rotations -= spends;
      runner.claim = next.nextClaim++;
      runner.base = ref.generation;
      runner.baseline = baseline;
    });

  const beIdle = (): void => {
    if (!pending && state.rotations > 0)
      claim(
        'start',
        'pushIntent',
        state.keys.map(({ id }) => id),
        1,
      );
    if (pending && mayTakeOver(state, pending.claim, lease)) claim('takeover', 'pushTake', pending.baseline);
    const hasUnexplained = state.keys.some(({ id, foreign }) => !foreign && !isRecorded(ref, id));
    if (!pending && config.sweep && hasUnexplained) claim('sweep', 'pushIntent', []);
    if (!pending && spooled !== none && !exists(spooled)) step('drop stale spool', unspool);
  };

  const unspool = (next: State): void => {
    next.spools[index] = empty;
  };

  /** Decides the next effect from the record, the spool and the target's list of keys, in this order. */
  const fence = (): void =>
    step('fence', (next, runner) => {
      if (ownLeaseOver || !ownsPending || !pending) return leave(next);
      runner.base = ref.generation;
      if (pending.issued !== none) {
        runner.id = pending.issued;
        runner.place = 'verify';
        return;
      }
      const isSpent = isRecorded(ref, spooled) || pending.victim === spooled;
      if (spooled !== none && isSpent && mutant !== 'stale-spool') unspool(next);
      else if (spooled !== none && exists(spooled)) {
        runner.id = spooled;
        runner.place = 'pushIssued';
        return;
      }
      const orphan = firstOrphan(pending.baseline);
      if (orphan !== undefined) {
        runner.victim = orphan;
        runner.place =
          mutant === 'unjournaled-delete' || pending.victim === orphan ? 'delOrphan' : 'pushVictim';
        return;
      }
      runner.place = state.keys.length >= limit ? 'free' : 'create';
    });

  /** A key that nothing explains: on an account that is not ours alone, only if it is newer than the claim. */
  const firstOrphan = (baseline: readonly number[]): number | undefined =>
    state.keys.find(({ id }) => {
      if (isRecorded(ref, id)) return false;
      return mutant === 'nobaseline' || config.exclusive || !baseline.includes(id);
    })?.id;

  const free = (): void =>
    exists(ref.previous)
      ? go('free', 'fence', (next) => remove(next, ref.previous))
      : go('free', 'blockedSlot');

  const create = (): void => {
    if (state.keys.length >= limit) {
      go('create:LimitExceeded', 'fence');
      return;
    }
    const issue = (next: State): number => {
      const id = next.nextKey++;
      next.keys = [...next.keys, { id, active: true, foreign: false }];
      return id;
    };
    go('create:ok', 'spool', (next, runner) => {
      runner.id = issue(next);
    });
    if (state.ambiguous === 0) return;
    go('create:applied-but-reply-lost', 'fence', (next) => {
      next.ambiguous--;
      issue(next);
    });
    go('create:not-applied-error', 'fence', (next) => {
      next.ambiguous--;
    });
  };

  const deactivateOld = (): void =>
    go('deactivate old then create', 'createDeactivated', (next) => {
      next.keys = next.keys.map((key) => (key.id === ref.current ? { ...key, active: false } : key));
    });

  const spool = (): void =>
    go('spool', mutant === 'del-old-first' ? 'delOld' : 'pushIssued', (next) => {
      next.spools[index] = { id: self.id, claim: self.claim };
    });

  const resyncIssued = (): void =>
    step('resyncI', (next, runner) => {
      if (ownsPending && pending) {
        runner.base = ref.generation;
        runner.place = pending.issued === self.id ? 'verify' : 'pushIssued';
        return;
      }
      // Somebody else has taken the key over from the record: it is theirs now.
      const isAdopted = isRecorded(ref, self.id) && mutant !== 'compensate-blind';
      if (!isAdopted) {
        runner.place = 'compensate';
        return;
      }
      unspool(next);
      leave(next);
    });

  const openClaim = (next: State): void => {
    next.ref.pending = { claim: self.claim, baseline: self.baseline, victim: none, issued: none };
  };

  const resync = (): void =>
    step('resync', (next, runner) => {
      if (!ownsPending) return leave(next);
      runner.base = ref.generation;
      runner.place = 'fence';
    });

  const delOrphan = (): void =>
    go('delOrphan', 'fence', (next, runner) => {
      remove(next, self.victim);
      runner.victim = none;
    });

  const compensate = (): void =>
    step('compensate', (next) => {
      remove(next, self.id);
      unspool(next);
      leave(next);
    });

  const promote = (next: State): void => {
    next.ref.previous = ref.current;
    next.ref.current = self.id;
    next.ref.pending = undefined;
    unspool(next);
  };

  const goOn: Record<Place, () => void> = {
    idle: beIdle,
    pushIntent: () => push('intent', 'fence', 'resync', openClaim),
    pushTake: () => push('take', 'fence', 'resync', (next) => amend(next, { claim: self.claim })),
    resync,
    fence,
    pushVictim: () => push('victim', 'delOrphan', 'resync', (next) => amend(next, { victim: self.victim })),
    delOrphan,
    free,
    blockedSlot: () => undefined,
    create: mutant === 'deactivate-first' ? deactivateOld : create,
    createDeactivated: create,
    spool,
    delOld: () => go('delOld', 'pushIssued', (next) => remove(next, ref.current)),
    pushIssued: () => push('issued', 'verify', 'resyncIssued', (next) => amend(next, { issued: self.id })),
    resyncIssued,
    compensate,
    verify: () => go('verify', isActive(self.id) ? 'pushPromote' : 'pushDropIssued'),
    pushDropIssued: () => push('dropIssued', 'fence', 'resync', (next) => amend(next, { issued: none })),
    pushPromote: () => push('promote', 'idle', 'resync', promote),
  };
  goOn[self.place]();
  // A lease outlasts any call that changes the target, so it never runs out during one.
  const canExpire = lease && ownsPending && !uninterrupted.includes(self.place);
  if (canExpire && !state.expired.includes(self.claim))
    step('EXPIRE', (next) => {
      next.expired = [...next.expired, self.claim];
    });
  if (state.kills > 0 && self.place !== 'idle')
    step(`KILL@${self.place}`, (next) => {
      next.kills--;
      leave(next);
    });
  if (state.evictions > 0 && self.place !== 'idle')
    step(`EVICT@${self.place}`, (next) => {
      next.evictions--;
      leave(next);
      unspool(next);
    });
  for (const { state: next } of out) tidy(next, index, idle);
  return out;
}

const uninterrupted: readonly Place[] = ['create', 'createDeactivated', 'delOrphan', 'free', 'idle'];

function remove(next: State, id: number): void {
  if (next.keys.some((key) => key.id === id && key.foreign)) next.foreignDeleted = true;
  next.keys = next.keys.filter((key) => key.id !== id);
}
