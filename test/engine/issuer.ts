/** A model of a target that makes values and shows each once: two at a time, lists that lag, new values that flap. */
import type { Spill, Spool, SpoolKey } from '../../src/engine/spool.ts';
import { Secret } from '../../src/secret.ts';
import type { Issued, IssuedDriver, IssuedKey, IssuedRotator, Listing } from '../../src/targets/issued.ts';
import type { Hand } from './scheduler.ts';

export interface IssuerRules {
  graceful: boolean;
  exclusive: boolean;
  /** Somebody makes a key of their own a minute before the rotation, and does not use it yet. */
  foreign: boolean;
}

interface Key extends IssuedKey {
  value: string;
  foreign: boolean;
  /** The process that asked for it. */
  by: number;
}

/** What an account has before keyturn knows of it. */
export const firstHandle = (account: string): string => `KEY-${account}-0`;

/** The keys of one account. */
export class MemoryIssuer {
  keys: Key[] = [];
  /** Every value that somebody switched off or removed, and which process did. */
  touched: { handle: string; by: number; ownIssue: boolean; foreign: boolean }[] = [];
  #made = 0;
  /** What a list that lags still shows. */
  #before: readonly Key[] = [];

  readonly #account: string;

  constructor(account: string, value: string, time: number) {
    this.#account = account;
    this.add(firstHandle(account), value, time, false);
    this.#before = this.keys;
  }

  fork(): MemoryIssuer {
    const copy = new MemoryIssuer(this.#account, '', 0);
    copy.keys = structuredClone(this.keys);
    copy.#before = structuredClone(this.#before);
    copy.#made = this.#made;
    return copy;
  }

  add(handle: string, value: string, time: number, foreign: boolean, by = 0): Key {
    this.#before = [...this.keys];
    const key = { handle, value, createdAt: new Date(time).toISOString(), active: true, foreign, by };
    this.keys = [...this.keys, key];
    return key;
  }

  issue(time: number, by: number): Issued {
    this.#made += 1;
    const name = `${this.#account}-${this.#made}`;
    const { handle, value } = this.add(`KEY-${name}`, `value-${name}`, time, false, by);
    return { handle, value: new Secret(value) };
  }

  get full(): boolean {
    return this.keys.length >= 2;
  }

  listed(lagging: boolean): IssuedKey[] {
    return (lagging ? this.#before : this.keys).map(({ handle, createdAt, active }) => ({
      handle,
      createdAt,
      active,
    }));
  }

  /** The value logs in. */
  accepts(handle: string, value?: string): boolean {
    return this.keys.some(
      (key) => key.handle === handle && key.active && (value === undefined || key.value === value),
    );
  }

  disable(handle: string, by: number): void {
    this.#touch(handle, by);
    this.keys = this.keys.map((key) => (key.handle === handle ? { ...key, active: false } : key));
  }

  remove(handle: string, by: number): void {
    this.#touch(handle, by);
    this.#before = [...this.keys];
    this.keys = this.keys.filter((key) => key.handle !== handle);
  }

  #touch(handle: string, by: number): void {
    const key = this.keys.find((one) => one.handle === handle);
    if (key) this.touched.push({ handle, by, ownIssue: key.by === by, foreign: key.foreign });
  }
}

const noAnswer = { code: 'ETIMEDOUT', detail: 'no answer' };

export type Issuers = ReadonlyMap<string, MemoryIssuer>;

export function issuerOf(issuers: Issuers, hand: Hand, pid: number, now: () => number): IssuedDriver {
  return {
    machine: 'issued',
    leastPrivileges: () => '{}',
    missingPrivileges: async () => ({ missing: [], unknown: [] }),
    type: 'aws',
    handleField: 'accessKeyId',
    limit: 2,
    binding: ({ host, port }, account) => ({
      type: 'aws',
      host,
      port,
      account: account.usernames[0],
      tls: 'system',
    }),
    rotator: (job) => {
      const issuer = issuers.get(job.username);
      if (issuer === undefined) throw new Error(`no account ${job.username}`);
      return rotatorOf(issuer, job.login, hand, pid, now);
    },
  };
}

