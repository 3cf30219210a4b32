/** Does the target accept the current version? One login, and never one that might lock the account. */
import type { Desired, RotatedSecret } from '../manifests/model.ts';
import { checked, drifted, paused } from '../state/bookkeeping.ts';
import { hostsOf } from '../state/hosts.ts';
import type { Binding, SecretRecord } from '../state/model.ts';
import { isBlind } from '../state/readers.ts';
import { versionOf } from '../state/transitions.ts';
import type { Probe } from '../targets/driver.ts';
import { bindingChange } from './binding.ts';
import { base } from './conclude.ts';
import { admitted, at } from './hosts.ts';
import { logIn, together } from './login.ts';
import type { Action, Result } from './model.ts';
import type { Done } from './upkeep.ts';
import { recordNamed, routeTo, targetCredentials, type World } from './world.ts';

export type Answer =
  | { r: 'asked'; record: SecretRecord; probe: Probe }
  /** Not asked, with the reason as a phrase: `moved` is one that a person must look at. */
  | { r: 'skipped' | 'moved'; record: SecretRecord | undefined; detail: string };

/** Codes of probes that did not take place, here or ever. */
const nobody = new Set(['NO_LOGIN', 'NO_VERIFY']);
/** How long an account that may be locked is left alone. */
const probingPause = 24 * 3_600_000;

/** One login with the current version of a secret. Changes nothing, neither there nor here. */
export async function askCurrent(secret: RotatedSecret, desired: Desired, world: World): Promise<Answer> {
  const record = recordNamed(world, desired, secret.name);
  const target = desired.targets.get(secret.target);
  const skipped = (detail: string): Answer => ({ r: 'skipped', record, detail });
  if (!record || record.current === null || !target) return skipped('has no version yet');
  if (record.pending) return skipped(`v${record.pending.v} is pending; keyturn apply settles it`);
  if (isBlind(record, record.current)) return skipped('only its readers can decrypt it');
  const { probeAfter } = record.sched;
  if (probeAfter !== null && Date.parse(probeAfter) > world.clock.now().getTime())
    return skipped(`the account may be locked; not tried before ${probeAfter}`);
  const known = hostsOf(record);
  const answers: { host: string; probe: Probe }[] = [];
  const hosts = admitted(secret, record).filter((host) => known[host]?.v === record.current);
  for (const host of hosts) {
    const alone = at(secret, host);
    const asked = await askAt(alone, record, record.current, known[host]?.binding, desired, world);
    if ('moved' in asked) return { r: 'moved', record, detail: asked.moved };
    answers.push({ host, probe: asked });
  }
  if (secret.hosts !== undefined) return { r: 'asked', record, probe: together(answers) };
  const [only] = answers;
  // nobody but a person can log in there: no answer is no news
  if (only && nobody.has(only.probe.code)) return skipped(only.probe.detail);
  return only ? { r: 'asked', record, probe: only.probe } : skipped('has no version there');
}

/** What one host or target says; or why it was not asked: it is not where the credential may be sent. */
async function askAt(
  secret: RotatedSecret,
  record: SecretRecord,
  current: number,
  bound: Binding | undefined,
  desired: Desired,
  world: World,
): Promise<Probe | { moved: string }> {
  const target = desired.targets.get(secret.target);
  if (!target) return { moved: `there is no target ${secret.target}` };
  const driver = await world.driver(target.type, secret.rotator);
  const moved = bindingChange(bound ?? record.binding, driver.binding(target, secret.account));
  if (moved !== null) return { moved: `${moved}; keyturn rebind ${secret.name} if that is right` };
  const { value } = await world.ledger.readVersion(record, current);
  const login = driver.machine !== 'issued' && (await targetCredentials(world, desired, target));
  const { route } = await routeTo(world, desired, target);
  const { username, handle } = versionOf(record, current);
  return logIn(driver, {
    target,
    secret,
    username,
    value,
    handle,
    mark: { uid: record.uid, version: current },
    admin: login && login.r === 'resolved' ? login.credentials : undefined,
    ...route,
  });
}

/** The plan's `verify`: what the login showed becomes part of the record, and drift the next plan's matter. */
export async function check(
  action: Action,
  secret: RotatedSecret,
  desired: Desired,
  world: World,
): Promise<Done> {
  world.emit({ kind: 'step', secret: secret.name, step: 'check', version: action.from ?? 1 });
  const answer = await askCurrent(secret, desired, world);
  const said = (more: Partial<Result>): Result => ({ ...base(action), ...more });
  if (answer.r !== 'asked') {
    const outcome = answer.r === 'moved' ? 'human' : 'skipped';
    return { action, change: null, result: said({ outcome, detail: answer.detail }) };
  }
  const { record, probe } = answer;
  const now = world.clock.now();
  const at = now.toISOString();
  const change = (to: SecretRecord): Done['change'] => ({
    uid: record.uid,
    name: secret.name,
    from: record,
    to,
    writes: [],
  });
  switch (probe.r) {
    case 'ok':
      return { action, change: change(checked(record, at)), result: said({ detail: 'logged in with it' }) };
    case 'ok-restricted':
      return { action, change: change(checked(record, at)), result: said({ detail: probe.detail }) };
    case 'denied':
      return {
        action,
        change: change(drifted(record, at)),
        result: said({ outcome: 'human', detail: `drift: ${probe.detail}`, hint: hintFor(secret) }),
      };
    case 'blocked':
      return {
        action,
        change: change(paused(record, at, new Date(now.getTime() + probingPause).toISOString())),
        result: said({
          outcome: 'human',
          detail: probe.detail,
          hint: `unlock the account at the target, then keyturn unlock ${secret.name}`,
        }),
      };
    case 'unreachable':
    case 'inconclusive':
      return { action, change: null, result: said({ outcome: 'waiting', detail: probe.detail }) };
  }
}

function hintFor({ name, drift, rotator }: RotatedSecret): string {
  if (drift === 'reset') return 'the next run sets a new value with the credentials of the target';
  if (drift === 'adopt')
    return rotator === 'storage-key'
      ? 'the next run reads what is there'
      : 'the next run adopts the initial value if the target accepts it';
  return `keyturn reconcile ${name} sets a new value, keyturn adopt ${name} takes the one that is live`;
}
