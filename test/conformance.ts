import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Secret } from '../src/secret.ts';
import type { ChosenDriver, Credentials, RotationJob, Witness } from '../src/targets/driver.ts';
import { atPort, baselineOf, makeBench } from './conformance-bench.ts';
import { closedPort, type Fault } from './servers/cut-proxy.ts';

export type Actor = RotationJob['actor'];

export interface AccountOptions {
  actor: Actor;
  /** Dual passwords; only asked for where `can.retain` says so, so grant whatever they need. */
  retain?: boolean;
  /** A pair in `account.usernames`; `username` is the one not in use. */
  alternating?: boolean;
}

/** One kind of server, for the suite that defines what a rotator is. */
export interface RotatorFixture {
  readonly driver: ChosenDriver;
  readonly can: {
    retain: Record<Actor, boolean>;
    witness: Record<Actor, boolean>;
    /** What the witness can say of a value that is live. Default: `applied`. */
    word?: Extract<Witness, 'applied' | 'changed'>;
    /** The target logs in with credentials of its own; default true. */
    admin?: false;
    /** Who may change a value; default both. */
    actors?: readonly Actor[];
    /** The recorded value is tried before it is replaced; default true. */
    baseline?: false;
    /** There is something to end for a value that is over; default true. */
    retire?: false;
    /** Two users that take turns; default true. */
    alternate?: boolean;
  };
  /** Matches the statement that changes a password as it crosses the wire, and nothing sent before it. */
  readonly statement: RegExp;
  /** The same job at another port, where that is more than the target's own; connections are not counted then. */
  at?(job: RotationJob, port: number): RotationJob;
  /** Where the wire cannot be read: makes the server itself fail like this at its next change. True when it has. */
  fault?(fault: Fault, job: RotationJob): Promise<() => boolean>;
  /** A part of what every preflight with the target's login says. */
  readonly warning?: string;
  /** Random values that go through a login; fewer where one takes long. Default 25. */
  readonly draws?: number;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** A fresh account that accepts `current`, at a target on 127.0.0.1 without TLS (the suite reads the wire). */
  account(options: AccountOptions): Promise<RotationJob>;
  /** Whether the server lets `username` in with `value`, found out without the driver. */
  accepts(username: string, value: string): Promise<boolean>;
  /** Somebody who may log in and change nobody else. */
  powerless(): Promise<Credentials>;
}

export { freshValue } from './conformance-bench.ts';

