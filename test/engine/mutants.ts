/** Engines with one protective habit taken away, by breaking the piece of the world that carries it. */
import { createHash, randomBytes } from 'node:crypto';
import type { Oid, Tip } from '../../src/git/contract.ts';
import { Secret } from '../../src/secret.ts';
import type { Change } from '../../src/state/ledger.ts';
import { abandoned, versionOf } from '../../src/state/transitions.ts';
import type { ChosenDriver, ChosenRotator } from '../../src/targets/driver.ts';
import { reconciler } from './desired.ts';
import { type Broken, ledgerBut } from './world.ts';

function rotatorsBut(
  real: ChosenDriver,
  members: (of: ChosenRotator) => Partial<ChosenRotator>,
): ChosenDriver {
  return {
    ...real,
    rotator: (job) => {
      const rotator = real.rotator(job);
      return { ...rotator, ...members(rotator) };
    },
  };
}

const isClaim = ({ from, to }: Change): boolean =>
  to !== null && to.pending !== null && to.pending.claim.id !== from?.pending?.claim.id;

/** Rule 1 broken: the value travels to the remote together with its promotion. */
export const claimNotPushed: Broken = {
  ledger: (real) => {
    const held = new Map<string, Change>();
    return ledgerBut(real, {
      record: (uid) => held.get(uid)?.to ?? real.record(uid),
      commit: async (changes, ...rest) => {
        for (const change of changes) if (isClaim(change)) held.set(change.uid, change);
        const others = changes
          .filter((change) => !isClaim(change))
          .map((change) => {
            const claim = held.get(change.uid);
            held.delete(change.uid);
            return claim
              ? { ...change, from: claim.from, writes: [...claim.writes, ...change.writes] }
              : change;
          });
        if (others.length === 0)
          return { r: 'committed', commit: real.tip ?? '', serial: real.state.serial, lost: [] };
        return real.commit(others, ...rest);
      },
    });
  },
};

/** Rule 2 broken: whoever takes over invents a value in place of the one that may be live. */
const takeoverDrawsAnew: Broken = {
  ledger: (real) => {
    const drawn = new Map<string, Secret>();
    return ledgerBut(real, {
      readVersion: async (record, v) => {
        const read = await real.readVersion(record, v);
        if (record.pending?.v !== v) return read;
        const value = new Secret(randomBytes(12).toString('hex'));
        drawn.set(record.uid, value);
        return { ...read, value };
      },
      commit: async (changes, ...rest) => {
        for (const { uid, to, writes } of changes) {
          const value = drawn.get(uid);
          if (!to?.pending || !value) continue;
          const { v } = to.pending;
          const { username } = versionOf(to, v);
          const made = await real.seal(to, v, { value, fields: { username } }, [reconciler.recipient]);
          to.versions = { ...to.versions, [v]: { ...versionOf(to, v), ...made.sealed } };
          writes.push(made.write);
          drawn.delete(uid);
        }
        return real.commit(changes, ...rest);
      },
    });
  },
};

/** Rule 3 broken: a refused value is dropped unasked, as if two logins had shown that it is not live. */
const dropOnRefusal: Broken = {
  driver: (real) =>
    rotatorsBut(real, (rotator) => {
      const answers: ('denied' | 'ok')[] = [];
      return {
        set: async (value, baseline) => {
          const result = await rotator.set(value, baseline);
          if (result.r === 'refused') answers.push('denied', 'ok');
          return result;
        },
        probe: async (value) => {
          const r = answers.shift();
          return r ? { r, code: 'UNASKED', detail: 'assumed' } : rotator.probe(value);
        },
      };
    }),
};

/** Rule 3 broken: any failure drops the pending version. */
const dropOnError: Broken = {
  ledger: (real) =>
    ledgerBut(real, {
      commit: (changes, ...rest) =>
        real.commit(
          changes.map((change) =>
            change.to?.pending && change.from?.pending && !isClaim(change)
              ? { ...change, to: abandoned(change.to, '2027-01-01T00:00:00.000Z') }
              : change,
          ),
          ...rest,
        ),
    }),
};

/** G6 broken: a runner that was away believes that its claim is still its own and still young. */
export const noFence: Broken = {
  ledger: (real) => {
    const claims = new Map<string, NonNullable<Change['to']>>();
    return ledgerBut(real, {
      age: () => 0,
      record: (uid) => claims.get(uid) ?? real.record(uid),
      commit: async (changes, ...rest) => {
        for (const change of changes) {
          if (isClaim(change) && change.to) claims.set(change.uid, change.to);
          else claims.delete(change.uid);
        }
        return real.commit(changes, ...rest);
      },
    });
  },
  clock: (real) => {
    const then = real.now();
    return { ...real, now: () => then, monotonic: () => 0 };
  },
};

/** §3.6 broken: a second RETAIN without looking, which kills the value that readers still have. */
const blindRetain: Broken = {
  driver: (real) => rotatorsBut(real, () => ({ witness: async () => 'not-applied' })),
};

/** G5 broken: what was on top of our push when it was looked for counts as seen, and the journal goes on from our end. */
const onOurOwnEnd: Broken = {
  repository: (real) => {
    let ours: { tip: Tip; files: Map<string, Oid> } | undefined;
    return {
      ...real,
      publish: async (publication) => {
        const files = await real.list(publication.base, ['state', 'values', 'requests']);
        for (const { path, bytes } of publication.writes) {
          if (bytes === null) files.delete(path);
          else files.set(path, createHash('sha256').update(bytes).digest('hex'));
        }
        const outcome = await real.publish(publication);
        if (outcome.r === 'published') ours = { tip: outcome.tip, files };
        return outcome;
      },
      list: async (tip, folders) =>
        ours !== undefined && tip === ours.tip ? ours.files : real.list(tip, folders),
    };
  },
};

/** The setup of explore.test.ts that each shows itself in. */
export const mutants: Record<string, { broken: Broken; setup: string; promise: RegExp }> = {
  'the claim is not pushed before the SET': {
    broken: claimNotPushed,
    setup: 'single value, by the target',
    promise: /^I1/m,
  },
  'a takeover draws a new value': {
    broken: takeoverDrawsAnew,
    setup: 'single value, by the target',
    promise: /^I1/m,
  },
  'a refused value is dropped without a login': {
    broken: dropOnRefusal,
    setup: 'single value, by the target, history',
    promise: /^I3/m,
  },
  'a failure drops the pending version': {
    broken: dropOnError,
    setup: 'single value, by the target',
    promise: /^I3/m,
  },
  'there is no fence': {
    broken: noFence,
    setup: 'one policy refusal, by the target',
    promise: /^I[13]/m,
  },
  'what came right after a push is not read': {
    broken: onOurOwnEnd,
    setup: 'two secrets, by the target',
    promise: /^I[13]/m,
  },
  'RETAIN is repeated blindly': {
    broken: blindRetain,
    setup: 'two values, by the account',
    promise: /^I5/m,
  },
};
