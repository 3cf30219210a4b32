import { ulid } from 'ulid';
import { describe, expect, it } from 'vitest';
import { baseline, firstToGo, fromLater, isNew, isUsed, neverUsed, standing } from '../../src/engine/keys.ts';
import type { SecretRecord } from '../../src/state/model.ts';
import type { IssuedKey } from '../../src/targets/issued.ts';
import { hour, minute } from './schedules.ts';
import { ago, currentSince, now, pendingOn, record, version } from './wishes-and-records.ts';

const key = (handle: string, age: number, active = true): IssuedKey => ({
  handle,
  createdAt: ago(age),
  active,
});

/** v7 is current (since ten hours), v6 in its grace, v8 was begun ten minutes ago beside OLD. */
const rotating = (change: Partial<SecretRecord> = {}): SecretRecord =>
  record({
    current: 7,
    versions: {
      '6': version({ stage: 'retiring', handle: 'SIX' }),
      '7': currentSince(10 * hour, { handle: 'SEVEN', before: ['SIX', 'OLD'] }),
      '8': version({ stage: 'pending', createdAt: ago(10 * minute), file: null }),
    },
    pending: pendingOn(8, 10 * minute, { before: ['SIX', 'SEVEN', 'OLD'], victims: ['GONE'] }),
    ...change,
  });

describe('a listed key', () => {
  it('is in use, condemned, former or unexplained', () => {
    const of = (handle: string) => standing(rotating(), key(handle, hour));
    expect(['SEVEN', 'GONE', 'SIX', 'OLD'].map(of)).toEqual(['in use', 'condemned', 'former', 'unexplained']);
  });

  it('that says whom it was made for is an orphan of that record, and nothing else ever', () => {
    const rotation = rotating();
    const of = (madeFor?: string) =>
      standing(rotation, { ...key('X', hour), ...(madeFor === undefined ? {} : { madeFor }) }, true);
    expect([of(rotation.uid), of('01JD0000000000000000000OTHER'), of()]).toEqual([
      'orphan',
      'foreign',
      'foreign',
    ]);
    expect(standing(rotation, { ...key('SIX', hour), madeFor: rotation.uid }, true)).toBe('former');
  });

  it('of a claim after everything that the record knows shows that the state was rolled back', () => {
    const rested = rotating({ pending: null });
    const made = (age: number) => [
      { ...key('X', age), madeFor: rested.uid, claim: ulid(Date.parse(ago(age))) },
    ];
    expect(fromLater(rested, made(minute))?.handle).toBe('X');
    expect(fromLater(rested, made(20 * minute))).toBeUndefined();
    expect(
      fromLater(rested, [{ ...key('SIX', 0), madeFor: rested.uid, claim: ulid(Date.parse(ago(0))) }]),
    ).toBeUndefined();
  });

  it('in use is never condemned, although a record names it', () => {
    const record = rotating({ pending: pendingOn(8, 0, { victims: ['SEVEN'] }) });
    expect(standing(record, key('SEVEN', hour))).toBe('in use');
  });

  it('is new only if it was not there at the claim and is not older', () => {
    const keys = [key('SEVEN', 10 * hour)];
    const of = (handle: string, age: number) => isNew(rotating(), key(handle, age), keys);
    expect(of('X', 9 * minute)).toBe(true);
    expect(of('OLD', 9 * minute)).toBe(false);
    expect(of('X', 3 * hour)).toBe(false);
    // made in the twenty minutes in which somebody could still hold the claim of v7
    expect(of('X', 10 * hour - 20 * minute)).toBe(true);
  });

  it("is dated by the target's clock, however wrong ours is", () => {
    const pending = pendingOn(8, 10 * minute, { before: [], baseline: { at: ago(130 * minute) } });
    expect(isNew(rotating({ pending }), key('X', 129 * minute), [])).toBe(true);
    expect(isNew(rotating({ pending }), key('X', 140 * minute), [])).toBe(false);
  });

  it('that a late owner of the last claim made is no part of the next baseline', () => {
    const rested = rotating({ pending: null });
    const keys = [
      key('SEVEN', 10 * hour),
      key('OLD', 400 * hour),
      key('LATE', 10 * hour - 5 * minute),
      key('NEW', hour),
    ];
    expect(baseline(rested, keys)).toEqual(['SEVEN', 'OLD', 'NEW']);
  });

  it('goes first if it is switched off, then if it is oldest, and only if a version was its', () => {
    const rested = rotating({
      versions: { ...rotating().versions, '5': version({ handle: 'FIVE', removeAfter: ago(-hour) }) },
    });
    const eight = ['A', 'B', 'C', 'D', 'E'].map((name) => key(name, 90 * hour));
    const keys = [...eight, key('SEVEN', 10 * hour), key('SIX', 80 * hour), key('FIVE', 70 * hour, false)];
    expect(firstToGo(rested, keys)?.handle).toBe('FIVE');
    expect(firstToGo(rested, keys.slice(0, 7))?.handle).toBe('SIX');
    expect(firstToGo(rested, eight)).toBeUndefined();
  });

  it('counts as used when nobody can say', () => {
    const unknown = { r: 'unknown', code: 'AccessDenied', detail: 'not allowed' } as const;
    expect([isUsed(unknown, hour, now), neverUsed(unknown)]).toEqual([true, false]);
    expect(isUsed({ r: 'known', at: null }, hour, now)).toBe(false);
    expect(isUsed({ r: 'known', at: ago(minute) }, hour, now)).toBe(true);
    expect(isUsed({ r: 'known', at: ago(2 * hour) }, hour, now)).toBe(false);
  });
});
