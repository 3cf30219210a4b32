/** What a plan says of several hosts with one value: PURE, so every case is a line. */
import { describe, expect, it } from 'vitest';
import { decide, type Observed } from '../../src/engine/decide.ts';
import type { HostRecord, SecretRecord } from '../../src/state/model.ts';
import { day, hour } from './schedules.ts';
import {
  binding,
  currentSince,
  frozen,
  now,
  observed,
  pendingOn,
  reconciler,
  record,
  sched,
  secret,
  version,
} from './wishes-and-records.ts';

const names = ['web-1', 'web-2', 'web-3'];
const at = (host: string) => ({ ...binding, host: `${host}.internal` });
const has = (host: string, v: number | null, more: Partial<HostRecord> = {}): [string, HostRecord] => [
  host,
  { binding: at(host), v, ...more },
];
const wanted = secret({ target: 'web-1', hosts: names });
const known = (hosts: [string, HostRecord][], change: Partial<SecretRecord> = {}): SecretRecord =>
  record({ target: 'web-1', binding: at('web-1'), hosts: Object.fromEntries(hosts), ...change });
const bindings = (
  hosts: readonly string[] = names,
  moved: Record<string, string> = {},
): Partial<Observed> => ({
  bindings: new Map([
    ['app', at('web-1')],
    ...hosts.map((host) => [`app@${host}`, at(moved[host] ?? host)] as const),
  ]),
});
const says = (of: SecretRecord, seen: Partial<Observed> = bindings(), of2 = wanted): string[] =>
  decide(frozen(of2), frozen(of), [reconciler], now, observed(seen)).map(
    ({ verb, reason }) => `${verb}: ${reason}`,
  );

const all = names.map((name) => has(name, 3));
const half: Partial<SecretRecord> = {
  versions: { 3: currentSince(40 * day), 4: version({ stage: 'pending', createdAt: now.toISOString() }) },
  pending: pendingOn(4, 2 * hour),
};

describe('several hosts with one value', () => {
  it('say nothing while all have the current version', () => {
    expect(says(known(all))).toEqual([]);
  });

  it('say how many have the pending one, and what is in the way of the others', () => {
    const down = { lastError: { class: 'unreachable', code: 'ETIMEDOUT', step: 'set' } };
    expect(says(known([has('web-1', 4), has('web-2', 4), has('web-3', 3, down)], half))).toEqual([
      'resume: 2 of 3 hosts have v4; web-3: set failed (unreachable, ETIMEDOUT); interrupted 2h ago after the claim',
    ]);
    expect(says(known([has('web-1', 4), has('web-2', 3, down), has('web-3', 3)], half))[0]).toContain(
      '1 of 3 hosts have v4; web-2: set failed (unreachable, ETIMEDOUT); web-3 not tried yet',
    );
    expect(says(known(all, half))[0]).toContain('resume: 0 of 3 hosts have v4; interrupted');
  });

  it('get a common version where they differ and nothing is pending', () => {
    expect(says(known([has('web-1', 2), has('web-2', 3), has('web-3', null)]))).toEqual([
      'rotate: web-1 has v2, web-3 has no version yet, on 3 hosts',
    ]);
    const waits = known([has('web-1', 2), has('web-2', 3), has('web-3', 3)], {
      sched: sched({
        failures: 2,
        nextAttemptAt: new Date(now.getTime() + hour).toISOString(),
        lastError: { class: 'unreachable', code: 'ETIMEDOUT', step: 'preflight' },
      }),
    });
    expect(says(waits)[0]).toMatch(
      /^hold: web-1 has v2; preflight failed \(unreachable, ETIMEDOUT\), tried again/,
    );
  });

  it('never let a host in by a manifest alone (A1), nor follow one that has moved', () => {
    const two = known([has('web-1', 3), has('web-2', 3)]);
    expect(says(two)).toEqual(['hold: web-3 was added: keyturn rebind app lets it have the next version']);
    expect(says(known(all), bindings(names, { 'web-2': 'evil' }))).toEqual([
      'block: web-2: host changed from web-2.internal to evil.internal; run keyturn rebind app if that is right',
    ]);
    const strangers = secret({ target: 'x-1', hosts: ['x-1', 'x-2'] });
    expect(says(known(all), bindings(['x-1', 'x-2']), strangers)).toEqual([
      'block: x-1, x-2 may not have the value yet; run keyturn rebind app if that is right',
    ]);
  });

  it('say what is left behind on a host that goes', () => {
    const fewer = secret({ target: 'web-1', hosts: ['web-1', 'web-2'] });
    expect(says(known(all), bindings(), fewer)).toEqual([
      'hold: web-3 is no host of it any more: its account there keeps v3, and the next rotation forgets it',
    ]);
  });

  it('begin with the only host that was there before', () => {
    const single = record({ target: 'web-2', binding: at('web-2') });
    expect(says(single)).toEqual([
      'hold: web-1 was added: keyturn rebind app lets it have the next version',
      'hold: web-3 was added: keyturn rebind app lets it have the next version',
    ]);
    expect(says(known(all), bindings(), secret({ target: 'web-1' }))).toEqual([]);
  });
});
