/**
 * Explicit-state model checking (protocol §12.3): breadth-first over canonical states, so the first violation
 * found has a shortest trace. States are plain data, compared by their keys; a model's steps return new states.
 */

/** Stands for "no value, claim or key yet"; real ones count from 0. */
export const none = -1;

export interface Step<State> {
  label: string;
  state: State;
}

/** What one fresh, undisturbed `apply` makes of a state in which everybody else has died. */
export interface Recovery {
  converged: boolean;
  /** It stopped for a human, saying so. */
  blocked: boolean;
  /** Logins it tried with a value that was not live. */
  wrongProbes: number;
}

export interface Violation {
  /** Starts with the invariant's short name: `I1 …`. */
  why: string;
  /** The steps that lead there, `r0.start` first. */
  trace: string[];
}

export interface Verdict {
  /** Canonical states visited, up to and with the violating one. */
  states: number;
  maxWrongProbes: number;
  violation: Violation | undefined;
}

export interface Model<State> {
  initial: State;
  runners: number;
  /** Every way in which `runner` can go on from `state`. */
  steps(state: State, runner: number): Step<State>[];
  /** Equal for states that differ only in the names of things. */
  key(state: State): string;
  /** Equal for states from which recovery goes the same way. */
  recoveryKey(state: State): string;
  recover(state: State): Recovery;
  /** The invariant that `state` itself breaks. */
  broken(state: State): string | undefined;
  /** The invariant that `state` breaks given how recovery ends. */
  unrecovered(state: State, recovery: Recovery): string | undefined;
}

/** Explores every reachable state of `model`, or as many as it takes to break an invariant. */
export function explore<State>(model: Model<State>): Verdict {
  const first = model.key(model.initial);
  const reached = new Map<string, { from: string; label: string }>([[first, { from: '', label: '' }]]);
  const recoveries = new Map<string, Recovery>();
  let frontier = [{ key: first, state: model.initial }];
  let states = 0;
  let maxWrongProbes = 0;

  const recoveryOf = (state: State): Recovery => {
    const key = model.recoveryKey(state);
    const known = recoveries.get(key);
    if (known) return known;
    const recovery = model.recover(state);
    recoveries.set(key, recovery);
    return recovery;
  };

  const judge = (state: State): string | undefined => {
    const why = model.broken(state);
    if (why) return why;
    const recovery = recoveryOf(state);
    maxWrongProbes = Math.max(maxWrongProbes, recovery.wrongProbes);
    return model.unrecovered(state, recovery);
  };

  while (frontier.length > 0) {
    const next: typeof frontier = [];
    for (const { key, state } of frontier) {
      states++;
      const why = judge(state);
      if (why) return { states, maxWrongProbes, violation: { why, trace: traceTo(key, reached) } };
      for (let runner = 0; runner < model.runners; runner++) {
        for (const step of model.steps(state, runner)) {
          const reachedKey = model.key(step.state);
          if (reached.has(reachedKey)) continue;
          reached.set(reachedKey, { from: key, label: `r${runner}.${step.label}` });
          next.push({ key: reachedKey, state: step.state });
        }
      }
    }
    frontier = next;
  }
  return { states, maxWrongProbes, violation: undefined };
}

function traceTo(key: string, reached: Map<string, { from: string; label: string }>): string[] {
  const trace: string[] = [];
  for (let at = reached.get(key); at && at.label !== ''; at = reached.get(at.from)) trace.unshift(at.label);
  return trace;
}

/** The key of a state whose runners are interchangeable: the lesser of its keys over their orders. */
export function symmetricKey(runners: number, keyInOrder: (order: readonly number[]) => string): string {
  if (runners === 1) return keyInOrder(alone);
  const there = keyInOrder(pair);
  const back = keyInOrder(swapped);
  if (back < there) return back;
  return there;
}

const alone = [0] as const;
const pair = [0, 1] as const;
const swapped = [1, 0] as const;

/** Renames things in the order in which they are first mentioned. */
export class Names {
  private readonly met: number[] = [];

  of(thing: number): string {
    if (thing === none) return '_';
    const known = this.met.indexOf(thing);
    return String(known === -1 ? this.met.push(thing) - 1 : known);
  }

  all(things: readonly number[]): string {
    return things.map((thing) => this.of(thing)).join();
  }
}

/** `list[index]`, where the model guarantees that there is one. */
export function at<Item>(list: readonly Item[], index: number): Item {
  const item = list[index];
  if (item === undefined) throw new Error(`a model looked at ${index} of ${list.length}`);
  return item;
}
