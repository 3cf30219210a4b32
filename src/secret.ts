import { inspect } from 'node:util';
import { conceal } from './redact.ts';

const plaintexts = new WeakMap<Secret, string>();

/**
 * A plaintext that cannot be printed: string conversion, JSON, template strings and `util.inspect` all
 * give `[secret]`. `reveal()` is the only way in, and greppable. Making one teaches the redactor its value.
 */
export class Secret {
  constructor(plaintext: string) {
    plaintexts.set(this, plaintext);
    conceal(plaintext);
  }

  /** The plaintext. Hand it to one call; never store, log or join it. */
  reveal(): string {
    return plaintexts.get(this) ?? '';
  }

  get length(): number {
    return this.reveal().length;
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  [Symbol.toPrimitive](): string {
    return '[secret]';
  }

  [inspect.custom](): string {
    return '[secret]';
  }
}
