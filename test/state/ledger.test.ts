/** Two runners, one remote, real git: what is written, what is lost, and what is refused. */
import { chmodSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fingerprint } from '../../src/age/fingerprint.ts';
import type { Change } from '../../src/state/ledger.ts';
import { currentPath } from '../../src/state/pointers.ts';
import { seal } from '../../src/state/sealed.ts';
import { valuePath } from '../../src/state/version-file.ts';
import { put, testClock } from '../git/world.ts';
import { added, changed, ci, files, ledger, pushByHand, remote, tip, withValue, world } from './ledgers.ts';
import { at, reader, record, refusal, words } from './people.ts';

describe('a commit', () => {
  test('is in the remote, for everybody who opens it', async () => {
    const one = await ledger();
    expect(one.state).toMatchObject({ serial: 0, records: {} });
    const outcome = await one.commit([added('A'), added('B')], 'add two', [], ['claim']);
    expect(outcome).toEqual({ r: 'committed', commit: tip(), serial: 1, lost: [] });
    const two = await ledger();
    expect(two.state).toEqual(one.state);
    expect(two.repo).toBe(one.repo);
    expect(Object.keys(two.state.records)).toEqual(['A', 'B']);
  });

  test('of nothing makes no commit', async () => {
    const one = await ledger();
    const before = tip();
    expect(await one.commit([], 'nothing')).toMatchObject({ r: 'committed', lost: [] });
    expect(tip()).toBe(before);
  });

  test('carries values, pointers and other files, and removes them', async () => {
    const one = await ledger();
    const a = await withValue(one, 'A', 'the-value-of-a');
    expect(files()).toEqual(expect.arrayContaining([valuePath(a.name, 1), currentPath(a.name)]));
    const drop: Change = {
      uid: 'A',
      name: a.name,
      from: one.record('A'),
      to: null,
      writes: [valuePath(a.name, 1), currentPath(a.name)].map((path) => ({ path, bytes: null })),
    };
    expect(await one.commit([drop], 'destroy')).toMatchObject({ r: 'committed' });
    expect(files().filter((path) => path.startsWith('values/'))).toEqual([]);
    expect((await ledger()).state.records).toEqual({});
  });

  test('to a state of former days moves every pointer to where it stands today, once', async () => {
    const one = await ledger();
    const [a, b] = [await withValue(one, 'A', 'the-value-of-a'), await withValue(one, 'B', 'the-value-of-b')];
    expect(one.state.serial).toBe(2);
    const snapshot = await seal(
      {
        ...{ fmt: 1, purpose: 'state', repo: one.repo, serial: 3, prev: one.state.head, kind: 'snapshot' },
        ...{ at: at.toISOString(), by: 'test:runner', readers: [fingerprint(ci.recipient)] },
        ...{ put: one.state.records, drop: [] },
      },
      { recipients: [ci.recipient], signer: ci.signer },
    );
    pushByHand((clone) => {
      rmSync(join(clone, 'state'), { recursive: true });
      put(join(clone, 'state/00000003.age'), snapshot);
      for (const { name } of [a, b]) {
        rmSync(join(clone, currentPath(name)));
        put(join(clone, `values/${name}/current`), '1\n');
      }
    });
    const two = await ledger();
    const drop: Change = {
      ...{ uid: 'B', name: b.name, from: two.record('B'), to: null },
      writes: [valuePath(b.name, 1), currentPath(b.name)].map((path) => ({ path, bytes: null })),
    };
    expect(await two.commit([drop], 'destroy b')).toMatchObject({ r: 'committed', lost: [] });
    expect(files().filter((path) => path.startsWith('values/'))).toEqual([
      valuePath(a.name, 1),
      currentPath(a.name),
    ]);
    await two.commit([changed(two, 'A', { health: 'drift' })], 'once more');
    const touched = world.git(remote, 'diff', '--name-only', 'main~1', 'main').split('\n');
    expect(touched.every((path) => path.startsWith('state/'))).toBe(true);
  });

  test('beside what somebody else changed meanwhile is written on top of it', async () => {
    const one = await ledger();
    await one.commit([added('0')], 'the state begins');
    const two = await ledger();
    await one.commit([added('A')], 'one');
    expect(await two.commit([added('B')], 'two')).toMatchObject({ r: 'committed', lost: [] });
    expect(Object.keys(two.state.records)).toEqual(['0', 'A', 'B']);
    await one.refresh();
    expect(one.state).toEqual(two.state);
  });

  test('on which somebody else built before it was looked for loses nothing of theirs', async () => {
    const two = await ledger();
    let meanwhile: (() => Promise<unknown>) | undefined;
    const one = await ledger(ci.identity, testClock(), async (name) => {
      const act = name === 'push.afterApply' ? meanwhile : undefined;
      if (act === undefined) return;
      meanwhile = undefined;
      await act();
    });
    await one.commit([added('0')], 'the state begins');
    meanwhile = async () => {
      await two.refresh();
      expect(await two.commit([added('B')], 'theirs')).toMatchObject({ r: 'committed', lost: [] });
    };
    expect(await one.commit([added('A')], 'ours')).toMatchObject({ r: 'committed', lost: [] });
    expect(meanwhile).toBeUndefined();
    expect(await one.commit([added('C')], 'ours again')).toMatchObject({ r: 'committed', lost: [] });
    expect(Object.keys((await ledger()).state.records)).toEqual(['0', 'A', 'B', 'C']);
  });

  test('of a record that somebody else changed meanwhile is lost, and nothing of it is written', async () => {
    const one = await ledger();
    await one.commit([added('A'), added('B')], 'add');
    const two = await ledger();
    const theirs = changed(two, 'A', { health: 'drift' });
    const fine = changed(two, 'B', { health: 'drift' });
    theirs.writes.push({ path: 'values/prod/A/2.age', bytes: Buffer.from('x') });
    await one.commit([changed(one, 'A', { health: 'blocked' })], 'first');
    expect(await two.commit([theirs, fine], 'second')).toMatchObject({ r: 'committed', lost: [theirs] });
    const { records } = (await ledger()).state;
    expect([records.A?.health, records.B?.health]).toEqual(['blocked', 'drift']);
    expect(files()).not.toContain('values/prod/A/2.age');
  });

  test('whose every change is lost makes no commit', async () => {
    const one = await ledger();
    await one.commit([added('A')], 'add');
    const two = await ledger();
    await one.commit([changed(one, 'A', { health: 'blocked' })], 'first');
    const before = tip();
    const late = changed(two, 'A', { health: 'drift' });
    expect(await two.commit([late], 'second')).toMatchObject({ r: 'committed', lost: [late] });
    expect(tip()).toBe(before);
    expect(two.record('A')?.health).toBe('blocked');
  });

  test.each<[string, Change]>([
    ['uid', added('A', { name: 'prod/other' })],
    ['name', added('B', { name: 'prod/A' })],
  ])('of a new record whose %s is taken is lost', async (_, change) => {
    const one = await ledger();
    await one.commit([added('0')], 'the state begins');
    const two = await ledger();
    await one.commit([added('A')], 'first');
    expect(await two.commit([change], 'second')).toMatchObject({ lost: [change] });
  });

  test('of a record that somebody else dropped is lost', async () => {
    const one = await ledger();
    await one.commit([added('A'), added('B')], 'add');
    const two = await ledger();
    const late = changed(two, 'A', { health: 'drift' });
    const from = one.record('A');
    await one.commit([{ uid: 'A', name: 'prod/A', from, to: null, writes: [] }], 'drop');
    expect(await two.commit([late], 'second')).toMatchObject({ lost: [late] });
    expect(Object.keys(two.state.records)).toEqual(['B']);
  });

  test('for a state that somebody else began first is lost: its values name another lineage', async () => {
    const [one, two] = [await ledger(), await ledger()];
    expect(one.repo).not.toBe(two.repo);
    await one.commit([added('A')], 'first');
    const late = added('B');
    expect(await two.commit([late], 'second')).toMatchObject({ r: 'committed', lost: [late] });
    expect(two.repo).toBe(one.repo);
    expect(await two.commit([late], 'again')).toMatchObject({ r: 'committed', lost: [] });
  });

  test('any interleaving of disjoint writes is their union', async () => {
    const seeds = await ledger();
    await seeds.commit([added('A0'), added('A1'), added('B0'), added('B1')], 'add');
    const step = fc.record({
      who: fc.constantFrom('A' as const, 'B' as const),
      which: fc.constantFrom(0, 1),
      refresh: fc.boolean(),
    });
    const healths = ['drift', 'blocked', 'restricted', 'unverified'] as const;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 6 }), async (steps) => {
        const runners = { A: await ledger(), B: await ledger() };
        const wanted = Object.fromEntries(Object.entries(runners.A.state.records));
        for (const [index, { who, which, refresh }] of steps.entries()) {
          const uid = `${who}${which}`;
          if (refresh) await runners[who].refresh();
          const sched = { ...record('X').sched, failures: index };
          const change = changed(runners[who], uid, { health: healths[index % 4] ?? 'ok', sched });
          expect(await runners[who].commit([change], uid)).toMatchObject({ r: 'committed', lost: [] });
          if (change.to) wanted[uid] = change.to;
        }
        expect((await ledger()).state.records).toEqual(wanted);
      }),
      { numRuns: 5 },
    );
  });

  test('that the remote refuses is refused, and nothing of it is written', async () => {
    const one = await ledger();
    const before = tip();
    put(join(remote, 'hooks/pre-receive'), '#!/bin/sh\necho no >&2\nexit 1\n');
    chmodSync(join(remote, 'hooks/pre-receive'), 0o755);
    expect(await one.commit([added('A')], 'refused')).toMatchObject({ r: 'refused', why: 'protected' });
    expect(tip()).toBe(before);
    expect(one.state.records).toEqual({});
  });

  test('to a remote that does not answer is unknown', async () => {
    const one = await ledger();
    renameSync(remote, `${remote}-away`);
    expect(await one.commit([added('A')], 'unknown')).toMatchObject({ r: 'unknown' });
    expect(one.state.records).toEqual({});
  });

  test('needs a signing key', async () => {
    await (await ledger()).commit([added('A')], 'add');
    const { identity } = await reader([ci]);
    const own = { ...identity, ageIdentities: ci.identity.ageIdentities };
    const planner = await ledger(own);
    const error = await refusal(() => planner.commit([added('B')], 'unsigned'));
    expect(words(error)).toContain('has no signing key');
  });
});
