import type { SecretRecord, Stage } from '../../src/state/model.ts';
import { adopted, claimed, newRecord, nextVersion, promoted } from '../../src/state/transitions.ts';
import { minute } from './schedules.ts';
import { binding, now } from './wishes-and-records.ts';

export const at = now.toISOString();
export const sealed = (v: number): { file: string; readers: string[] } => ({
  file: `sha256:${v.toString(16).padStart(64, '0')}`,
  readers: ['fp:0011223344556677'],
});
export const verified = { at, how: 'login' as const };
export const blank = newRecord({
  uid: 'UID1',
  name: 'app',
  rotator: 'mysql/password',
  target: 'db',
  binding,
  specDigest: `sha256:${'ab'.repeat(32)}`,
});

export const claim = (of: SecretRecord, id = 'CLAIM', when = at): SecretRecord =>
  claimed(of, {
    v: nextVersion(of),
    claim: { id, by: { runner: 'ci', pid: 7 }, at: when, lease: 20 * minute, attempt: 1 },
    why: 'due',
    uses: [],
    baseline: {},
    actor: 'target',
    retain: false,
    refusals: 0,
    username: 'app',
    sealed: sealed(nextVersion(of)),
  });
export const promote = (of: SecretRecord, retireAfter: string | null = null, when = at): SecretRecord =>
  promoted(of, {
    at: when,
    verified,
    health: 'ok',
    retireAfter,
    specDigest: of.specDigest,
    rotateToken: null,
  });
export const adopt = (of: SecretRecord, when = at): SecretRecord =>
  adopted(of, { at: when, username: 'app', sealed: sealed(nextVersion(of)), verified, rotateToken: null });

export const stages = (of: SecretRecord): Record<string, Stage> =>
  Object.fromEntries(Object.entries(of.versions).map(([v, { stage }]) => [v, stage]));
