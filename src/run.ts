/** One run, read top to bottom: load, fetch, plan, apply, publish. Commands call it; it prints nothing. */
import { join } from 'node:path';
import picomatch from 'picomatch';
import { apply } from './engine/apply.ts';
import { boundTo } from './engine/binding.ts';
import type { Observed } from './engine/decide.ts';
import { hostKey } from './engine/hosts.ts';
import type { Event, Plan, Result } from './engine/model.ts';
import { withOrphans } from './engine/orphans.ts';
import { plan, recordOf } from './engine/plan.ts';
import { refuseRestore } from './engine/restore.ts';
import { diskSpool, spillTo } from './engine/spool.ts';
import { audienceNow, type World } from './engine/world.ts';
import { KeyturnError } from './errors.ts';
import type { GitRepository } from './git/open.ts';
import type { Host } from './host.ts';
import type { Desired } from './manifests/model.ts';
import { deadClaims } from './owner.ts';
import { type StartOptions, start } from './start.ts';
import { type Identity, writerOf } from './state/identity.ts';
import type { Ledger } from './state/ledger.ts';
import { checkLineage, lineageDir, rememberLineage } from './state/lineage.ts';
import type { Binding } from './state/model.ts';
import { type SessionNote, sessionsOf } from './state/sessions.ts';
import { resolveValue } from './state/values.ts';
import { isOpen, readRequests, type Wish } from './state/wishes.ts';
import { driverOf } from './targets/registry.ts';
import { asReconciler, asWorkflow } from './targets/web/authenticate.ts';

export interface Session {
  host: Host;
  root: string;
  desired: Desired;
  repository: GitRepository;
  identity: Identity;
  ledger: Ledger;
  world: World;
  wishes: Wish[];
  /** Names that manifests declare; `desired` also has stand-ins for what must still be ended. */
  declared: ReadonlySet<string>;
}

/** Loads the manifests and the identity, fetches the tip, folds the state. Writes nothing. */
export async function openSession(
  host: Host,
  options: StartOptions & { emit?: (event: Event) => void },
): Promise<Session> {
  const { root, manifests, identity, repository, ledger, ulid, owner } = await start(host, options);
  await refuseRollback(host, ledger, repository);
  const desired = withOrphans(manifests, ledger.state);
  const requests = await readRequests(ledger);
  const wishes = requests.filter((wish) => isOpen(wish, ledger));
  let stopping = false;
  host.onStop(() => {
    stopping = true;
  });
  const world: World = {
    ledger,
    clock: host.clock,
    random: host.random,
    ulid,
    driver: driverOf,
    authenticate: (how) =>
      how === 'github'
        ? asWorkflow(host.env)
        : asReconciler(
            () => writerOf(identity),
            desired.project.name,
            () => host.clock.now(),
          ),
    resolve: (ref, subject) => resolveValue(ref, subject, { root, env: host.env, identity }),
    spool: diskSpool(join(lineageDir(host.env, host.home), 'spool')),
    spill: spillTo(repository),
    owner,
    emit: options.emit ?? (() => undefined),
    failpoint: host.failpoint,
    stopping: () => stopping,
    requests: new Map(
      requests.map((wish) => [
        wish.secret,
        requests.filter((w) => w.secret === wish.secret).map((w) => w.path),
      ]),
    ),
  };
  const declared = new Set(manifests.secrets.keys());
  return { host, root, desired, declared, repository, identity, ledger, world, wishes };
}

export interface PlanRequest {
  only?: readonly string[] | undefined;
  /** Secrets to rotate now, whatever their schedule says. */
  rotate?: readonly string[] | undefined;
  reason?: string | undefined;
  /** The version whose value is set again, for each of `rotate`. */
  toVersion?: number | undefined;
  force?: boolean | undefined;
  /** Somebody says yes to rotating what a target logs in with. */
  assent?: boolean | undefined;
}

/** Where every secret's credential would be sent, as its driver reads the manifests. */
export async function bindingsOf(desired: Desired): Promise<Map<string, Binding>> {
  const bindings = new Map<string, Binding>();
  for (const secret of desired.secrets.values()) {
    const target = desired.targets.get(secret.target);
    const driver = target && (await driverOf(target.type, secret.rotator));
    if (driver) bindings.set(secret.name, boundTo(driver, target, secret));
    for (const host of secret.hosts ?? []) {
      const one = desired.targets.get(host);
      const its = one && (await driverOf(one.type, secret.rotator));
      if (its) bindings.set(hostKey(secret.name, host), its.binding(one, secret.account));
    }
  }
  return bindings;
}

