/** Engines for issued values with one protective habit taken away: the mutants of the R-type model (`test/model/rtype.ts`). */
import type { IssuedDriver, IssuedRotator } from '../../src/targets/issued.ts';
import { type Broken, ledgerBut } from './world.ts';

const rotatorsBut = (
  real: IssuedDriver,
  members: (of: IssuedRotator) => Partial<IssuedRotator>,
): IssuedDriver => ({
  ...real,
  rotator: (job) => {
    const rotator = real.rotator(job);
    return { ...rotator, ...members(rotator) };
  },
});

/** Before the new value is asked for, something is done to the oldest that works. */
const oldestFirst = (what: 'disable' | 'remove'): Broken => ({
  issuer: (real) =>
    rotatorsBut(real, (rotator) => ({
      issue: async (by) => {
        const listing = await rotator.list();
        const oldest = listing.r === 'listed' ? listing.keys.find((key) => key.active) : undefined;
        if (oldest) await rotator[what](oldest.handle);
        return rotator.issue(by);
      },
    })),
});

/** R1 broken: what was there before the claim is not looked at. */
const noBaseline: Broken = {
  issuer: (real) =>
    rotatorsBut(real, (rotator) => ({
      preflight: async () => {
        const found = await rotator.preflight();
        return found.r === 'ready' ? { ...found, keys: [] } : found;
      },
    })),
};

/** A fenced-out runner removes the key that it made, whoever has it by now. */
const blindCompensation: Broken = {
  ledger: (real) =>
    ledgerBut(real, {
      record: (uid) => {
        const record = real.record(uid);
        return record?.pending?.phase === 'issued' ? { ...record, versions: {} } : record;
      },
    }),
  spool: (real) => ({
    ...real,
    drop: async (key, claim) => {
      await real.drop(key, claim);
      return true;
    },
  }),
};

/** Rule 5 broken: a victim is touched without a push of its name. */
const unjournalled: Broken = {
  ledger: (real) =>
    ledgerBut(real, {
      commit: async (changes, subject, extra, steps = []) => {
        if (!steps.includes('victim')) return real.commit(changes, subject, extra, steps);
        return { r: 'committed', commit: real.tip ?? '', serial: real.state.serial, lost: [] };
      },
    }),
};

/** What an earlier rotation kept is taken for this one's, and nobody asks whether the record names it already. */
const staleSpool: Broken = {
  spool: (real) => {
    const any = <K extends { v: number }>(key: K): K => ({ ...key, v: 1 });
    return {
      ...real,
      put: (key, claim, bytes) => real.put(any(key), claim, bytes),
      take: (key, claim) => real.take(any(key), claim),
      drop: async () => false,
    };
  },
  ledger: (real) =>
    ledgerBut(real, {
      openSealed: async (record, _, bytes, place) => {
        for (const v of Object.keys(record.versions).map(Number).reverse()) {
          const opened = await real.openSealed(record, v, bytes, place).catch(() => null);
          const handle = opened?.fields.accessKeyId ?? '';
          // a disguise from the check that follows, taken off in the commit below
          if (opened) return { ...opened, fields: { accessKeyId: `stale ${handle}` } };
        }
        return real.openSealed(record, 1, bytes, place);
      },
      commit: async (changes, ...rest) => {
        for (const { to } of changes)
          for (const version of Object.values(to?.versions ?? {}))
            if (version.handle) version.handle = version.handle.replace('stale ', '');
        return real.commit(changes, ...rest);
      },
    }),
};

/** The setup of issued-explore.test.ts that each shows itself in. */
export const mutants: Record<string, { broken: Broken; setup: string; promise: RegExp }> = {
  'the old value is switched off first': {
    broken: oldestFirst('disable'),
    setup: 'grace, by the target',
    promise: /^(I5|rule 5)/m,
  },
  'the old value is removed first': {
    broken: oldestFirst('remove'),
    setup: 'grace, by the target',
    promise: /^(I5|rule 5)/m,
  },
  'there is no baseline': { broken: noBaseline, setup: 'a foreign key', promise: /^I6/m },
  'a fenced-out runner compensates blindly': {
    broken: blindCompensation,
    setup: 'grace, by the target',
    promise: /^I6/m,
  },
  'a victim is not named before it is touched': {
    broken: unjournalled,
    setup: 'exclusive, an unknown key',
    promise: /^rule 5/m,
  },
  'a stale spool is believed': { broken: staleSpool, setup: 'grace, by the target', promise: /^I1/m },
};
