/**
 * Model of the P-type protocol (§3): a value that we choose is set at a single-valued target by runners that
 * share a compare-and-swap ref, while pushes and SETs lose their answers and anybody may die at any step.
 */
import { at, type Model, type Recovery } from './explorer.ts';
import { type Config, idle, initial, key, type State } from './ptype-state.ts';
import { steps } from './ptype-steps.ts';

/** The P-type protocol as a model, whole or with one of its rules broken. */
export function ptype(config: Config): Model<State> {
  return {
    initial: initial(config),
    runners: config.runners,
    steps: (state, runner) => steps(state, runner, config),
    key,
    recoveryKey: (state) => key(aftermath(state)),
    recover: (state) => recover(state, config),
    broken: (state) => broken(state, config),
    unrecovered: (state, recovery) => unrecovered(state, recovery, config),
  };
}

/** Everybody is dead, one fresh runner is there, and nothing goes wrong any more. */
const aftermath = (state: State): State => ({
  ...state,
  runners: [idle],
  rotations: 0,
  crashes: 0,
  ambiguous: 0,
  refusals: 0,
});

function recover(before: State, config: Config): Recovery {
  let state = aftermath(before);
  let wrongProbes = 0;
  for (let n = 0; n < 40; n++) {
    const runner = at(state.runners, 0);
    if (!state.ref.pending && runner.place === 'idle') break;
    if (runner.place === 'observe' && state.live !== runner.value)
      wrongProbes += state.live === state.ref.current ? 1 : 2;
    const next = steps(state, 0, config)[0];
    if (!next) break;
    state = next.state;
  }
  const converged = !state.ref.pending && state.live === state.ref.current;
  return { converged, blocked: at(state.runners, 0).place === 'blocked', wrongProbes };
}

function broken({ ref, live, secondary }: State, config: Config): string | undefined {
  const isRecorded =
    live === ref.current ||
    live === ref.pending?.value ||
    ref.abandoned.includes(live) ||
    ref.previous.includes(live);
  if (!isRecorded) return 'I1 the live value is not recorded: the credential is lost';
  if (config.dual && live !== ref.current && secondary !== ref.current)
    return 'I5 the target does not accept current, despite the grace';
  return undefined;
}

function unrecovered(state: State, recovery: Recovery, config: Config): string | undefined {
  const { ref, live, runners } = state;
  if (ref.pending) return recovery.converged ? undefined : 'I2 applying again does not converge';
  const isQuiet = runners.every(({ place }) => place === 'idle' || place === 'blocked');
  if (!config.driftAllowed && isQuiet && live !== ref.current)
    return 'I3 nothing is pending or running, but current is not live: silent drift';
  return undefined;
}
