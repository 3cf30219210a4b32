import type { Oid, Tip } from './contract.ts';
import type { Sent } from './refusals.ts';

/** Where the state ref lives: at a remote, or in a repository that has none. */
export interface Place {
  /** For messages. */
  readonly name: string;
  readonly ref: string;
  readonly hasRemote: boolean;
  /** Brings the tip here. Throws a KeyturnError when it cannot be read. */
  fetch(): Promise<Tip>;
  /** One try to move the ref from exactly `base` to `commit`. */
  send(commit: Oid, base: Tip, subject: string): Promise<Sent>;
  /** Reads the ref without bringing anything. Throws a KeyturnError when it cannot be read. */
  look(): Promise<Tip>;
  /** True when `commit`, a child of `base`, is below `tip`. Throws like `look`. */
  contains(tip: Oid, commit: Oid, base: Tip): Promise<boolean>;
}
