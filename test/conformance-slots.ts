import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  fingerprintOf,
  type Slot,
  type SlotDriver,
  type SlotJob,
  type SlotRotator,
} from '../src/targets/slots.ts';
import { closedPort } from './servers/cut-proxy.ts';

/** What becomes of the next request that renews a slot. */
export type RenewFault =
  /** The target renews it; nobody hears of it. */
  | 'lose-reply'
  /** The target renews it, and whoever asked waits for ever. */
  | 'swallow-reply'
  /** The target never gets it. */
  | 'lose-request'
  /** The target answers with an error that says nothing. */
  | 'fail'
  /** The target answers that it did nothing, for now. */
  | 'throttle';

const happened: RenewFault[] = ['lose-reply', 'swallow-reply'];

/** One kind of target that keeps values in slots, for the suite that defines what a rotator of them is. */
export interface SlotFixture {
  readonly driver: SlotDriver;
  readonly can: {
    /** The target tells when a value was made. */
    createdAt: boolean;
  };
  readonly faults: readonly RenewFault[];
  start(): Promise<void>;
  stop(): Promise<void>;
  /** A fresh account on 127.0.0.1 with two slots, whose login may do what `leastPrivileges` says and no more. */
  account(): Promise<SlotJob>;
  /** The same, with a login that may read the slots and not renew them, and with one that may do nothing. */
  powerless(may: 'read' | 'nothing'): Promise<SlotJob>;
  /** The same job at another port. */
  at(job: SlotJob, port: number): SlotJob;
  /** The same job for an account that does not exist, for a slot that it has not, and with a wrong login. */
  nobody(job: SlotJob): SlotJob;
  noSlot(job: SlotJob): SlotJob;
  stranger(job: SlotJob): SlotJob;
  /** What every slot holds, by its name, found out without the driver. */
  holds(job: SlotJob): Promise<Record<string, string>>;
  /** Strikes the next request that renews; says how many such requests there were since. */
  fault(fault: RenewFault): () => number;
}

