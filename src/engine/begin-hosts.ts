/** P0 and P1 for one value on several hosts: one claim, and an attempt for every host that lacks the value. */
import pLimit from 'p-limit';
import type { Desired } from '../manifests/model.ts';
import { hostsClaimed, hostsOf, hostsTakenOver, lacking, seenFrom } from '../state/hosts.ts';
import type { Pending, SecretRecord } from '../state/model.ts';
import { isBlind } from '../state/readers.ts';
import { abandoned, nextVersion, takenOver, versionOf } from '../state/transitions.ts';
import { attemptOf, currentValue, type Keep, keep } from './attempt.ts';
import { claim, look, newClaim, type Seen } from './begin.ts';
import { isBlank } from './first-version.ts';
import { admitted, at } from './hosts.ts';
import type { HostAttempt, HostsAttempt } from './hosts-attempt.ts';
import { type Base, baseAt, type Item, type Prepared, type Whole } from './prepare.ts';
import { audienceNow, type World } from './world.ts';

/** Hosts of one secret that are worked on side by side. */
export const hostsAtOnce = 8;

export function prepareHosts(item: Item, whole: Whole, desired: Desired, world: World): Promise<Prepared> {
  const { pending } = whole.record;
  if (item.action.verb !== 'resume' || pending === null) return begin(item, whole, desired, world);
  if (!isBlind(whole.record, pending.v)) return resume(item, whole, pending, desired, world);
  const record = abandoned(whole.record, world.clock.now().toISOString());
  const action = { ...item.action, why: pending.why };
  return begin({ ...item, action }, { ...whole, record }, desired, world);
}

/** Nothing is claimed unless every host is ready: a rotation that cannot end is not begun. */
async function begin(item: Item, whole: Whole, desired: Desired, world: World): Promise<Prepared> {
  const { secret, record, driver } = whole;
  const known = world.ledger.record(record.uid);
  const v = nextVersion(record);
  const [username] = secret.account.usernames;
  const wanted = admitted(secret, record);
  world.emit({ kind: 'step', secret: secret.name, step: 'preflight', version: v });
  const limit = pLimit(hostsAtOnce);
  const looks = await Promise.all(
    wanted.map((host) =>
      limit(async (): Promise<{ host: string; base?: Base; seen: Seen | { r: 'unfit'; keep: Keep } }> => {
        const found = await baseAt(host, whole, desired, world);
        if (found.r === 'unresolved') return { host, seen: { r: 'unfit', keep: unresolved(found.reason) } };
        const view = isBlank(record) ? record : seenFrom(record, host);
        const seen = await look(view, driver, found.base, { username, v }, world);
        return { host, base: found.base, seen };
      }),
    ),
  );
  const ready: { host: string; base: Base; seen: Seen }[] = [];
  for (const { host, base, seen } of looks) {
    if (seen.r === 'unfit') return { r: 'not-now', record: known, keep: named(host, seen.keep) };
    if (base) ready.push({ host, base, seen });
  }
  const [first] = ready;
  if (!first) throw new Error(`${secret.name} has no host`);
  const uses = [...new Set(ready.flatMap(({ base }) => base.uses))];
  const seen = { ...first.seen, preflight: { ...first.seen.preflight, baseline: {} } };
  const places = new Map(
    ready.map(({ host, base, seen: { preflight } }) => [
      host,
      { binding: driver.binding(base.target, secret.account), baseline: preflight.baseline },
    ]),
  );
  // its hosts before it is sealed: the file says where they are
  const bound = hostsClaimed(record, places);
  const made = await claim(item, bound, driver, { ...first.base, uses }, seen, desired, world);
  const { to } = made;
  const hosts = ready.map(({ host, seen: { job, rotator } }): HostAttempt => {
    const alone = { secret: at(secret, host), record: seenFrom(to, host) };
    const attempt = attemptOf({
      ...alone,
      value: made.value,
      job,
      driver,
      rotator,
      recipients: made.recipients,
      replay: false,
      world,
    });
    return { host, attempt };
  });
  return {
    r: 'ready',
    warnings: ready.flatMap(({ host, seen: { preflight } }) =>
      preflight.warnings.map((text) => `${host}: ${text}`),
    ),
    change: { uid: record.uid, name: secret.name, from: known, to, writes: made.writes },
    attempt: together(whole, to, wanted, hosts, new Map()),
  };
}

/** A takeover: only the hosts that are not known to have the value are touched. */
async function resume(
  item: Item,
  whole: Whole,
  pending: Pending,
  desired: Desired,
  world: World,
): Promise<Prepared> {
  const { secret, record, driver } = whole;
  const { username } = versionOf(record, pending.v);
  const { value } = await world.ledger.readVersion(record, pending.v);
  const wanted = admitted(secret, record);
  const recipients = audienceNow(secret, record, desired, world).to.map((reader) => reader.recipient);
  const bases = new Map<string, Base>();
  const unready = new Map<string, Keep>();
  // nobody asks a host about a value that was never sent there: an account on its own would count a wrong login
  const untouched = (host: string): boolean => hostsOf(record)[host]?.sent === 'no';
  for (const host of lacking(record, wanted, pending.v)) {
    const found = await baseAt(host, whole, desired, world);
    if (found.r === 'base') bases.set(host, found.base);
    else unready.set(host, { ...unresolved(found.reason), left: untouched(host) ? 'unchanged' : 'unknown' });
  }
  const to = hostsTakenOver(takenOver(record, newClaim(world)), [...bases.keys()]);
  const hosts: HostAttempt[] = [];
  for (const [host, base] of bases) {
    const view = seenFrom(to, host);
    const current = await currentValue(view, username, world);
    const mark = { uid: record.uid, version: pending.v };
    const job = { ...base, username, current, mark, attempt: to.pending?.claim.attempt ?? 1 };
    const alone = { secret: at(secret, host), record: view, value, job, driver, recipients, world };
    hosts.push({ host, attempt: attemptOf({ ...alone, replay: !untouched(host) }) });
  }
  return {
    r: 'ready',
    warnings: [],
    change: { uid: record.uid, name: item.secret.name, from: record, to, writes: [] },
    attempt: together(whole, to, wanted, hosts, unready),
  };
}

const together = (
  { secret }: Whole,
  record: SecretRecord,
  wanted: readonly string[],
  hosts: readonly HostAttempt[],
  unready: ReadonlyMap<string, Keep>,
): HostsAttempt => ({
  machine: 'hosts',
  secret,
  record,
  version: record.pending?.v ?? 0,
  retain: record.pending?.retain === true,
  wanted,
  hosts,
  unready,
  rotator: {
    async close() {
      for (const { attempt } of hosts) await attempt.rotator.close();
    },
  },
});

const unresolved = (reason: string): Keep =>
  keep('preflight', 'target-unresolved', { code: 'target', detail: reason }, { left: 'unchanged' });

const named = (host: string, problem: Keep): Keep => ({
  ...problem,
  detail: `${host}: ${problem.detail}; no host was changed`,
});
