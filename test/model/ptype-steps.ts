/** How a runner of the P-type protocol (§3.2–§3.4) goes on: one function a place, one label a step. */
import { at, none, type Step } from './explorer.ts';
import { type Config, copy, idle, type Place, type Runner, type State } from './ptype-state.ts';
import { mayTakeOver, tidy } from './runners.ts';

/** Every way in which the runner `index` can go on, itself or by bad luck. */
export function steps(state: State, index: number, config: Config): Step<State>[] {
  const { ref } = state;
  const self = at(state.runners, index);
  const { mutant, lease } = config;
  const out: Step<State>[] = [];

  const step = (label: string, change: (next: State, runner: Runner) => void): void => {
    const next = copy(state);
    change(next, at(next.runners, index));
    out.push({ label, state: next });
  };
  const leave = (next: State): void => {
    next.runners[index] = idle;
  };
  /** A compare-and-swap push: `change` to the record, on the generation that the runner saw. */
  const push = (label: string, done: Place, failed: Place, change: (record: State['ref']) => void): void => {
    const publish = (next: State): void => {
      change(next.ref);
      next.ref.generation++;
    };
    if (ref.generation === self.base) {
      step(`${label}:ok`, (next, runner) => {
        publish(next);
        runner.place = done;
        runner.base = next.ref.generation;
      });
      if (state.ambiguous > 0)
        step(`${label}:applied-but-error`, (next, runner) => {
          publish(next);
          next.ambiguous--;
          runner.place = failed;
        });
    } else {
      step(`${label}:rejected`, (_, runner) => {
        runner.place = failed;
      });
    }
    if (state.ambiguous > 0)
      step(`${label}:not-applied-error`, (next, runner) => {
        next.ambiguous--;
        runner.place = failed;
      });
  };
  const claimPending = (record: State['ref']): void => {
    record.pending = { value: self.value, claim: self.claim };
  };
  const prune = (record: State['ref']): void => {
    record.previous = record.previous.slice(-config.retain);
    record.abandoned = record.abandoned.slice(-config.retain);
  };
  const ownsPending = ref.pending !== undefined && ref.pending.claim === self.claim;
  const ownLeaseOver = lease && state.expired.includes(self.claim);

  const start = (): void =>
    step('start', (next, runner) => {
      next.rotations--;
      const place = mutant === 'nojournal' || mutant === 'latejournal' ? 'set' : 'pushClaim';
      const claim = next.nextClaim++;
      Object.assign(runner, {
        place,
        value: next.nextValue++,
        old: ref.current,
        claim,
        base: ref.generation,
      });
      runner.fenced = true;
    });

  const takeover = (value: number): void =>
    step('takeover', (next, runner) => {
      const newValue = mutant === 'takeover-newvalue' ? next.nextValue++ : value;
      const claim = next.nextClaim++;
      Object.assign(runner, {
        place: 'pushTake',
        value: newValue,
        old: ref.current,
        claim,
        base: ref.generation,
      });
    });

  const beIdle = (): void => {
    if (!ref.pending && state.rotations > 0) start();
    if (
      config.dual &&
      config.discard &&
      !ref.pending &&
      state.secondary !== none &&
      state.live === ref.current
    )
      step('DISCARD OLD', (next) => {
        next.secondary = none;
      });
    if (ref.pending && mayTakeOver(state, ref.pending.claim, lease)) takeover(ref.pending.value);
  };

  const fence = (): void =>
    step('fence', (next, runner) => {
      if (mutant !== 'nofence' && (ownLeaseOver || !ownsPending)) return leave(next);
      runner.place = 'set';
      if (mutant !== 'nofence') runner.base = ref.generation;
      runner.fenced = true;
    });

  const set = (): void => {
    const answer = (label: string, place: Place, change?: (next: State) => void): void =>
      step(`set:${label}`, (next, runner) => {
        change?.(next);
        runner.place = place;
        runner.fenced = false;
      });
    const apply = (next: State): void => {
      if (config.dual) next.secondary = next.live;
      next.live = self.value;
    };
    const afterError: Place = mutant === 'drop-on-error' ? 'drop' : 'observe';
    const afterRefusal: Place = mutant === 'drop-on-reject' ? 'drop' : 'observeRefused';

    const canLogIn = config.as === 'target' || state.live === self.old || state.live === self.value;
    if (!canLogIn) {
      answer('denied', 'observe');
      return;
    }
    if (config.dual && config.witness && state.live === self.value) {
      answer('skip (witness says applied)', 'verify');
      return;
    }
    if (config.history && state.live === self.value) {
      answer('history-reject', afterRefusal);
      return;
    }
    answer('ok', mutant === 'latejournal' ? 'pushClaimLate' : 'verify', apply);
    if (state.ambiguous > 0) {
      answer('applied-but-error', afterError, (next) => {
        next.ambiguous--;
        apply(next);
      });
      answer('not-applied-error', afterError, (next) => {
        next.ambiguous--;
      });
    }
    if (state.refusals > 0)
      answer('policy-reject', mutant === 'nojournal' ? 'idle' : afterRefusal, (next) => {
        next.refusals--;
      });
  };

  /** Probes pending, then current, then what is retained; privileged runners overwrite what nobody knows. */
  const observe = (): void =>
    step('observe', (_, runner) => {
      if (state.live === self.value) {
        runner.place = 'pushPromote';
        return;
      }
      const isKnown = [ref.current, ...ref.abandoned, ...ref.previous].includes(state.live);
      if (isKnown) runner.old = state.live;
      runner.place = isKnown || config.as === 'target' ? 'fence' : 'blocked';
    });

  /** After a refusal only a login with the old value is evidence enough to drop the pending one (§3.4). */
  const observeRefused = (): void =>
    step('observeRej', (_, runner) => {
      if (state.live === self.value) runner.place = 'pushPromote';
      else runner.place = state.live === ref.current ? 'drop' : 'observe';
    });

  const resync = (label: string, place: Place): void =>
    step(label, (next, runner) => {
      if (!ownsPending) return leave(next);
      runner.base = ref.generation;
      runner.place = place;
    });

  const drop = (): void =>
    push('drop', 'idle', 'resync', (record) => {
      const forgets = mutant === 'drop-on-error' || mutant === 'forget-abandoned';
      if (!forgets) record.abandoned = [...record.abandoned, self.value];
      record.pending = undefined;
      prune(record);
    });

  const promote = (): void =>
    push('promote', 'idle', mutant === 'nojournal' ? 'idle' : 'resyncPromote', (record) => {
      record.previous = [...record.previous, record.current];
      record.current = self.value;
      record.pending = undefined;
      prune(record);
    });

  const verify = (): void =>
    step('verify', (_, runner) => {
      runner.place = state.live === self.value ? 'pushPromote' : 'observe';
    });

  const setsAtOnce = mutant === 'takeover-newvalue' || config.blind;
  const goOn: Record<Place, () => void> = {
    idle: beIdle,
    pushClaim: () => push('claim', 'fence', 'resync', claimPending),
    pushClaimLate: () => push('claim', 'verify', 'resync', claimPending),
    pushTake: () => push('takeover', setsAtOnce ? 'fence' : 'observe', 'resync', claimPending),
    resync: () => resync('resync', 'observe'),
    fence,
    set,
    verify,
    observe,
    observeRefused,
    drop,
    pushPromote: promote,
    resyncPromote: () => resync('resyncP', 'verify'),
    blocked: () => undefined,
  };
  goOn[self.place]();
  // A lease outlasts any SET, so it never runs out during one.
  const canExpire = lease && ownsPending && self.place !== 'set' && self.place !== 'idle';
  if (canExpire && !state.expired.includes(self.claim))
    step('EXPIRE', (next) => {
      next.expired = [...next.expired, self.claim];
    });
  if (state.crashes > 0 && self.place !== 'idle' && self.place !== 'blocked')
    step(`CRASH@${self.place}`, (next) => {
      next.crashes--;
      leave(next);
    });
  for (const { state: next } of out) tidy(next, index, idle);
  return out;
}