/** Registers the one suite that defines "rotator". A driver that does not run it is not registered. */
export function describeRotator(name: string, fixture: RotatorFixture, more: () => void = () => {}): void {
  const { driver, can, warning } = fixture;
  const said = warning === undefined ? [] : [expect.stringContaining(warning)];
  const at = fixture.at ?? atPort;
  const bench = makeBench(driver, at);
  const counted = fixture.at === undefined;
  const { rotatorOf, behind, draw, currentOf, heard } = bench;

  describe(name, () => {
    beforeAll(() => fixture.start());
    afterAll(() => fixture.stop());
    afterEach(() => bench.clear());

    describe('probe', () => {
      it('answers ok for the live value and denied for another, with one connection each', async () => {
        const [job, proxy] = await behind(await fixture.account({ actor: 'target' }));
        const rotator = rotatorOf(job);
        expect(await heard(rotator.probe(new Secret(currentOf(job))))).toMatchObject({ r: 'ok' });
        if (counted) expect(proxy.connections).toBe(1);
        expect(await heard(rotator.probe(draw()[0]))).toMatchObject({ r: 'denied' });
        if (counted) expect(proxy.connections).toBe(2);
      });

      it('answers unreachable when the server hangs up at the greeting', async () => {
        const [job, proxy] = await behind(await fixture.account({ actor: 'target' }));
        proxy.cutAfter(0);
        expect(await heard(rotatorOf(job).probe(draw()[0]))).toMatchObject({ r: 'unreachable' });
        if (counted) expect(proxy.connections).toBe(1);
      });
    });

    describe.each<Actor>([...(can.actors ?? (['target', 'self'] as const))])('as %s', (actor) => {
      it('is ready, then makes the value live and the old one dead', async () => {
        const job = await fixture.account({ actor });
        const rotator = rotatorOf(job);
        const [value, text] = draw();
        const preflight = await heard(rotator.preflight());
        const warnings = actor === 'target' ? said : [];
        expect(preflight).toMatchObject({ r: 'ready', warnings, witness: can.witness[actor] });
        expect(await heard(rotator.set(value, baselineOf(preflight)))).toMatchObject({ r: 'applied' });
        expect(await heard(rotator.probe(value))).toMatchObject({ r: 'ok' });
        expect(await fixture.accepts(job.username, text)).toBe(true);
        expect(await fixture.accepts(job.username, currentOf(job))).toBe(false);
      });

      it('leaves the value live when set again by another process', async () => {
        const job = await fixture.account({ actor });
        const [value, text] = draw();
        const baseline = baselineOf(await heard(rotatorOf(job).preflight()));
        expect(await heard(rotatorOf(job).set(value, baseline))).toMatchObject({ r: 'applied' });
        const again = await heard(rotatorOf(job).set(value, baseline));
        if (actor === 'target') expect(again).toMatchObject({ r: 'applied' });
        else expect([again.r, 'why' in again && again.why]).toEqual(['refused', 'bad-current']);
        expect(await fixture.accepts(job.username, text)).toBe(true);
      });

      it('knows without a password attempt whether the value is live', async () => {
        const [job, proxy] = await behind(await fixture.account({ actor }));
        const [value] = draw();
        const baseline = baselineOf(await heard(rotatorOf(job).preflight()));
        const mayKnow = <T extends string>(answer: T) => (can.witness[actor] ? answer : 'unknown');
        expect(await heard(rotatorOf(job).witness(value, baseline))).toBe(mayKnow('not-applied'));
        await heard(rotatorOf(job).set(value, baseline));
        const before = proxy.connections;
        expect(await heard(rotatorOf(job).witness(value, baseline))).toBe(mayKnow(can.word ?? 'applied'));
        expect(proxy.connections - before).toBeLessThanOrEqual(1);
      });

      it.each(['lose-reply', 'lose-request', 'swallow-reply'] as const)(
        'answers ambiguous to %s',
        async (fault) => {
          const [job, proxy] = await behind(await fixture.account({ actor }));
          const [value, text] = draw();
          const hasty = { ...job, target: { ...job.target, timeout: 3_500 } };
          const baseline = baselineOf(await heard(rotatorOf(job).preflight()));
          if (fixture.fault === undefined) proxy.cut(fixture.statement, fault);
          const struck = (await fixture.fault?.(fault, job)) ?? (() => proxy.struck);
          expect(await heard(rotatorOf(hasty).set(value, baseline))).toMatchObject({ r: 'ambiguous' });
          expect(struck()).toBe(true);
          const live = fault !== 'lose-request';
          expect(await fixture.accepts(job.username, text)).toBe(live);
          if (can.witness[actor]) {
            expect(await heard(rotatorOf(job).witness(value, baseline))).toBe(
              live ? (can.word ?? 'applied') : 'not-applied',
            );
          }
        },
      );

      it('sends nothing to a closed port', async () => {
        const job = at(await fixture.account({ actor }), await closedPort());
        const rotator = rotatorOf(job);
        const [value] = draw();
        expect(await heard(rotator.preflight())).toMatchObject({ r: 'unreachable' });
        expect(await heard(rotator.witness(value, {}))).toBe('unknown');
        expect(await heard(rotator.probe(value))).toMatchObject({ r: 'unreachable' });
        expect(await heard(rotator.set(value, {}))).toMatchObject({ r: 'not-sent' });
        const ended = can.retire === false ? 'retired' : 'unreachable';
        expect(await heard(rotator.retire(value))).toMatchObject({ r: ended });
      });

      it.skipIf(actor === 'target' && can.admin === false)(
        'is never ambiguous about a login of its own that was refused',
        async () => {
          const job = await fixture.account({ actor });
          const wrong = draw()[0];
          const lost: RotationJob =
            actor === 'self'
              ? { ...job, current: wrong }
              : { ...job, admin: { username: job.admin?.username ?? '', password: wrong } };
          const rotator = rotatorOf(lost);
          expect(await heard(rotator.preflight())).toMatchObject({ r: 'refused', why: 'bad-current' });
          expect(await heard(rotator.set(draw()[0], {}))).toMatchObject({ r: 'refused', why: 'bad-current' });
          expect(await fixture.accepts(job.username, currentOf(job))).toBe(true);
        },
      );

      it('refuses what the alphabet and the length do not allow, before it sends anything', async () => {
        const [job, proxy] = await behind(await fixture.account({ actor }));
        const { alphabet, maxLength } = driver.constraints(job.target);
        const bad = ["'", '"', '\\', '`', '\n', '\0', 'é'].filter((symbol) => !alphabet.includes(symbol));
        const rotator = rotatorOf(job);
        for (const text of [...bad.map((symbol) => `Aa1-${symbol}Aa1-Aa1-`), 'a'.repeat(maxLength + 1)]) {
          expect(await heard(rotator.set(new Secret(text), {}))).toMatchObject({
            r: 'refused',
            why: 'policy',
          });
        }
        expect(proxy.sent).not.toMatch(fixture.statement);
        expect(await fixture.accepts(job.username, currentOf(job))).toBe(true);
      });

      it.runIf(can.retain[actor])('keeps the old value beside the new one until it is retired', async () => {
        const job = await fixture.account({ actor, retain: true });
        const [value, text] = draw();
        const baseline = baselineOf(await heard(rotatorOf(job).preflight()));
        expect(await heard(rotatorOf(job).set(value, baseline))).toMatchObject({ r: 'applied' });
        await heard(rotatorOf(job).set(value, baseline));
        for (const live of [currentOf(job), text])
          expect(await fixture.accepts(job.username, live)).toBe(true);
        const promoted = { ...job, current: value };
        for (const _ of ['first', 'again']) {
          expect(await heard(rotatorOf(promoted).retire(value))).toMatchObject({ r: 'retired' });
          expect(await fixture.accepts(job.username, text)).toBe(true);
          expect(await fixture.accepts(job.username, currentOf(job))).toBe(false);
        }
      });

      it.runIf(!can.retain[actor])('says at preflight that it cannot keep the old value', async () => {
        const job = { ...(await fixture.account({ actor })), retain: true };
        const preflight = await heard(rotatorOf(job).preflight());
        expect(preflight).toMatchObject({ r: 'refused', hint: expect.stringMatching(/./) });
        expect(await fixture.accepts(job.username, currentOf(job))).toBe(true);
      });
    });

    it.skipIf(can.baseline === false)(
      'warns when the recorded value is not accepted, and rotates all the same',
      async () => {
        const job = { ...(await fixture.account({ actor: 'target' })), current: draw()[0] };
        const rotator = rotatorOf(job);
        const preflight = await heard(rotator.preflight());
        const warnings = [...said, expect.stringContaining('not accepted')];
        expect(preflight).toMatchObject({ r: 'ready', warnings });
        expect(await heard(rotator.set(draw()[0], baselineOf(preflight)))).toMatchObject({ r: 'applied' });
      },
    );

    it.skipIf(can.admin === false)('says that the account does not exist', async () => {
      const job = {
        ...(await fixture.account({ actor: 'target' })),
        username: 'kt_nobody',
        current: undefined,
      };
      const nobody: RotationJob = { ...job, account: { ...job.account, usernames: ['kt_nobody'] } };
      expect(await heard(rotatorOf(nobody).preflight())).toMatchObject({ r: 'refused', why: 'no-account' });
      expect((await heard(rotatorOf(nobody).set(draw()[0], {}))).r).toBe('refused');
    });

    it.skipIf(can.admin === false)(
      'is refused where the administrator lacks the right, and changes nothing',
      async () => {
        const job = { ...(await fixture.account({ actor: 'target' })), admin: await fixture.powerless() };
        const rotator = rotatorOf(job);
        expect(await heard(rotator.preflight())).toMatchObject({ r: 'refused', why: 'permission' });
        expect(await heard(rotator.set(draw()[0], {}))).toMatchObject({ r: 'refused', why: 'permission' });
        expect(await fixture.accepts(job.username, currentOf(job))).toBe(true);
      },
    );

    it.runIf(can.alternate !== false)(
      'locks the user of a pair that is not in use, and opens it with its next value',
      async () => {
        const job = await fixture.account({ actor: 'target', alternating: true });
        expect(driver.overlap(job.account)).toBe('alternate');
        const [other] = job.account.usernames.filter((username) => username !== job.username);
        const [first, firstText] = draw();
        const [second, secondText] = draw();
        expect(await heard(rotatorOf(job).set(first, {}))).toMatchObject({ r: 'applied' });
        for (const _ of ['first', 'again']) {
          expect(await heard(rotatorOf(job).retire(undefined))).toMatchObject({ r: 'retired' });
          expect(await fixture.accepts(job.username, firstText)).toBe(false);
        }
        const next = { ...job, mark: { ...job.mark, version: job.mark.version + 1 } };
        expect(await heard(rotatorOf(next).set(second, {}))).toMatchObject({ r: 'applied' });
        expect(await fixture.accepts(job.username, secondText)).toBe(true);
        expect(other).toBeDefined();
      },
    );

    it('takes every allowed symbol through a login', async () => {
      const job = await fixture.account({ actor: 'target' });
      const { alphabet, maxLength } = driver.constraints(job.target);
      const rotator = rotatorOf(job);
      const roundTrip = async (text: string) => {
        const [value] = draw(text);
        expect(await heard(rotator.set(value, {}))).toMatchObject({ r: 'applied' });
        expect(await heard(rotator.probe(value))).toMatchObject({ r: 'ok' });
        expect(await fixture.accepts(job.username, text)).toBe(true);
      };
      await roundTrip(alphabet.slice(0, maxLength));
      const text = fc.string({
        unit: fc.constantFrom(...alphabet),
        minLength: 12,
        maxLength: Math.min(maxLength, 64),
      });
      await fc.assert(fc.asyncProperty(text, roundTrip), { numRuns: fixture.draws ?? 25 });
    });

    it('closes more than once, before and after use', async () => {
      const rotator = rotatorOf(await fixture.account({ actor: 'target' }));
      await rotator.close();
      await rotator.preflight();
      await rotator.close();
      await expect(rotator.close()).resolves.toBeUndefined();
    });

    more();
  });
}
