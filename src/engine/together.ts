/**
 * Pushes of rotations that go on side by side. A remote takes one push at a time, and a second or more for each:
 * whatever comes up meanwhile goes into the next one, all of it together.
 */
import type { Change, CommitOutcome, Ledger } from '../state/ledger.ts';

interface Waiting {
  change: Change;
  /** `record`, for the subject. */
  verb: string;
  /** What stands behind the verb where nothing else is in the push. */
  what: string;
  /** What the push is for, by its failpoints' name. */
  step: string;
}

type Settled = Waiting & { resolve: (outcome: CommitOutcome) => void; reject: (error: unknown) => void };

export class Together {
  readonly #ledger: Pick<Ledger, 'commit'>;
  #waiting: Settled[] = [];
  #turn: Promise<void> = Promise.resolve();

  constructor(ledger: Pick<Ledger, 'commit'>) {
    this.#ledger = ledger;
  }

  /** What `Ledger.commit` says of this change alone; not before the remote has answered. */
  commit(waiting: Waiting): Promise<CommitOutcome> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...waiting, resolve, reject });
      this.#turn = this.#turn.then(() => this.#next());
    });
  }

  async #next(): Promise<void> {
    const all = this.#waiting;
    this.#waiting = [];
    if (all.length === 0) return;
    try {
      const outcome = await this.#push(all);
      // a remote may mind one of them only, and a value that is not pushed is in danger
      if (outcome.r === 'refused' && all.length > 1)
        for (const one of all) one.resolve(await this.#push([one]));
      else for (const one of all) one.resolve(alone(outcome, one.change));
    } catch (error) {
      for (const one of all) one.reject(error);
    }
  }

  #push(all: readonly Waiting[]): Promise<CommitOutcome> {
    return this.#ledger.commit(
      all.map(({ change }) => change),
      `keyturn: ${subject(all)}`,
      [],
      [...new Set(all.map(({ step }) => step))],
    );
  }
}

const alone = (outcome: CommitOutcome, change: Change): CommitOutcome =>
  outcome.r === 'committed' ? { ...outcome, lost: outcome.lost.filter((one) => one === change) } : outcome;

function subject(all: readonly Waiting[]): string {
  return [...new Set(all.map(({ verb }) => verb))]
    .map((verb) => {
      const [one, ...others] = all.filter((waiting) => waiting.verb === verb);
      return `${verb} ${others.length === 0 ? one?.what : `${others.length + 1} secrets`}`;
    })
    .join(', ');
}
