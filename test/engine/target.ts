/** A model of a target: accounts that accept one value or two, with or without a history policy and a witness. */
import type { Secret } from '../../src/secret.ts';
import type {
  ChosenDriver,
  ChosenRotator,
  Preflight,
  Probe,
  RotationJob,
  Witness,
} from '../../src/targets/driver.ts';
import type { Hand } from './scheduler.ts';

export interface TargetRules {
  overlap: 'none' | 'dual' | 'alternate';
  /** Refuses any value that it has had before. */
  history: boolean;
  /**
   * Tells an administrator which value is live; or only that it was changed, where a baseline may be read `late`: as
   * it was before the last change.
   */
  witness: boolean | 'changes' | 'late';
  /** The only host whose policy refuses values; undefined: all do. */
  picky?: string;
}

interface Account {
  primary: string | null;
  secondary: string | null;
  locked: boolean;
  had: string[];
}

export class MemoryTarget {
  readonly rules: TargetRules;
  /** Values that this target will still refuse by its policy, whatever they are. */
  refusals = 0;
  /** Logins with a wrong password since somebody last looked. */
  wrongAttempts = 0;
  #accounts = new Map<string, Account>();

  constructor(rules: TargetRules, accounts: Record<string, string | null>) {
    this.rules = rules;
    for (const [name, value] of Object.entries(accounts))
      this.#accounts.set(name, { primary: value, secondary: null, locked: false, had: value ? [value] : [] });
  }

  fork(): MemoryTarget {
    const copy = new MemoryTarget(this.rules, {});
    copy.#accounts = structuredClone(this.#accounts);
    copy.refusals = this.refusals;
    return copy;
  }

  /** What an account is called here: hosts with one value each have their own. */
  nameOf(username: string, host: string): string {
    const there = `${username}@${host}`;
    return this.#accounts.has(there) ? there : username;
  }

  account(name: string): Account {
    const account = this.#accounts.get(name);
    if (!account) throw new Error(`no account ${name}`);
    return account;
  }

  /** Every value that somebody could log in with now. */
  accepted(): string[] {
    return [...this.#accounts.keys()].flatMap((name) => this.acceptedFor(name));
  }

  acceptedFor(name: string): string[] {
    const { primary, secondary, locked } = this.account(name);
    return locked ? [] : [primary, secondary].filter((value) => value !== null);
  }

  login(name: string, value: string): boolean {
    const right = this.acceptedFor(name).includes(value);
    if (!right) this.wrongAttempts += 1;
    return right;
  }

  change(name: string, value: string, retain: boolean): void {
    const account = this.account(name);
    if (retain) account.secondary = account.primary;
    account.primary = value;
    account.locked = false;
    account.had.push(value);
  }
}

const ok = { code: 'OK', detail: 'done' };
const noAnswer = { code: 'ETIMEDOUT', detail: 'no answer' };

export function driverOf(target: MemoryTarget, hand: Hand): ChosenDriver {
  return {
    machine: 'chosen',
    type: 'mysql',
    constraints: () => ({
      alphabet: 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789',
      maxLength: 64,
    }),
    overlap: () => target.rules.overlap,
    binding: ({ type, host, port }, account) => ({
      type,
      host,
      port,
      account: account.usernames.join('|'),
      tls: 'system',
    }),
    rotator: (job) => rotatorOf(target, job, hand),
  };
}

function rotatorOf(target: MemoryTarget, job: RotationJob, hand: Hand): ChosenRotator {
  const { actor, retain } = job;
  const username = target.nameOf(job.username, job.target.name);
  const own = (): boolean =>
    actor === 'target' || (job.current !== undefined && target.login(username, job.current.reveal()));
  const changes = (): number => target.account(username).had.length;
  const isLive = (value: Secret): boolean => target.account(username).primary === value.reveal();
  const set = (value: Secret): Awaited<ReturnType<ChosenRotator['set']>> => {
    if (!own()) return { r: 'refused', why: 'bad-current', code: '1045', detail: 'access denied' };
    if (actor === 'target' && retain && isLive(value)) return { r: 'applied', ...ok };
    if (target.refusals > 0 && (target.rules.picky ?? job.target.name) === job.target.name) {
      target.refusals -= 1;
      return { r: 'refused', why: 'policy', code: '1819', detail: 'too simple' };
    }
    if (target.rules.history && target.account(username).had.includes(value.reveal()))
      return { r: 'refused', why: 'history', code: '3638', detail: 'used before' };
    target.change(username, value.reveal(), retain);
    return { r: 'applied', ...ok };
  };
  /** Refuses unless `live` is what the account has, as the drivers do. */
  const retire = (live: Secret | undefined): Awaited<ReturnType<ChosenRotator['retire']>> => {
    const account = target.account(username);
    if (live === undefined) account.locked = true;
    else if (!isLive(live)) return { r: 'refused', code: 'NOT_LIVE', detail: 'another value is live' };
    else account.secondary = null;
    return { r: 'retired', ...ok };
  };
  return {
    preflight: () =>
      hand.act<Preflight>('preflight', {
        ok: () =>
          own()
            ? {
                r: 'ready',
                server: 'a model',
                baseline: { changes: String(changes() - (target.rules.witness === 'late' ? 1 : 0)) },
                witness: target.rules.witness !== false,
                markedVersion: null,
                warnings: [],
              }
            : { r: 'refused', why: 'bad-current', code: '1045', detail: 'access denied', hint: 'adopt it' },
        unreachable: () => ({ r: 'unreachable', ...noAnswer }),
      }),
    witness: (value, baseline) =>
      hand.act<Witness>('witness', {
        ok: () => {
          if (actor !== 'target' || !target.rules.witness) return 'unknown';
          if (target.rules.witness === true) return isLive(value) ? 'applied' : 'not-applied';
          return changes() > Number(baseline.changes) ? 'changed' : 'not-applied';
        },
        unreachable: () => 'unknown',
      }),
    probe: (value) =>
      hand.act<Probe>('probe', {
        ok: () =>
          target.login(username, value.reveal())
            ? { r: 'ok', ...ok }
            : { r: 'denied', code: '1045', detail: 'access denied' },
        unreachable: () => ({ r: 'unreachable', ...noAnswer }),
        blocked: () => ({ r: 'blocked', code: '3955', detail: 'blocked by failures' }),
      }),
    set: (value) =>
      hand.act('set', {
        ok: () => set(value),
        'applied, no answer': () => {
          set(value);
          return { r: 'ambiguous', ...noAnswer };
        },
        'not applied, no answer': () => ({ r: 'ambiguous', ...noAnswer }),
        'not sent': () => ({ r: 'not-sent', ...noAnswer }),
      }),
    retire: (live) =>
      hand.act('retire', {
        ok: () => retire(live),
        'applied, no answer': () => {
          retire(live);
          return { r: 'unreachable', ...noAnswer };
        },
        unreachable: () => ({ r: 'unreachable', ...noAnswer }),
      }),
    close: async () => undefined,
  };
}