function rotatorOf(
  issuer: MemoryIssuer,
  login: Issued | undefined,
  hand: Hand,
  pid: number,
  now: () => number,
): IssuedRotator {
  const denied = { code: 'InvalidClientTokenId', detail: 'not accepted' };
  const refused = { r: 'refused', why: 'bad-login', ...denied, hint: 'adopt one' } as const;
  const mayAct = (): boolean => login === undefined || issuer.accepts(login.handle, login.value.reveal());
  const touching = (label: string, change: () => void): ReturnType<IssuedRotator['remove']> => {
    const act = () => {
      if (!mayAct()) return refused;
      change();
      return { r: 'done' as const };
    };
    return hand.act<Awaited<ReturnType<IssuedRotator['remove']>>>(label, {
      ok: act,
      'applied, no answer': () => {
        act();
        return { r: 'unreachable' as const, ...noAnswer };
      },
      unreachable: () => ({ r: 'unreachable' as const, ...noAnswer }),
    });
  };
  const list = (lagging: boolean): Listing =>
    mayAct() ? { r: 'listed', keys: issuer.listed(lagging) } : refused;
  return {
    preflight: () =>
      hand.act<Awaited<ReturnType<IssuedRotator['preflight']>>>('preflight', {
        ok: () =>
          mayAct()
            ? {
                r: 'ready' as const,
                server: 'a model',
                at: new Date(now()).toISOString(),
                keys: issuer.listed(false),
                warnings: [],
              }
            : refused,
        unreachable: () => ({ r: 'unreachable' as const, ...noAnswer }),
      }),
    list: () =>
      hand.act<Listing>('list', {
        ok: () => list(false),
        lagging: () => list(true),
        unreachable: () => ({ r: 'unreachable', ...noAnswer }),
      }),
    issue: () =>
      hand.act<Awaited<ReturnType<IssuedRotator['issue']>>>('issue', {
        ok: () => {
          if (!mayAct()) return refused;
          if (issuer.full)
            return { r: 'refused', why: 'limit', code: 'LimitExceeded', detail: 'full', hint: '' };
          return { r: 'issued', issued: issuer.issue(now(), pid) };
        },
        'made, no answer': () => {
          if (mayAct() && !issuer.full) issuer.issue(now(), pid);
          return { r: 'ambiguous', ...noAnswer };
        },
        'not made, no answer': () => ({ r: 'ambiguous', ...noAnswer }),
        'not sent': () => ({ r: 'not-sent', ...noAnswer }),
        'beyond the limit': () => ({ r: 'issued', issued: issuer.issue(now(), pid) }),
      }),
    verify: ({ handle, value }) =>
      hand.act<Awaited<ReturnType<IssuedRotator['verify']>>>('verify', {
        ok: () =>
          issuer.accepts(handle, value.reveal())
            ? { r: 'ok', code: 'OK', detail: 'done' }
            : { r: 'denied', ...denied },
        flapping: () => ({ r: 'denied', ...denied }),
        unreachable: () => ({ r: 'unreachable', ...noAnswer }),
      }),
    disable: (handle) => touching('disable', () => issuer.disable(handle, pid)),
    remove: (handle) => touching('remove', () => issuer.remove(handle, pid)),
    lastUsedAt: async () => ({ r: 'known', at: null }),
    close: async () => undefined,
  };
}

/** The disks of two machines, and refs beside the branch. */
export class MemorySpools {
  disks: Map<string, { claim: string; bytes: Uint8Array }>[] = [new Map(), new Map()];
  spilled = new Map<string, Uint8Array>();

  fork(): MemorySpools {
    const copy = new MemorySpools();
    copy.disks = this.disks.map((disk) => new Map(disk));
    copy.spilled = new Map(this.spilled);
    return copy;
  }

  of(pid: number): Spool {
    const disk = (): Map<string, { claim: string; bytes: Uint8Array }> => this.disks[pid % 2] ?? new Map();
    const name = ({ uid, v }: SpoolKey): string => `${uid}.${v}`;
    return {
      check: async () => undefined,
      put: async (key, claim, bytes) => {
        disk().set(name(key), { claim, bytes });
      },
      take: async (key, claim) => {
        const kept = disk().get(name(key));
        if (kept) disk().set(name(key), { ...kept, claim });
        return kept?.bytes ?? null;
      },
      drop: async (key, claim) => {
        if (disk().get(name(key))?.claim !== claim) return false;
        return disk().delete(name(key));
      },
    };
  }

  spill(hand: Hand): Spill {
    const name = ({ uid, v }: SpoolKey): string => `${uid}.${v}`;
    return {
      put: (key, _, bytes) =>
        hand.act('spill', {
          ok: () => {
            this.spilled.set(name(key), bytes);
            return null;
          },
          refused: () => 'refused too',
        }),
      find: async (key) => this.spilled.get(name(key)) ?? null,
      drop: async (key) => {
        this.spilled.delete(name(key));
      },
    };
  }
}
