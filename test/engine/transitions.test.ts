import { describe, expect, test } from 'vitest';
import { failed, rebound, sameFailure, unlocked } from '../../src/state/bookkeeping.ts';
import {
  abandoned,
  minimumRetention,
  nextVersion,
  promoted,
  pruned,
  rekeyed,
  retired,
  takenOver,
  versionOf,
} from '../../src/state/transitions.ts';
import { day, minute } from './schedules.ts';
import { adopt, at, blank, claim, promote, sealed, stages, verified } from './steps.ts';
import { binding, currentSince, now, pendingOn, record, sched, version } from './wishes-and-records.ts';

describe('a step', () => {
  const first = promote(claim(blank));
  const second = claim(first);

  test('claim: the version is pending, the current one stays', () => {
    expect(stages(second)).toEqual({ 1: 'current', 2: 'pending' });
    expect(second.pending).toEqual(
      pendingOn(2, 0, {
        claim: { id: 'CLAIM', by: { runner: 'ci', pid: 7 }, at, lease: 20 * minute, attempt: 1 },
      }),
    );
    expect(second.current).toBe(1);
    expect(versionOf(second, 2)).toEqual({ stage: 'pending', createdAt: at, username: 'app', ...sealed(2) });
  });

  test('takeover: the same value under another claim, one attempt more', () => {
    const taken = takenOver(second, {
      id: 'OTHER',
      by: { runner: 'me', pid: 8 },
      at: '2026-11-21T00:00:00.000Z',
      lease: 1,
    });
    expect(taken.pending).toMatchObject({ v: 2, claim: { id: 'OTHER', attempt: 2, lease: 1 } });
    expect(taken.versions).toEqual(second.versions);
  });

  test('promote without grace: the former version is retired with it', () => {
    const next = promote(second);
    expect(stages(next)).toEqual({ 1: 'retired', 2: 'current' });
    expect(next).toMatchObject({ current: 2, pending: null, health: 'ok', sched: sched() });
    expect(versionOf(next, 1).retiredAt).toBe(at);
    expect(versionOf(next, 2)).toMatchObject({ promotedAt: at, verified });
  });

  test('promote with grace: the former version is retiring, one that was retiring is retired', () => {
    const graceful = promote(second, '2026-11-21T12:00:00.000Z');
    expect(versionOf(graceful, 1)).toMatchObject({
      stage: 'retiring',
      retireAfter: '2026-11-21T12:00:00.000Z',
    });
    expect(stages(promote(claim(graceful), '2026-11-22T12:00:00.000Z'))).toEqual({
      1: 'retired',
      2: 'retiring',
      3: 'current',
    });
  });

  test('promote forgets failures and remembers token, digest and health', () => {
    const sick = failed(second, {
      failure: { class: 'unreachable', code: 'X', step: 'set' },
      nextAttemptAt: at,
      probeAfter: at,
      health: 'drift',
    });
    const next = promoted(sick, {
      at,
      verified: { at, how: 'acknowledged' },
      health: 'unverified',
      retireAfter: null,
      specDigest: `sha256:${'cd'.repeat(32)}`,
      rotateToken: 'token',
    });
    expect(next).toMatchObject({
      sched: sched({ rotateToken: 'token' }),
      health: 'unverified',
      specDigest: `sha256:${'cd'.repeat(32)}`,
    });
  });

  test('abandon: kept with its value, out of the way', () => {
    const dropped = abandoned(second, at);
    expect(stages(dropped)).toEqual({ 1: 'current', 2: 'abandoned' });
    expect(dropped.pending).toBeNull();
    expect(versionOf(dropped, 2)).toEqual({ ...versionOf(second, 2), stage: 'abandoned', retiredAt: at });
    expect(nextVersion(dropped)).toBe(3);
  });

  test('adopt: a pending version is abandoned, the current one retired', () => {
    expect(stages(adopt(second))).toEqual({ 1: 'retired', 2: 'abandoned', 3: 'current' });
    expect(adopt(second)).toMatchObject({ current: 3, pending: null, health: 'ok' });
    expect(stages(adopt(blank))).toEqual({ 1: 'current' });
  });

  test('retire', () => {
    const graceful = promote(second, at);
    expect(versionOf(retired(graceful, 1, at), 1)).toMatchObject({ stage: 'retired', retiredAt: at });
  });

  test('rekey: other files, the same stages and times; another name where it moved', () => {
    const next = rekeyed(second, 'new/app', new Map([[1, sealed(9)]]));
    expect(next.name).toBe('new/app');
    expect(versionOf(next, 1)).toEqual({ ...versionOf(second, 1), ...sealed(9) });
    expect(versionOf(next, 2)).toEqual(versionOf(second, 2));
  });

  test('a failure is noted, and the pending version stays', () => {
    const failure = { class: 'unreachable', code: 'ECONNREFUSED', step: 'set' };
    const once = failed(second, { failure, nextAttemptAt: at, tried: 1, probeAfter: at });
    expect(once.sched).toEqual(sched({ failures: 1, lastError: failure, nextAttemptAt: at, probeAfter: at }));
    expect(once.pending?.tried).toEqual([1]);
    const twice = failed(once, { failure, nextAttemptAt: null, health: 'blocked' });
    expect(twice).toMatchObject({
      health: 'blocked',
      sched: { failures: 2, probeAfter: at, nextAttemptAt: null },
    });
    expect(failed(twice, { failure, nextAttemptAt: null, probeAfter: null }).sched.probeAfter).toBeNull();
    expect(sameFailure(once, { ...failure, code: 'ETIMEDOUT' })).toBe(true);
    expect(sameFailure(once, { ...failure, step: 'verify' })).toBe(false);
    expect(sameFailure(once, { ...failure, class: 'denied' })).toBe(false);
    expect(sameFailure(second, failure)).toBe(false);
  });

  test('unlock: the next run may try at once and probe again', () => {
    const stuck = failed(second, {
      failure: { class: 'unknown', code: 'X', step: 'observe' },
      nextAttemptAt: at,
      probeAfter: at,
      health: 'blocked',
      tried: 1,
    });
    const free = unlocked(stuck);
    expect(free).toMatchObject({
      health: 'drift',
      sched: sched(),
      pending: { v: 2, tried: [], claim: { lease: 0, id: 'CLAIM' } },
    });
    expect(unlocked(first)).toMatchObject({ health: 'ok', pending: null });
  });

  test('rebind changes where it may be sent and nothing else', () => {
    expect(rebound(second, { ...binding, host: 'new' })).toEqual({
      ...second,
      binding: { ...binding, host: 'new' },
    });
  });
});

