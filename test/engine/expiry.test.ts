import { describe, expect, it } from 'vitest';
import { expiryReason } from '../../src/engine/expiry.ts';
import type { RotatedSecret } from '../../src/manifests/model.ts';
import type { SecretRecord } from '../../src/state/model.ts';

const day = 86_400_000;
const now = new Date('2026-11-20T12:00:00.000Z');
const in_ = (days: number) => new Date(now.getTime() + days * day);
const secret = { name: 'app', schedule: { overdueAfter: 2 * day } } as unknown as RotatedSecret;
const ending = (days: number | null): SecretRecord =>
  ({
    current: 3,
    versions: { 3: days === null ? {} : { expiresAt: in_(days).toISOString() } },
  }) as unknown as SecretRecord;

describe('the end of a value', () => {
  it('is said when it comes before the next rotation and its delay', () => {
    expect(expiryReason(secret, ending(10), in_(20), now)).toMatch(
      /^v3 ends by itself in 10d, its next rotation is due in 20d/,
    );
    expect(expiryReason(secret, ending(21), in_(20), now)).toMatch(/^v3 ends/);
    expect(expiryReason(secret, ending(23), in_(20), now)).toBeNull();
  });

  it('is said a month ahead where nothing is to replace it', () => {
    expect(expiryReason(secret, ending(29), null, now)).toMatch(
      /nothing is to replace it; keyturn rotate app$/,
    );
    expect(expiryReason(secret, ending(31), null, now)).toBeNull();
    expect(expiryReason(secret, ending(-1), null, now)).toMatch(/^v3 ends by itself .*ago/);
  });

  it('is not said of values without one', () => {
    expect(expiryReason(secret, ending(null), null, now)).toBeNull();
    expect(expiryReason(secret, { ...ending(1), current: null }, null, now)).toBeNull();
  });
});
