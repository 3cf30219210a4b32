/** What a fleet is made of: a server, and secrets of every way to rotate there. */
import type { SecretRecord } from '../../src/state/model.ts';
import { put, type World } from '../crash/world.ts';

/** One recorded version. */
export interface Kept {
  v: number;
  username: string;
  value: string;
  handle: string | undefined;
}

export interface Member {
  secret: string;
  /** Two versions work at once during a rotation: `current` must log in at every instant. */
  overlap: boolean;
  /** By the plain client, without a line of ours. */
  accepts(kept: Kept): Promise<boolean>;
  /**
   * Of a target that makes the values: whether it gives out again what is not recorded yet. While it does, nothing
   * that is recorded need work.
   */
  again?(record: SecretRecord): boolean;
  /** Its target keeps an answer for a day: by then a run must have lived. */
  daily?: true;
  /** What the target holds for it that the record does not explain. */
  strays(record: SecretRecord, accepted: number): Promise<string[]>;
}

export interface Fleet {
  members: Member[];
  manifests: Record<string, string>;
  servers: string[];
  logs: string[];
  /** Where the process of a remote host is, for the leak scan. */
  pids: [string, number][];
  /** What every process needs to reach the servers; nothing secret. */
  env: NodeJS.ProcessEnv;
  /** Says to servers that read the time how many milliseconds the machines' clocks are ahead. */
  clock(ahead: number): void;
  /** What a server was sent that no client of ours may send. */
  violations(): string[];
  stop(): Promise<void>;
}

/** Real servers keep no list of wrong requests, and have the time of this machine. */
export interface Part
  extends Pick<Fleet, 'members' | 'manifests'>,
    Partial<Pick<Fleet, 'logs' | 'pids' | 'env' | 'clock' | 'violations'>> {
  server: string;
  stop(): Promise<unknown>;
}

export const manifest = (kind: string, name: string, spec: string): string =>
  `apiVersion: keyturn/v1\nkind: ${kind}\nmetadata: { name: ${name} }\nspec:\n${spec}\n`;

/** A file outside of the clones that holds a first value. */
export function initial(world: World, name: string, value: string): string {
  const file = world.at('initial', name);
  put(file, value, 0o600);
  world.canary.learn(`the first value of ${name}`, value, true);
  return file;
}

export const fresh = (): string => `Initial-${crypto.randomUUID()}`;
