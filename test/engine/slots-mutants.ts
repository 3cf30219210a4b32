/** Engines for values in slots with one protective habit taken away. */
import { Secret } from '../../src/secret.ts';
import { abandoned, versionOf } from '../../src/state/transitions.ts';
import type { SlotDriver, SlotRotator } from '../../src/targets/slots.ts';
import { claimNotPushed, noFence } from './mutants.ts';
import { type Broken, ledgerBut } from './world.ts';

const rotatorsBut = (real: SlotDriver, members: (of: SlotRotator) => Partial<SlotRotator>): SlotDriver => ({
  ...real,
  rotator: (job) => {
    const rotator = real.rotator(job);
    return { ...rotator, ...members(rotator) };
  },
});

/** S3 broken: what a renewal answered is promoted, and nobody looks. */
const believesAnswer: Broken = {
  slots: (real, answers) =>
    rotatorsBut(real, (rotator) => ({
      read: async () => {
        const reading = await rotator.read();
        if (reading.r !== 'read') return reading;
        const slots = reading.slots.map((slot) => {
          const answer = answers.get(slot.name);
          return answer === undefined ? slot : { ...slot, value: new Secret(answer) };
        });
        return { ...reading, slots };
      },
    })),
};

/** Of a pair the one in use is renewed. */
const renewsCurrent: Broken = {
  slots: (real) =>
    rotatorsBut(real, (rotator) => ({
      renew: (slot) => rotator.renew(slot === 'key1' ? 'key2' : 'key1'),
    })),
};

/** Its claim names it, so that a takeover would renew it too. */
const claimsCurrent: Broken = {
  ledger: (real) =>
    ledgerBut(real, {
      commit: (changes, ...rest) => {
        for (const { to } of changes)
          if (to?.pending && to.current !== null)
            versionOf(to, to.pending.v).username = versionOf(to, to.current).username;
        return real.commit(changes, ...rest);
      },
    }),
};

/** S1 broken: nothing is written down by which to know that a slot was renewed. */
const noBaseline: Broken = {
  ledger: (real) =>
    ledgerBut(real, {
      commit: (changes, ...rest) => {
        for (const { to } of changes) if (to?.pending) to.pending.baseline = {};
        return real.commit(changes, ...rest);
      },
    }),
};

/** A claim is given up when its answer is lost, as if that had shown that nothing happened. */
const ambiguousIsNo: Broken = {
  slots: (real) =>
    rotatorsBut(real, (rotator) => ({
      renew: async (slot) => {
        const result = await rotator.renew(slot);
        return result.r === 'ambiguous'
          ? { ...result, r: 'refused', why: 'permission', hint: 'assumed' }
          : result;
      },
    })),
  ledger: (real) =>
    ledgerBut(real, {
      commit: (changes, ...rest) =>
        real.commit(
          changes.map((change) =>
            change.to?.pending && change.to.sched.lastError?.class === 'permission'
              ? { ...change, to: abandoned(change.to, '2027-01-01T00:00:00.000Z') }
              : change,
          ),
          ...rest,
        ),
    }),
};

/** The setup of slots-explore.test.ts that each shows itself in. */
export const mutants: Record<string, { broken: Broken; setup: string; promise: RegExp }> = {
  'what a renewal answers is promoted unread': {
    broken: believesAnswer,
    setup: 'a pair',
    promise: /^S1/m,
  },
  'a slot is renewed before its claim is pushed': {
    broken: claimNotPushed,
    setup: 'one slot',
    promise: /^S1/m,
  },
  'the other slot of a pair is renewed before its claim is pushed': {
    broken: claimNotPushed,
    setup: 'a pair',
    promise: /^S1/m,
  },
  'of a pair the slot in use is renewed': { broken: renewsCurrent, setup: 'a pair', promise: /^S1/m },
  'of a pair the slot in use is claimed': { broken: claimsCurrent, setup: 'a pair', promise: /^I5/m },
  'there is no baseline': { broken: noBaseline, setup: 'one slot', promise: /^S3/m },
  'there is no fence': { broken: noFence, setup: 'one slot', promise: /^S1/m },
  'a lost answer counts as a refusal': { broken: ambiguousIsNo, setup: 'one slot', promise: /^S1/m },
};
