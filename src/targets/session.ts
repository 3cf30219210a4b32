/** What a kind of target gives to a person's session on it: somebody logged in whose hands never hold the credential. */
import type { Readable, Writable } from 'node:stream';
import type { Credentials } from './driver.ts';

/** The login of a session, which a rotation may change while the session goes on. */
export interface Keyring {
  current(): Credentials;
  /** After a refusal: the newer login, if there is one since; it is `current` from then on. */
  renew(): Promise<Credentials | undefined>;
  /** The target has accepted it. */
  entered(): void;
}

/** A person's end of a session. */
export interface Terminal {
  input: Readable & { isTTY?: boolean };
  output: Writable & { isTTY?: boolean; columns?: number; rows?: number };
  errors: Writable;
  /** Hands every key on as it is, and every byte of the other side; false: as it was before. */
  raw(on: boolean): void;
  /** The terminal's kind, for the other side: `xterm`. */
  kind: string;
}

/** Calls back for every signal that this process gets, until the answer is called. */
export type Interrupts = (listener: (signal: NodeJS.Signals) => void) => () => void;
