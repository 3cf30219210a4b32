/** One secret (or two) of one target, the real engine over it, and the world that the engine may touch. */
import { createHash } from 'node:crypto';
import type { Clock } from '../../src/clock.ts';
import { apply } from '../../src/engine/apply.ts';
import type { Observed } from '../../src/engine/decide.ts';
import { hostKey } from '../../src/engine/hosts.ts';
import type { Plan, Result } from '../../src/engine/model.ts';
import { effective, plan } from '../../src/engine/plan.ts';
import type { Spool } from '../../src/engine/spool.ts';
import type { World } from '../../src/engine/world.ts';
import type { StateRepository } from '../../src/git/contract.ts';
import type { Desired } from '../../src/manifests/model.ts';
import { Secret } from '../../src/secret.ts';
import { Ledger } from '../../src/state/ledger.ts';
import type { ChosenDriver } from '../../src/targets/driver.ts';
import type { IssuedDriver } from '../../src/targets/issued.ts';
import type { SlotDriver } from '../../src/targets/slots.ts';
import { desired, hostNames, reconciler, secret, target } from './desired.ts';
import { type IssuerRules, type Issuers, issuerOf, MemoryIssuer, MemorySpools } from './issuer.ts';
import { MemoryRemote, repositoryOf } from './remote.ts';
import { type Hand, healthy, Puppet } from './scheduler.ts';
import { day } from './schedules.ts';
import { MemorySlots, type SlotRules, slotDriverOf, slotNames } from './slots.ts';
import { driverOf, MemoryTarget, type TargetRules } from './target.ts';

export interface Setup {
  rules: TargetRules;
  authenticateAs: 'user' | 'target';
  grace: number;
  /** Values that the target refuses by policy. */
  refusals: number;
  /** Secrets of the same target; two are in the same wave. */
  secrets: number;
  /** Whether the first version exists already. */
  adopted: boolean;
  /** The target makes the values. */
  issues: IssuerRules | null;
  /** The target keeps the values in slots and shows them. */
  slots: SlotRules | null;
  /** More than 1: so many hosts have one value. */
  hosts: number;
}

export const setup = (change: Partial<Omit<Setup, 'rules'>> & { rules?: Partial<TargetRules> }): Setup => ({
  authenticateAs: 'target',
  grace: 0,
  refusals: 0,
  secrets: 1,
  adopted: true,
  issues: null,
  slots: null,
  hosts: 1,
  ...change,
  rules: { overlap: 'none', history: false, witness: false, ...change.rules },
});

/** Everything that outlives a process. */
export interface Universe {
  setup: Setup;
  desired: Desired;
  remote: MemoryRemote;
  target: MemoryTarget;
  /** By account. */
  issuers: Issuers;
  slots: MemorySlots;
  spools: MemorySpools;
  /** Every victim that a run has pushed by name. */
  named: Set<string>;
  time: number;
  /** Draws ULIDs and bytes; counts for the whole universe, so that no two runners ever get the same. */
  drawn: number;
}

/** What a mutant replaces: one broken piece of a runner's world. */
export interface Broken {
  repository?: (repository: StateRepository) => StateRepository;
  ledger?: (ledger: Ledger, universe: Universe) => Ledger;
  driver?: (driver: ChosenDriver) => ChosenDriver;
  issuer?: (driver: IssuedDriver) => IssuedDriver;
  /** `answers`: by slot, what its renewal answered with. */
  slots?: (driver: SlotDriver, answers: ReadonlyMap<string, string>) => SlotDriver;
  spool?: (spool: Spool) => Spool;
  clock?: (clock: Clock) => Clock;
}

const start = Date.parse('2026-11-01T03:00:00.000Z');

/** The universe before any fault: version 1 adopted a month ago, or nothing recorded yet. */
export async function universe(of: Setup): Promise<Universe> {
  const others = Array.from({ length: of.secrets - 1 }, (_, n) => (n === 0 ? 'report' : `report-${n}`));
  const names = ['app', ...others];
  const usernames = (name: string): [string] | [string, string] =>
    of.slots ? slotNames(of.slots) : of.rules.overlap === 'alternate' ? [name, `${name}_b`] : [name];
  const accounts = Object.fromEntries(
    names.flatMap((name) =>
      usernames(name).flatMap((user, index) =>
        (of.hosts === 1 ? [user] : hostNames(of).map((host) => `${user}@${host}`)).map((account) => [
          account,
          index === 0 ? initial(user) : null,
        ]),
      ),
    ),
  );
  const secrets = names.map((name) => [name, secret(name, usernames(name), of)] as const);
  const made: Universe = {
    setup: of,
    desired: desired(secrets, of.adopted, of),
    remote: new MemoryRemote(),
    target: new MemoryTarget(of.rules, accounts),
    issuers: new Map(names.map((name) => [name, new MemoryIssuer(name, initial(name), start - 40 * day)])),
    slots: new MemorySlots(start - 40 * day),
    spools: new MemorySpools(),
    named: new Set(),
    time: start,
    drawn: 0,
  };
  if (of.adopted) await run(made, healthy, 0);
  made.desired = desired(secrets, false, of);
  made.time += 31 * day;
  made.target.refusals = of.refusals;
  if (of.issues?.foreign)
    for (const issuer of made.issuers.values()) issuer.add('FOREIGN', 'foreign', made.time - 60_000, true);
  return made;
}

