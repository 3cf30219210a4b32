import type { Context } from '../commands/context.ts';
import type { PullRequest } from './event.ts';
import type { Inputs } from './inputs.ts';

/** What a command of the action is given. */
export interface Job {
  context: Context;
  inputs: Inputs;
  /** The pull request that it checks, or null. */
  pull: PullRequest | null;
  /** The project's folder relative to the workspace; empty for its top. */
  folder: string;
}

/** Names for an output: separated by spaces, which no name has. */
export const listed = (names: Iterable<string>): string => [...new Set(names)].sort().join(' ');
