/**
 * The state as the remote has it: reads and folds the journal at the fetched tip, and appends to it by
 * compare-and-swap (protocol §7). A change names the record that it was computed from; a record that
 * somebody else changed meanwhile is a conflict, another record on the same ref is not (G5).
 */
import { isDeepStrictEqual } from 'node:util';
import canonicalize from 'canonicalize';
import type { Clock } from '../clock.ts';
import type { StateRepository, Tip, Write } from '../git/contract.ts';
import type { Secret } from '../secret.ts';
import { type Admits, admitted, newcomers } from './admission.ts';
import { byName } from './by-name.ts';
import { newest } from './envelope.ts';
import { type Identity, writerOf } from './identity.ts';
import { append, type Folded, fold, isWhole } from './journal.ts';
import type { SecretRecord, State } from './model.ts';
import { currentPath, formatCurrent, pointersMoved } from './pointers.ts';
import { refuseForeign, refuseUnissued, sealed } from './sealing.ts';
import { readSessions, type SessionFile, sessionFolder } from './sessions.ts';
import { listTip, readTip, TipFiles } from './tip.ts';
import { openVersion, valuePath } from './version-file.ts';

export interface Change {
  uid: string;
  name: string;
  /** The record this was computed from; undefined for a new one. */
  from: SecretRecord | undefined;
  /** null drops the record. */
  to: SecretRecord | null;
  /** Sealed values and `current` pointers that travel with it. */
  writes: Write[];
}

export type CommitOutcome =
  /** In the remote. `lost` are changes whose record somebody else had changed: not written. */
  | { r: 'committed'; commit: string; serial: number; lost: Change[] }
  /** The remote said no, for good: nothing of it was written. */
  | { r: 'refused'; why: string; detail: string }
  /** Nobody knows: the remote did not answer. */
  | { r: 'unknown'; detail: string };

export interface LedgerOptions {
  repository: StateRepository;
  identity: Identity;
  /** Recipients of the state: reconcilers and planners. */
  recipients: string[];
  /** Default `as recorded`. */
  admits?: Admits;
  clock: Clock;
  random: (bytes: number) => Uint8Array;
  ulid: () => string;
  /** Who writes, for the segment and the history: `host:user`. */
  runner: string;
  /** Told before each push which steps it carries. */
  announce?: (steps: readonly string[]) => void;
}

const attempts = 8;

