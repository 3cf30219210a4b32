import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Secret } from '../src/secret.ts';
import type {
  Issued,
  IssuedDriver,
  IssuedJob,
  IssuedRotator,
  IssueResult,
  Issuing,
} from '../src/targets/issued.ts';
import { closedPort } from './servers/cut-proxy.ts';

export type Actor = IssuedJob['actor'];

/** What a value is asked for with: of targets that mark, the mark. */
export const asking: Issuing = {
  uid: '01JD0000000000000000000000',
  claim: '01JE0000000000000000000000',
  n: 1,
  until: '2099-01-01T00:00:00.000Z',
};

/** What becomes of the next request that makes a value. */
export type IssueFault =
  /** The target makes it; nobody hears of it. */
  | 'lose-reply'
  /** The target never gets it. */
  | 'lose-request'
  /** The target answers with an error that says nothing. */
  | 'fail'
  /** The target answers that it did nothing, for now. */
  | 'throttle';

export interface Provided {
  job: IssuedJob;
  /** A value of the account that works, and that the driver did not make. */
  held: Issued;
}

/** One kind of target that makes values, for the suite that defines what a rotator of them is. */
export interface IssuedFixture {
  readonly driver: IssuedDriver;
  readonly can: {
    actors: readonly Actor[];
    /** The target holds a value and refuses it; false where switching off is removing. */
    disable: boolean;
    /** The target itself refuses more values than `driver.limit`. */
    limit: boolean;
    /** The target tells when a value was used last. */
    lastUse: boolean;
  };
  readonly faults: readonly IssueFault[];
  start(): Promise<void>;
  stop(): Promise<void>;
  /** A fresh account on 127.0.0.1 that may do what `leastPrivileges` says and no more, or whose target may. */
  account(actor: Actor): Promise<Provided>;
  /** An account that holds a value and may do nothing: the job acts as itself. */
  powerless(): Promise<IssuedJob>;
  /** The same job at another port. */
  at(job: IssuedJob, port: number): IssuedJob;
  /** The same job for an account that does not exist. */
  nobody(job: IssuedJob): IssuedJob;
  /** What the account holds, and whether the target takes it, found out without the driver. */
  holds(job: IssuedJob): Promise<{ handle: string; active: boolean }[]>;
  accepts(job: IssuedJob, issued: Issued): Promise<boolean>;
  /** Strikes the next request that makes a value; says how many such requests there were since. */
  fault(fault: IssueFault): () => number;
}

