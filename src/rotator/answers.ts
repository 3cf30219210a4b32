/** What a rotator has answered, so that a repeated request does its work once. */
import type { Reply } from './wire.ts';

export interface Answered {
  reply: Reply;
  /** Of what was asked: the same key with another question is refused. */
  fingerprint: string;
}

/**
 * Kept for at least 24 hours. A store in the rotator's own database, written in the transaction that changes the
 * password, makes every rotation happen exactly once, whatever dies when.
 */
export interface Answers {
  read(key: string): Promise<Answered | undefined> | Answered | undefined;
  write(key: string, answered: Answered): Promise<void> | undefined;
}

const day = 24 * 3_600_000;

/** Answers of this process; a restart forgets them. */
export function memoryAnswers(now: () => number = () => performance.now()): Answers {
  const kept = new Map<string, Answered & { at: number }>();
  return {
    read: (key) => kept.get(key),
    write: (key, answered) => {
      for (const [old, { at }] of kept) if (now() - at > day) kept.delete(old);
      kept.set(key, { ...answered, at: now() });
      return undefined;
    },
  };
}