export class Ledger {
  readonly #options: LedgerOptions;
  #tip: Tip = null;
  #folded: Folded;
  #readAt = Number.NEGATIVE_INFINITY;
  #files: TipFiles;
  #repo: string;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(options: LedgerOptions, folded: Folded) {
    this.#options = options;
    this.#folded = folded;
    this.#files = new TipFiles(options.repository, null, new Map());
    this.#repo = options.ulid();
  }

  /** Fetches and folds. Throws KeyturnError: unreachable (75), no key, tampered, from the future. */
  static async open(options: LedgerOptions): Promise<Ledger> {
    const ledger = new Ledger(options, await fold(new Map(), options.identity));
    await ledger.refresh();
    return ledger;
  }

  get state(): State {
    return this.#folded.state;
  }

  get tip(): Tip {
    return this.#tip;
  }

  /** The journal's lineage: what the state says, or what the first segment will say. */
  get repo(): string {
    return this.state.repo || this.#repo;
  }

  get place(): string {
    return this.#options.repository.place;
  }

  /** Milliseconds since the tip was last read from the remote, or from disk where there is no remote. */
  age(): number {
    return this.#options.clock.monotonic() - this.#readAt;
  }

  record(uid: string): SecretRecord | undefined {
    return this.state.records[uid];
  }

  refresh(): Promise<void> {
    return this.#inTurn(() => this.#refresh());
  }

  /** Reads and pushes of several attempts never mix: a push builds on the tip that its segment was made for. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #refresh(): Promise<void> {
    const { repository, identity, clock } = this.#options;
    const startedAt = clock.monotonic();
    const tip = await repository.fetch();
    if (tip !== this.#tip || this.#readAt === Number.NEGATIVE_INFINITY) {
      const { folded, files } = await readTip(repository, tip, identity);
      this.#folded = folded;
      this.#files = new TipFiles(repository, tip, files);
      this.#tip = tip;
    }
    this.#readAt = startedAt;
  }

  /** Paths of the tip's tree below a `folder` of `requests/`. */
  paths(folder: string): string[] {
    return this.#files.below(folder);
  }

  /** Throws what `TipFiles.read` throws. */
  readFile(path: string): Promise<Uint8Array> {
    return this.#files.read(path);
  }

  /** Sessions that files of the tip tell of, oldest first. */
  async sessions(): Promise<SessionFile[]> {
    const paths = this.paths(sessionFolder);
    return readSessions(
      new Map(await Promise.all(paths.map(async (p) => [p, await this.readFile(p)] as const))),
    );
  }

  /** One version's value. Throws KeyturnError when the identity may not read it or the file is not the recorded one. */
  async readVersion(
    record: SecretRecord,
    v: number,
  ): Promise<{ value: Secret; fields: Record<string, string> }> {
    const path = valuePath(record.name, v);
    refuseUnissued(record, v);
    const bytes = await this.readFile(path);
    refuseForeign(record, v, bytes, path);
    return this.openSealed(record, v, bytes, path);
  }

  /** What `seal` made, read from `place` instead of the tip. Throws KeyturnError when it is not that version's. */
  openSealed(
    record: SecretRecord,
    v: number,
    bytes: Uint8Array,
    place: string,
  ): Promise<{ value: Secret; fields: Record<string, string> }> {
    const expected = { repo: this.repo, uid: record.uid, name: record.name, v };
    return openVersion(bytes, expected, this.#options.identity, place);
  }

  /** Seals one version to `recipients`: the file to write, and what the record says about it. */
  async seal(
    record: SecretRecord,
    v: number,
    content: { value: Secret; fields: Record<string, string> },
    recipients: readonly string[],
  ): Promise<{ write: Write; sealed: { file: string; readers: string[] } }> {
    const { identity, clock } = this.#options;
    const by = { repo: this.repo, writer: writerOf(identity), at: clock.now().toISOString() };
    return sealed(record, v, content, recipients, by);
  }

  /** The pointer that readers follow to the newest promoted version. */
  pointer(name: string, v: number): Write {
    return { path: currentPath(name), bytes: formatCurrent(v) };
  }

  /**
   * One segment with every change whose record is still as it was computed from; replayed on newer tips
   * until it is in, refused, or lost. After a crash inside, the remote either has all of it or nothing.
   */
  commit(
    changes: readonly Change[],
    subject: string,
    extra: readonly Write[] = [],
    steps: readonly string[] = [],
  ): Promise<CommitOutcome> {
    return this.#inTurn(() => this.#commit(changes, subject, extra, steps));
  }

  async #commit(
    changes: readonly Change[],
    subject: string,
    extra: readonly Write[],
    steps: readonly string[],
  ): Promise<CommitOutcome> {
    this.#options.announce?.(steps);
    const { repository, identity, clock, random, recipients, admits = 'as recorded', runner } = this.#options;
    const mine = this.repo;
    const lost: Change[] = [];
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      const live = changes.filter((change) => !lost.includes(change));
      lost.push(...live.filter((change) => this.repo !== mine || this.#conflicts(change)));
      const kept = live.filter((change) => !lost.includes(change));
      if (kept.length === 0 && extra.length === 0)
        return { r: 'committed', commit: this.#tip ?? '', serial: this.state.serial, lost };
      const { writes, next } = await append(
        this.#folded,
        {
          put: kept.flatMap((change) => (change.to ? [change.to] : [])),
          drop: kept.flatMap((change) => (change.to ? [] : [change.uid])),
        },
        {
          signer: writerOf(identity),
          recipients: admitted(this.#folded, recipients, admits),
          at: clock.now(),
          by: runner,
          newRepo: () => mine,
        },
      );
      const moved = this.#folded.tail.fmt < newest ? pointersMoved(Object.values(this.state.records)) : [];
      const each = [...moved, ...kept.flatMap((change) => change.writes), ...extra, ...writes];
      const all = [...new Map(each.map((write) => [write.path, write])).values()];
      const startedAt = clock.monotonic();
      const outcome = await repository.publish({
        base: this.#tip,
        writes: all,
        subject,
        body: kept.map((change) => change.name).join('\n'),
      });
      if (outcome.r === 'refused') return { r: 'refused', why: outcome.why, detail: outcome.detail };
      if (outcome.r === 'unknown') return { r: 'unknown', detail: outcome.detail };
      if (outcome.r === 'published') {
        if (outcome.tip === this.#tip) throw new Error('published nothing');
        const behind = await this.#catchUp(outcome.tip, next, all, startedAt);
        return { r: 'committed', commit: outcome.tip, serial: behind, lost };
      }
      await clock.sleep((random(1)[0] ?? 0) * attempt);
      await this.#refresh();
    }
    return { r: 'unknown', detail: `${attempts} other pushes came first` };
  }

  /**
   * After our push: whoever has built on it already has added to the journal or begun a new one, which is read then. To
   * go on from our own end of it would take the place of theirs, and their claim would be gone.
   */
  async #catchUp(tip: string, next: Folded, writes: readonly Write[], startedAt: number): Promise<number> {
    const { repository } = this.#options;
    const files = await listTip(repository, tip);
    if (
      isWhole(next, [...files.keys()]) &&
      writes.every((write) => files.has(write.path) === (write.bytes !== null))
    ) {
      this.#folded = next;
      this.#files = new TipFiles(repository, tip, files);
      this.#tip = tip;
      this.#readAt = startedAt;
    } else await this.#refresh();
    return next.state.serial;
  }

  /** Recipients that the newest file of the state is not sealed to. */
  newcomers(): string[] {
    return newcomers(this.#folded, this.#options.recipients);
  }

  #conflicts(change: Change): boolean {
    const theirs = this.state.records[change.uid];
    if (!change.from) return theirs !== undefined || byName(this.state.records).has(change.name);
    if (theirs === undefined) return true;
    return !isDeepStrictEqual(theirs, change.from) && canonicalize(theirs) !== canonicalize(change.from);
  }
}
