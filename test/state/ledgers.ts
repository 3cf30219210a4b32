import { afterEach, beforeEach, expect } from 'vitest';
import { Secret } from '../../src/secret.ts';
import type { Identity } from '../../src/state/identity.ts';
import { type Change, Ledger } from '../../src/state/ledger.ts';
import type { SecretRecord } from '../../src/state/model.ts';
import { type Scratch, scratch, testClock } from '../git/world.ts';
import { person, record } from './people.ts';

export const ci = await person('ci');
export let world: Scratch;
export let remote: string;
let clones = 0;
let drawn = 0;

beforeEach(() => {
  world = scratch();
  remote = world.remote();
});
afterEach(() => world.remove());

/** `failpoint` is awaited where a push is about to begin, and once the remote has it. */
export async function ledger(
  identity: Identity = ci.identity,
  clock = testClock(),
  failpoint: (name: string) => Promise<void> = async () => undefined,
): Promise<Ledger> {
  clones += 1;
  return Ledger.open({
    repository: await world.open(world.clone(remote, `clone-${clones}`), { clock, failpoint }),
    identity,
    recipients: [ci.recipient],
    clock,
    random: (bytes) => new Uint8Array(bytes),
    ulid: () => {
      drawn += 1;
      return `01J${String(drawn).padStart(23, '0')}`;
    },
    runner: 'test:runner',
  });
}

export const added = (uid: string, change: Partial<SecretRecord> = {}): Change => {
  const to = record(uid, change);
  return { uid, name: to.name, from: undefined, to, writes: [] };
};
export const changed = (of: Ledger, uid: string, change: Partial<SecretRecord>): Change => {
  const from = of.record(uid);
  if (!from) throw new Error(`no record ${uid}`);
  return { uid, name: from.name, from, to: { ...from, ...change }, writes: [] };
};
export const tip = (): string => world.git(remote, 'rev-parse', 'refs/heads/main');
export const files = (): string[] =>
  world.git(remote, 'ls-tree', '-r', '--name-only', 'refs/heads/main').split('\n');

/** A record whose one version is sealed and pushed. */
export async function withValue(of: Ledger, uid: string, plaintext: string): Promise<SecretRecord> {
  const blank = record(uid);
  const { write, sealed } = await of.seal(
    blank,
    1,
    { value: new Secret(plaintext), fields: { username: uid } },
    [ci.recipient],
  );
  const [first] = Object.values(blank.versions);
  if (!first) throw new Error('no version');
  const to = { ...blank, versions: { 1: { ...first, ...sealed } } };
  const change = { uid, name: to.name, from: undefined, to, writes: [write, of.pointer(to.name, 1)] };
  expect(await of.commit([change], 'add a value')).toMatchObject({ r: 'committed', lost: [] });
  return to;
}

/** Somebody with write access pushes files by hand. */
export function pushByHand(change: (clone: string) => void): void {
  clones += 1;
  const clone = world.clone(remote, `by-hand-${clones}`);
  change(clone);
  world.git(clone, 'add', '--all', '.');
  world.git(clone, 'commit', '--quiet', '-m', 'by hand');
  world.git(clone, 'push', '--quiet', 'origin', 'HEAD:refs/heads/main');
}
