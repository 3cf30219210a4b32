/**
 * Model of the R-type protocol (§4): the remote makes the value, tells it once, and holds at most two keys.
 * Runners share a compare-and-swap ref and have a spool each on a disk that a kill spares and an eviction does not.
 */
import { at, type Model, type Recovery } from './explorer.ts';
import { type Config, empty, idle, initial, isRecorded, key, type State } from './rtype-state.ts';
import { steps } from './rtype-steps.ts';

/** The R-type protocol as a model, whole or with one of its rules broken. */
export function rtype(config: Config): Model<State> {
  return {
    initial: initial(config),
    runners: config.runners,
    steps: (state, runner) => steps(state, runner, config),
    key,
    recoveryKey: (state) => key(aftermath(state)),
    recover: (state) => recover(state, config),
    broken,
    unrecovered: (_, { converged, blocked }) =>
      converged || (config.foreign && blocked)
        ? undefined
        : 'J3 applying again does not converge, or leaves an orphan key',
  };
}

/** Everybody is dead and their disks are lost, one fresh runner is there, and nothing goes wrong any more. */
const aftermath = (state: State): State => ({
  ...state,
  runners: [idle],
  spools: [empty],
  rotations: 0,
  kills: 0,
  evictions: 0,
  ambiguous: 0,
});

function recover(before: State, config: Config): Recovery {
  let state = aftermath(before);
  for (let n = 0; n < 60; n++) {
    const next = steps(state, 0, config).find(({ label }) => label !== 'EXPIRE');
    if (!next) break;
    state = next.state;
  }
  const { ref, keys } = state;
  const hasOrphan = keys.some(({ id, foreign }) => !foreign && !isRecorded(ref, id));
  const currentWorks = keys.some(({ id, active }) => id === ref.current && active);
  const converged = !ref.pending && !hasOrphan && currentWorks;
  return { converged, blocked: at(state.runners, 0).place === 'blockedSlot', wrongProbes: 0 };
}

function broken({ ref, keys, foreignDeleted }: State): string | undefined {
  if (!keys.some(({ id, active }) => id === ref.current && active))
    return 'J1 current is not an active key: its consumers are locked out';
  return foreignDeleted ? "J4 somebody else's key was deleted" : undefined;
}
