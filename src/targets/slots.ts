/**
 * The contract between the engine and a kind of target that keeps a value in each of a few fixed slots, makes a new
 * one there on demand and shows it to whoever may ask, as often as they ask (protocol §4.4). Nothing can be lost: a
 * value that nobody wrote down is read again. The rules of `driver.ts` hold here too.
 */
import { createHmac } from 'node:crypto';
import type { Account, Target } from '../manifests/model.ts';
import type { Secret } from '../secret.ts';
import type { Binding } from '../state/model.ts';
import type { Credentials, Outcome } from './driver.ts';
import type { Privileges, Refusal } from './issued.ts';

export interface Slot {
  name: string;
  value: Secret;
  /** ISO time by the target's clock, where it tells. */
  createdAt: string | null;
}

export type Reading =
  | { r: 'read'; slots: Slot[]; server: string }
  | Refusal
  | ({ r: 'unreachable' } & Outcome);

export type Renewal =
  | { r: 'renewed' }
  /** The target answered no: the value is the one that it was. */
  | Refusal
  /** Nothing was sent, or the target answered that it did nothing, for now. */
  | ({ r: 'not-sent' } & Outcome)
  /** It was sent and no answer came. */
  | ({ r: 'ambiguous' } & Outcome);

export interface SlotJob {
  target: Target;
  admin: Credentials | undefined;
  /** The slots that the manifest names. */
  account: Account;
}

export interface SlotRotator {
  /** Changes nothing. The slots of the manifest, in its order; a slot that the target has not is a refusal. */
  read(): Promise<Reading>;
  /** One call: the value in the slot dies, and a new one stands there. Never tried again by the driver. */
  renew(slot: string): Promise<Renewal>;
  close(): Promise<void>;
}

export interface SlotDriver {
  readonly machine: 'slots';
  readonly type: Target['type'];
  binding(target: Target, account: Account): Binding;
  /** Where the target's own credentials are bound to, when that is not where the slots are. */
  login?(target: Target, account: Account): Binding;
  /** What readers may ask for beside the value. */
  describe(target: Target, slot: string): Record<string, string>;
  rotator(job: SlotJob): SlotRotator;
  /** What the target's credentials must be allowed, in the target's words. */
  leastPrivileges(target: Target): string;
  /** Asked without changing anything. */
  missingPrivileges(job: SlotJob): Promise<Privileges>;
}

/** Tells whether a slot still holds the value that it held, and nothing of the value to whoever does not know it. */
export const fingerprintOf = (uid: string, value: Secret): string =>
  createHmac('sha256', uid).update(value.reveal()).digest('hex');