export async function makePlan(session: Session, request: PlanRequest = {}): Promise<Plan> {
  const { desired, ledger, host } = session;
  const bindings = await bindingsOf(desired);
  const wishes = new Map(session.wishes.map((wish) => [wish.secret, wish.reason]));
  for (const name of request.rotate ?? []) {
    if (!desired.secrets.has(name))
      throw new KeyturnError(name, 'no such secret', { hint: 'keyturn list shows the names' });
    wishes.set(name, request.reason ?? '');
  }
  const restores = new Map<string, number>();
  for (const secret of desired.secrets.values()) {
    if (request.toVersion === undefined || request.rotate?.includes(secret.name) !== true) continue;
    const record = recordOf(secret, ledger.state.records);
    refuseRestore(secret, record, audienceNow(secret, record, desired, session.world), request.toVersion);
    restores.set(secret.name, request.toVersion);
  }
  const observed: Observed = {
    bindings,
    wishes,
    deadClaims: await deadClaims(host, ledger.state),
    restores,
    sessions: await sessionsSeen(session),
    assent: request.assent === true,
    force: request.force === true,
  };
  const wanted = request.only && request.only.length > 0 ? matching(request.only, desired) : undefined;
  return plan(desired, ledger.state, host.clock.now(), observed, wanted ? { only: wanted } : {});
}

/** Whole names are found, not matched: a thousand of them may be given for as many secrets. */
function matching(only: readonly string[], { secrets }: Desired): (name: string) => boolean {
  const names = new Set(only.filter((one) => secrets.has(one)));
  const others = picomatch(
    only.filter((one) => !names.has(one)),
    { dot: true },
  );
  return (name) => names.has(name) || others(name);
}

/** Sessions of people, as records and the tip's files have them together: by name, of the few secrets that know of any. */
export async function sessionsSeen({ ledger, host }: Session): Promise<Map<string, SessionNote[]>> {
  const files = await ledger.sessions();
  const notes = new Map(
    Object.values(ledger.state.records).flatMap(({ name, sessions = [] }) =>
      sessions.length === 0 ? [] : [[name, sessions] as const],
    ),
  );
  const names = new Set([...notes.keys(), ...files.map(({ secret }) => secret)]);
  return new Map(
    [...names].map((name) => {
      const mine = files.filter(({ secret }) => secret === name);
      return [name, sessionsOf(notes.get(name) ?? [], mine, host.clock.now())];
    }),
  );
}

/**
 * Carries a plan out and brings the clone up to the new tip. Throws before anything is touched when the
 * manifests are not what is committed and newest; afterwards every failure is a secret's result.
 */
export async function applyPlan(
  session: Session,
  plan: Plan,
): Promise<{ results: Result[]; followed: string | null }> {
  const { repository, ledger, desired, world, host } = session;
  await refuseUnpublished(session);
  const results = await apply(plan, desired, world);
  await rememberLineage(ledger.state, lineageDir(host.env, host.home), lineageKey(repository));
  const followed = ledger.tip === null ? null : await repository.followTip(ledger.tip);
  return { results, followed };
}

export async function refuseUnpublished({ repository, ledger, host }: Session): Promise<void> {
  const { GITHUB_ACTIONS, GITHUB_EVENT_NAME = '' } = host.env;
  if (GITHUB_ACTIONS === 'true' && GITHUB_EVENT_NAME.startsWith('pull_request'))
    throw new KeyturnError('manifests', 'are those of a pull request', {
      hint: 'apply after the merge: on push, schedule or workflow_dispatch; a pull request gets keyturn plan',
    });
  const [changed] = await repository.changedPaths(['keyturn.yaml', 'manifests']);
  if (changed !== undefined)
    throw new KeyturnError(changed, 'has changes that are not committed', {
      hint: 'apply carries out what is committed and can be reviewed: git commit it, or git stash it',
    });
  if (await repository.isOutdated(ledger.tip, ['keyturn.yaml', 'manifests']))
    throw new KeyturnError('manifests', `are older than those of ${repository.place}`, {
      hint: 'git pull --rebase, then run it again',
      exit: 75,
    });
}

/** Throws (exit 3) when the state is older than what this machine has seen. One fetch more: another run may have pushed since ours. */
async function refuseRollback(host: Host, ledger: Ledger, repository: GitRepository): Promise<void> {
  const cache = lineageDir(host.env, host.home);
  const check = (): Promise<void> => checkLineage(ledger.state, cache, lineageKey(repository));
  await check().catch(async () => {
    await ledger.refresh();
    await check();
  });
  await rememberLineage(ledger.state, cache, lineageKey(repository));
}

const lineageKey = ({ root, place }: GitRepository): string => `${root} ${place}`;