/** Registers the one suite that defines "rotator of issued values". A driver that does not run it is not registered. */
export function describeIssuer(name: string, fixture: IssuedFixture, more: () => void = () => {}): void {
  const { driver, can } = fixture;
  const open: IssuedRotator[] = [];
  const said: unknown[] = [];
  const values: string[] = [];

  const rotatorOf = (job: IssuedJob): IssuedRotator => {
    const rotator = driver.rotator(job);
    open.push(rotator);
    return rotator;
  };
  const account = async (actor: Actor = can.actors[0] ?? 'target'): Promise<Provided> => {
    const provided = await fixture.account(actor);
    values.push(provided.held.value.reveal());
    return provided;
  };
  const heard = async <T>(answer: Promise<T>): Promise<T> => {
    const result = await answer;
    said.push(result);
    return result;
  };
  const ask = (rotator: IssuedRotator): Promise<IssueResult> => heard(rotator.issue(asking));
  const issue = async (rotator: IssuedRotator): Promise<Issued> => {
    const result = await ask(rotator);
    if (result.r !== 'issued') throw new Error(`${result.r} ${result.code}`);
    values.push(result.issued.value.reveal());
    return result.issued;
  };
  const proven = async (rotator: IssuedRotator, issued: Issued): Promise<void> =>
    expect
      .poll(async () => (await heard(rotator.verify(issued))).r, { timeout: 10_000, interval: 50 })
      .toBe('ok');
  const handles = async (job: IssuedJob): Promise<string[]> =>
    (await fixture.holds(job)).map(({ handle }) => handle).sort();

  describe(name, () => {
    beforeAll(() => fixture.start(), 60_000);
    afterAll(() => fixture.stop());
    afterEach(async () => {
      for (const rotator of open.splice(0)) await expect(rotator.close()).resolves.toBeUndefined();
      const text = JSON.stringify(said.splice(0));
      for (const value of values.splice(0))
        expect(value !== '' && text.includes(value), 'an answer holds a value').toBe(false);
    });

    describe.each<Actor>([...can.actors])('as %s', (actor) => {
      it('is ready, and changes nothing by looking', async () => {
        const { job, held } = await account(actor);
        const rotator = rotatorOf(job);
        expect(await heard(rotator.preflight())).toMatchObject({
          r: 'ready',
          keys: [{ handle: held.handle, active: true, createdAt: expect.stringMatching(/^\d{4}-.*Z$/) }],
        });
        expect(await heard(driver.missingPrivileges(job))).toMatchObject({ missing: [] });
        expect(await handles(job)).toEqual([held.handle]);
        expect(await fixture.accepts(job, held)).toBe(true);
      });

      it('makes a second value that works beside the first, and lists it', async () => {
        const { job, held } = await account(actor);
        const rotator = rotatorOf(job);
        const issued = await issue(rotator);
        await proven(rotator, issued);
        expect(issued.handle).not.toBe(held.handle);
        expect(await fixture.accepts(job, issued)).toBe(true);
        expect(await fixture.accepts(job, held)).toBe(true);
        const listing = await heard(rotator.list());
        const listed = listing.r === 'listed' ? listing.keys.map(({ handle }) => handle).sort() : [];
        expect(listed).toEqual(await handles(job));
        expect(listed).toEqual([held.handle, issued.handle].sort());
      });

      it('ends the former value alone, with the new one, as often as it is asked', async () => {
        const { job, held } = await account(actor);
        const issued = await issue(rotatorOf(job));
        await proven(rotatorOf(job), issued);
        const next = rotatorOf(actor === 'self' ? { ...job, login: issued } : job);
        const lastUse = await heard(next.lastUsedAt(held.handle));
        expect(lastUse.r).toBe(can.lastUse ? 'known' : 'unknown');
        for (const _ of ['first', 'again']) {
          expect(await heard(next.disable(held.handle))).toEqual({ r: 'done' });
          expect(await fixture.accepts(job, held)).toBe(false);
          expect(await handles(job)).toEqual(
            can.disable ? [held.handle, issued.handle].sort() : [issued.handle],
          );
        }
        for (const _ of ['first', 'again'])
          expect(await heard(next.remove(held.handle))).toEqual({ r: 'done' });
        expect(await heard(next.disable(held.handle))).toEqual({ r: 'done' });
        expect(await handles(job)).toEqual([issued.handle]);
        expect(await fixture.accepts(job, issued)).toBe(true);
      });

      it.each([...fixture.faults])(
        'asks for a value once, whatever becomes of the answer: %s',
        async (fault) => {
          const { job, held } = await account(actor);
          const hasty = { ...job, target: { ...job.target, timeout: 3_000 } };
          const asked = fixture.fault(fault);
          const expected = fault === 'throttle' ? 'not-sent' : 'ambiguous';
          expect(await ask(rotatorOf(hasty))).toMatchObject({ r: expected });
          expect(asked()).toBe(1);
          const made = (await handles(job)).filter((handle) => handle !== held.handle);
          expect(made).toHaveLength(fault === 'lose-reply' ? 1 : 0);
          expect(await fixture.accepts(job, held)).toBe(true);
        },
      );

      it('sends nothing to a closed port', async () => {
        const { job, held } = await account(actor);
        const rotator = rotatorOf(fixture.at(job, await closedPort()));
        expect(await ask(rotator)).toMatchObject({ r: 'not-sent' });
        for (const answer of [
          rotator.preflight(),
          rotator.list(),
          rotator.verify(held),
          rotator.disable(held.handle),
          rotator.remove(held.handle),
        ])
          expect(await heard<unknown>(answer)).toMatchObject({ r: 'unreachable' });
        expect(await heard(rotator.lastUsedAt(held.handle))).toMatchObject({ r: 'unknown' });
      });
    });

    it('knows a wrong value and one that was removed from the right one', async () => {
      const { job, held } = await account();
      const rotator = rotatorOf(job);
      const issued = await issue(rotator);
      await proven(rotator, issued);
      const wrong = { ...issued, value: new Secret('x'.repeat(40)) };
      expect(await heard(rotator.verify(wrong))).toMatchObject({ r: 'denied' });
      expect(await heard(rotator.remove(issued.handle))).toEqual({ r: 'done' });
      expect(await heard(rotator.verify(issued))).toMatchObject({ r: 'denied' });
      expect(await heard(rotator.verify(held))).toMatchObject({ r: 'ok' });
    });

    it('never takes the value of another account for its own', async () => {
      const { job } = await account();
      const other = await account();
      const probe = await heard(rotatorOf(job).verify(other.held));
      expect(['denied', 'inconclusive']).toContain(probe.r);
    });

    it.runIf(can.limit)('is refused one more than the target allows, and makes none', async () => {
      const { job } = await account();
      const rotator = rotatorOf(job);
      while ((await handles(job)).length < driver.limit) await issue(rotator);
      expect(await ask(rotator)).toMatchObject({ r: 'refused', why: 'limit' });
      expect(await handles(job)).toHaveLength(driver.limit);
    });

    it.runIf(can.actors.includes('target'))('says that the account does not exist', async () => {
      const { job } = await account('target');
      const rotator = rotatorOf(fixture.nobody(job));
      const no = { r: 'refused', why: 'no-account', hint: expect.stringMatching(/./) };
      expect(await heard(rotator.preflight())).toMatchObject(no);
      expect(await ask(rotator)).toMatchObject(no);
    });

    it('is refused where the right is missing, says which, and changes nothing', async () => {
      const job = await fixture.powerless();
      const before = await handles(job);
      const rotator = rotatorOf(job);
      const no = { r: 'refused', why: 'permission', hint: expect.stringMatching(/./) };
      expect(await ask(rotator)).toMatchObject(no);
      expect(await heard(rotator.remove(before[0] ?? ''))).toMatchObject(no);
      expect((await heard(driver.missingPrivileges(job))).missing).not.toEqual([]);
      expect(await handles(job)).toEqual(before);
    });

    it.runIf(can.actors.includes('self'))('is never ambiguous about a login that was refused', async () => {
      const { job, held } = await account('self');
      const rotator = rotatorOf({ ...job, login: { ...held, value: new Secret('y'.repeat(40)) } });
      const no = { r: 'refused', why: 'bad-login' };
      expect(await heard(rotator.preflight())).toMatchObject(no);
      expect(await ask(rotator)).toMatchObject(no);
      expect(await handles(job)).toEqual([held.handle]);
    });

    it('closes more than once, before and after use', async () => {
      const { job } = await account();
      const rotator = rotatorOf(job);
      await rotator.close();
      await rotator.preflight();
      await rotator.close();
      await expect(rotator.close()).resolves.toBeUndefined();
    });

    more();
  });
}
