/** A model of a target that keeps values in slots: it shows them to whoever asks, and makes a new one on demand. */
import { Secret } from '../../src/secret.ts';
import type { Reading, Renewal, Slot, SlotDriver, SlotRotator } from '../../src/targets/slots.ts';
import type { Hand } from './scheduler.ts';

export interface SlotRules {
  /** Two slots: the one in use is never the one that is renewed. */
  pair: boolean;
  /** For some seconds it may still show what a slot held before. */
  lags: boolean;
}

interface Held {
  value: string;
  createdAt: number;
  /** What it held before. */
  former: string;
}

/** How long a list may lag: less than the engine waits for it. */
const lag = 10_000;

export const slotNames = ({ pair }: SlotRules): [string] | [string, string] =>
  pair ? ['key1', 'key2'] : ['key1'];

export class MemorySlots {
  #held: Record<string, Held>;
  #made = 0;

  constructor(time: number) {
    const born = (value: string): Held => ({ value, createdAt: time, former: value });
    this.#held = { key1: born('initial-1'), key2: born('initial-2') };
  }

  fork(): MemorySlots {
    const copy = new MemorySlots(0);
    copy.#held = structuredClone(this.#held);
    copy.#made = this.#made;
    return copy;
  }

  /** What opens the account by the name of a slot. */
  value(name: string): string {
    return this.#of(name).value;
  }

  /** Answers with the new value, as such targets do. `former`: what a list that lags shows. */
  renew(name: string, time: number, former = this.value(name)): string {
    this.#made += 1;
    const value = `value-${this.#made}`;
    this.#held[name] = { value, createdAt: time, former };
    return value;
  }

  shown(names: readonly string[], time: number, lagging: boolean): Slot[] {
    return names.map((name) => {
      const { value, createdAt, former } = this.#of(name);
      const shows = lagging && time - createdAt < lag ? former : value;
      return { name, value: new Secret(shows), createdAt: new Date(createdAt).toISOString() };
    });
  }

  #of(name: string): Held {
    const held = this.#held[name];
    if (!held) throw new Error(`no slot ${name}`);
    return held;
  }
}

const noAnswer = { code: 'ETIMEDOUT', detail: 'no answer' };

/** `answered` hears what the target answers a renewal with; nothing but a mutant may want to know. */
export function slotDriverOf(
  slots: MemorySlots,
  { lags }: SlotRules,
  hand: Hand,
  now: () => number,
  answered: (slot: string, value: string) => void = () => undefined,
): SlotDriver {
  const rotator = (names: readonly string[]): SlotRotator => ({
    read: () =>
      hand.act<Reading>('read', {
        ok: () => ({ r: 'read', slots: slots.shown(names, now(), false), server: 'a model' }),
        unreachable: () => ({ r: 'unreachable', ...noAnswer }),
        ...(lags
          ? {
              lagging: () => ({
                r: 'read' as const,
                slots: slots.shown(names, now(), true),
                server: 'a model',
              }),
            }
          : {}),
      }),
    renew: (slot) => {
      const renew = (): void => answered(slot, slots.renew(slot, now()));
      return hand.act<Renewal>('renew', {
        ok: () => {
          renew();
          return { r: 'renewed' };
        },
        // somebody on the way repeats it: the answer is that of the first
        'done twice': () => {
          const former = slots.value(slot);
          renew();
          slots.renew(slot, now(), former);
          return { r: 'renewed' };
        },
        'applied, no answer': () => {
          renew();
          return { r: 'ambiguous', ...noAnswer };
        },
        'not applied, no answer': () => ({ r: 'ambiguous', ...noAnswer }),
        'not sent': () => ({ r: 'not-sent', ...noAnswer }),
      });
    },
    close: async () => undefined,
  });
  return {
    machine: 'slots',
    type: 'azure-storage',
    binding: ({ host, port }, { usernames }) => ({
      type: 'azure-storage',
      host,
      port,
      account: usernames.join('|'),
      tls: 'system',
    }),
    describe: (_, slot) => ({ keyName: slot }),
    rotator: ({ account }) => rotator(account.usernames),
    leastPrivileges: () => 'a model asks for none',
    missingPrivileges: async () => ({ missing: [], unknown: [] }),
  };
}