export const fork = (of: Universe): Universe => ({
  ...of,
  remote: of.remote.fork(),
  target: of.target.fork(),
  issuers: new Map([...of.issuers].map(([account, issuer]) => [account, issuer.fork()])),
  slots: of.slots.fork(),
  spools: of.spools.fork(),
  named: new Set(of.named),
});

/** What the account accepted before keyturn knew of it. */
export const initial = (username: string): string => `initial-value-of-${username}`;

/** One process: open, plan, apply. `pid` tells runners apart. */
export async function run(
  world: Universe,
  hand: Hand,
  pid: number,
  broken: Broken = {},
): Promise<{ plan: Plan; results: Result[] }> {
  const real: Clock = {
    now: () => new Date(world.time),
    monotonic: () => world.time,
    sleep: async (ms) => {
      world.time += ms;
    },
  };
  const clock = broken.clock ? broken.clock(real) : real;
  const ulid = (): string => {
    world.drawn += 1;
    return `01J${String(world.drawn).padStart(23, '0')}`;
  };
  const random = (bytes: number): Uint8Array => {
    world.drawn += 1;
    const seed = createHash('sha512').update(String(world.drawn)).digest();
    return Uint8Array.from({ length: bytes }, (_, index) => ((seed[index % 64] ?? 0) + index) % 256);
  };
  const repository = repositoryOf(world.remote, hand);
  const opened = await Ledger.open({
    repository: broken.repository?.(repository) ?? repository,
    identity: reconciler.identity,
    recipients: [reconciler.recipient],
    clock,
    random,
    ulid,
    runner: `runner:${pid}`,
  });
  const noting = ledgerBut(opened, {
    commit: async (changes, ...rest) => {
      const outcome = await opened.commit(changes, ...rest);
      if (outcome.r === 'committed')
        for (const { to } of changes) for (const name of to?.pending?.victims ?? []) world.named.add(name);
      return outcome;
    },
  });
  const ledger = broken.ledger ? broken.ledger(noting, world) : noting;
  const model = driverOf(world.target, hand);
  const maker = issuerOf(world.issuers, hand, pid, () => world.time);
  const { issues, slots: rules } = world.setup;
  const answers = new Map<string, string>();
  const shower =
    rules &&
    slotDriverOf(
      world.slots,
      rules,
      hand,
      () => world.time,
      (slot, value) => answers.set(slot, value),
    );
  const driver = shower
    ? (broken.slots?.(shower, answers) ?? shower)
    : issues
      ? (broken.issuer?.(maker) ?? maker)
      : (broken.driver?.(model) ?? model);
  const disk = world.spools.of(pid);
  const engine: World = {
    ledger,
    clock,
    random,
    ulid,
    driver: async () => driver,
    resolve: async (ref) => new Secret('env' in ref ? initial(ref.env) : ''),
    spool: broken.spool?.(disk) ?? disk,
    spill: world.spools.spill(hand),
    authenticate: () => async () => new Secret('token'),
    owner: { runner: `runner:${pid}`, pid },
    emit: () => undefined,
    failpoint: async () => undefined,
    stopping: () => hand instanceof Puppet && hand.stopping,
    requests: new Map(),
  };
  const observed: Observed = {
    bindings: new Map(
      [...world.desired.secrets.values()].flatMap((s) =>
        [s.name, ...(s.hosts ?? []).map((host) => hostKey(s.name, host))].map((key) => [
          key,
          driver.binding(target, s.account),
        ]),
      ),
    ),
    wishes: new Map(),
    deadClaims: new Set(),
    force: false,
  };
  const planned = plan(world.desired, ledger.state, clock.now(), observed);
  const results = effective(planned).length > 0 ? await apply(planned, world.desired, engine) : [];
  return { plan: planned, results };
}

/** The real ledger but for some members. */
export function ledgerBut(real: Ledger, members: Partial<Ledger>): Ledger {
  return new Proxy(real, {
    get(of, name) {
      if (Object.hasOwn(members, name)) return Reflect.get(members, name);
      const value: unknown = Reflect.get(of, name, of);
      return typeof value === 'function' ? value.bind(of) : value;
    },
  });
}