/** Registers the one suite that defines "rotator of slots". A driver that does not run it is not registered. */
export function describeSlots(name: string, fixture: SlotFixture): void {
  const { driver, can } = fixture;
  const open: SlotRotator[] = [];
  const said: unknown[] = [];
  const values = new Set<string>();

  const rotatorOf = (job: SlotJob): SlotRotator => {
    const rotator = driver.rotator(job);
    open.push(rotator);
    return rotator;
  };
  const heard = async <T>(answer: Promise<T>): Promise<T> => {
    const result = await answer;
    said.push(result);
    return result;
  };
  const read = async (rotator: SlotRotator): Promise<Slot[]> => {
    const reading = await heard(rotator.read());
    if (reading.r !== 'read') throw new Error(`${reading.r} ${reading.code}`);
    return reading.slots;
  };
  const shown = async (rotator: SlotRotator): Promise<Record<string, string>> =>
    Object.fromEntries((await read(rotator)).map((slot) => [slot.name, slot.value.reveal()]));
  const held = async (job: SlotJob): Promise<Record<string, string>> => {
    const all = await fixture.holds(job);
    for (const value of Object.values(all)) values.add(value);
    return all;
  };
  const pair = ({ account: { usernames } }: SlotJob): [string, string] => {
    const [first, second] = usernames;
    if (second === undefined) throw new Error('the fixture gives two slots');
    return [first, second];
  };
  const refusal = (why: string) => ({
    r: 'refused',
    why,
    code: expect.stringMatching(/./),
    detail: expect.stringMatching(/./),
    hint: expect.stringMatching(/./),
  });

  describe(name, () => {
    beforeAll(() => fixture.start(), 60_000);
    afterAll(() => fixture.stop());
    afterEach(async () => {
      for (const rotator of open.splice(0)) await expect(rotator.close()).resolves.toBeUndefined();
      const text = JSON.stringify(said.splice(0));
      for (const value of values)
        expect(value !== '' && text.includes(value), 'an answer holds a value').toBe(false);
      values.clear();
    });

    it('shows what every slot of the manifest holds, in its order, and changes nothing by looking', async () => {
      const job = await fixture.account();
      const [first, second] = pair(job);
      const before = await held(job);
      for (const usernames of [
        [first, second],
        [second, first],
        [second],
      ] as SlotJob['account']['usernames'][]) {
        const slots = await read(rotatorOf({ ...job, account: { ...job.account, usernames } }));
        expect(slots.map((slot) => slot.name)).toEqual(usernames);
        for (const slot of slots) {
          expect(slot.value.reveal()).toBe(before[slot.name]);
          if (can.createdAt) expect(new Date(slot.createdAt ?? '').toISOString()).toBe(slot.createdAt);
          else expect(slot.createdAt).toBeNull();
        }
      }
      expect(await heard(driver.missingPrivileges(job))).toMatchObject({ missing: [] });
      expect(await held(job)).toEqual(before);
    });

    it('renews one slot and leaves the other alone, either of them, again and again', async () => {
      const job = await fixture.account();
      const [first, second] = pair(job);
      const rotator = rotatorOf(job);
      const seen = new Set(Object.values(await held(job)));
      for (const [slot, other] of [
        [first, second],
        [second, first],
        [second, first],
      ] as const) {
        const before = await held(job);
        expect(await heard(rotator.renew(slot))).toEqual({ r: 'renewed' });
        const after = await held(job);
        expect(after[other]).toBe(before[other]);
        expect(seen).not.toContain(after[slot]);
        seen.add(after[slot] ?? '');
        expect(await shown(rotator)).toEqual(after);
      }
    });

    it('shows a renewal by its fingerprint to whoever comes later, and shows it to everybody alike', async () => {
      const job = await fixture.account();
      const [slot] = pair(job);
      const print = async (): Promise<string[]> =>
        (await read(rotatorOf(job))).map(({ value }) => fingerprintOf('01JD0000000000000000000000', value));
      const before = await print();
      expect(await print()).toEqual(before);
      await heard(rotatorOf(job).renew(slot));
      await held(job);
      const after = await print();
      expect(after[0]).not.toBe(before[0]);
      expect(after[1]).toBe(before[1]);
      expect(await print()).toEqual(after);
    });

    it('two who renew a slot side by side read the same value afterwards', async () => {
      const job = await fixture.account();
      const [slot] = pair(job);
      const [one, other] = [rotatorOf(job), rotatorOf(job)];
      expect(await Promise.all([heard(one.renew(slot)), heard(other.renew(slot))])).toEqual([
        { r: 'renewed' },
        { r: 'renewed' },
      ]);
      const after = await held(job);
      expect(await shown(one)).toEqual(after);
      expect(await shown(other)).toEqual(after);
    });

    it.each([...fixture.faults])('renews once, whatever becomes of the answer: %s', async (fault) => {
      const job = await fixture.account();
      const [slot, other] = pair(job);
      const hasty = { ...job, target: { ...job.target, timeout: 3_000 } };
      const before = await held(job);
      const asked = fixture.fault(fault);
      expect(await heard(rotatorOf(hasty).renew(slot))).toMatchObject({
        r: fault === 'throttle' ? 'not-sent' : 'ambiguous',
      });
      expect(asked()).toBe(1);
      const after = await held(job);
      expect(after[other]).toBe(before[other]);
      expect(after[slot] !== before[slot]).toBe(happened.includes(fault));
      // nothing is lost: whoever looks finds out what happened
      expect(await shown(rotatorOf(job))).toEqual(after);
    });

    it('sends nothing to a closed port', async () => {
      const job = await fixture.account();
      const [slot] = pair(job);
      const before = await held(job);
      const rotator = rotatorOf(fixture.at(job, await closedPort()));
      expect(await heard(rotator.renew(slot))).toMatchObject({ r: 'not-sent' });
      expect(await heard(rotator.read())).toMatchObject({ r: 'unreachable' });
      expect(await held(job)).toEqual(before);
    });

    it('says that the account or the slot does not exist', async () => {
      const job = await fixture.account();
      const [slot] = pair(job);
      const before = await held(job);
      const nobody = rotatorOf(fixture.nobody(job));
      expect(await heard(nobody.read())).toMatchObject(refusal('no-account'));
      expect(await heard(nobody.renew(slot))).toMatchObject(refusal('no-account'));
      const without = fixture.noSlot(job);
      expect(await heard(rotatorOf(without).read())).toMatchObject(refusal('no-account'));
      const [missing] = without.account.usernames;
      expect(await heard(rotatorOf(without).renew(missing))).toMatchObject({ r: 'refused' });
      expect(await held(job)).toEqual(before);
    });

    it('is never ambiguous about a login that was refused', async () => {
      const job = await fixture.account();
      const [slot] = pair(job);
      const before = await held(job);
      const rotator = rotatorOf(fixture.stranger(job));
      expect(await heard(rotator.read())).toMatchObject(refusal('bad-login'));
      expect(await heard(rotator.renew(slot))).toMatchObject(refusal('bad-login'));
      expect(await held(job)).toEqual(before);
    });

    it.each(['read', 'nothing'] as const)('says which right is missing to one that may %s', async (may) => {
      const job = await fixture.powerless(may);
      const [slot] = pair(job);
      const before = await held(job);
      const rotator = rotatorOf(job);
      if (may === 'read') expect(await shown(rotator)).toEqual(before);
      else expect(await heard(rotator.read())).toMatchObject(refusal('permission'));
      expect(await heard(rotator.renew(slot))).toMatchObject(refusal('permission'));
      const { missing, unknown } = await heard(driver.missingPrivileges(job));
      expect([...missing, ...unknown]).not.toEqual([]);
      expect(driver.leastPrivileges(job.target)).toMatch(/./);
      expect(await held(job)).toEqual(before);
    });

    it('is bound to its account and slots, and tells readers of them what is no secret', async () => {
      const job = await fixture.account();
      const [slot, other] = pair(job);
      const bindingOf = (usernames: SlotJob['account']['usernames']) =>
        driver.binding(job.target, { ...job.account, usernames });
      expect(bindingOf([slot, other])).toEqual(driver.binding(job.target, job.account));
      expect(bindingOf([slot])).not.toEqual(bindingOf([other]));
      const elsewhere = fixture.nobody(job);
      expect(driver.binding(elsewhere.target, elsewhere.account)).not.toEqual(bindingOf([slot, other]));
      const fields = JSON.stringify([driver.describe(job.target, slot), bindingOf([slot, other])]);
      for (const value of Object.values(await held(job))) expect(fields).not.toContain(value);
    });

    it('closes more than once, before and after use', async () => {
      const job = await fixture.account();
      const before = await held(job);
      const rotator = rotatorOf(job);
      await rotator.close();
      expect(await shown(rotator)).toEqual(before);
      await rotator.close();
      expect(await shown(rotator)).toEqual(before);
      await expect(rotator.close()).resolves.toBeUndefined();
    });
  });
}