describe('is a mistake of ours, never a silent repair', () => {
  const first = promote(claim(blank));
  test.each<[string, () => unknown, string]>([
    ['a claim over a pending version', () => claim(claim(first)), 'claim of app over a pending version'],
    ['a promotion of nothing', () => promote(first), 'app has no pending version'],
    ['a takeover of nothing', () => takenOver(first, pendingOn(1, 0).claim), 'app has no pending version'],
    ['abandoning nothing', () => abandoned(first, at), 'app has no pending version'],
    ['retiring an unknown version', () => retired(first, 7, at), 'app has no version 7'],
  ])('%s', (_, step, words) => {
    expect(step).toThrow(words);
  });
});

describe('retention', () => {
  const old = new Date(now.getTime() - minimumRetention).toISOString();
  const versions = {
    1: version({ stage: 'retired', retiredAt: old }),
    2: version({ stage: 'abandoned', retiredAt: old }),
    3: version({ stage: 'retired', retiredAt: old }),
    4: version({ stage: 'retiring', retireAfter: old }),
    5: currentSince(day),
  };

  test('drops what is beyond `keep` and 30 days over, newest kept', () => {
    const { record: kept, gone } = pruned(record({ current: 5, versions }), 3, now);
    expect(gone).toEqual([2, 1]);
    expect(Object.keys(kept.versions)).toEqual(['3', '4', '5']);
    expect(nextVersion(kept)).toBe(6);
  });

  test('keeps what is 30 days over but for a millisecond', () => {
    const early = new Date(now.getTime() - 1);
    const of = record({ current: 5, versions });
    expect(pruned(of, 3, early)).toEqual({ record: of, gone: [] });
  });

  test('keeps what still may work, however old', () => {
    const { gone } = pruned(record({ current: 5, versions }), 0, now);
    expect(gone).toEqual([3, 2, 1]);
  });
});
