/** What a branch's manifests change, against those of another commit: for a review, without key or state. PURE. */
import { formatDuration } from '../manifests/durations.ts';
import type { Desired, RotatedSecret } from '../manifests/model.ts';
import type { Binding } from '../state/model.ts';
import { bindingChange } from './binding.ts';
import { hostKey } from './hosts.ts';
import type { Action, Plan, Verb } from './model.ts';
import { assemble } from './plan.ts';
import { describeSchedule } from './schedule.ts';

/** One side of the comparison, with where each secret's credential would be sent. */
export interface Side {
  desired: Desired;
  bindings: ReadonlyMap<string, Binding>;
}

/**
 * A plan as far as manifests alone can tell: what the next apply does because of the change, whatever falls due
 * besides. Versions are not known here, so none is named.
 */
export function planAgainst(before: Side, after: Side, now: Date): Plan {
  const old = before.desired.secrets;
  const moved = new Set<string>();
  const actions: Action[] = [];
  let unchanged = 0;
  for (const secret of after.desired.secrets.values()) {
    const was = old.get(secret.name) ?? old.get(secret.movedFrom ?? '');
    if (was && was.name !== secret.name) moved.add(was.name);
    const found = was ? changed(was, secret, before, after) : [begun(secret)];
    if (found.length === 0) unchanged += 1;
    actions.push(...found);
  }
  for (const secret of old.values())
    if (!after.desired.secrets.has(secret.name) && !moved.has(secret.name))
      actions.push(
        act(secret, 'forget', 'its manifest is removed: not rotated any more, its versions stay readable'),
      );
  return assemble(after.desired, actions, { serial: 0, head: '', now, unchanged, nextDue: null });
}

const act = (secret: RotatedSecret, verb: Verb, reason: string, more: Partial<Action> = {}): Action => ({
  verb,
  secret: secret.name,
  uid: '',
  target: secret.target,
  from: null,
  to: null,
  why: null,
  reason,
  ...more,
});

function begun(secret: RotatedSecret): Action {
  if (secret.initial) return act(secret, 'adopt', 'added, with an initial value', { to: 1 });
  if (secret.authenticateAs === 'user')
    return act(secret, 'block', `added; its value is not known: keyturn adopt ${secret.name}`);
  return act(secret, 'rotate', 'added', { to: 1, why: 'new' });
}

function changed(was: RotatedSecret, is: RotatedSecret, before: Side, after: Side): Action[] {
  const actions: Action[] = [];
  const old = before.bindings.get(was.name);
  const endpoint = old && bindingChange(old, after.bindings.get(is.name));
  const added = (is.hosts ?? []).filter((host) => was.hosts !== undefined && !was.hosts.includes(host));
  for (const host of added)
    actions.push(act(is, 'hold', `${host} was added: needs keyturn rebind ${is.name}`));
  for (const host of is.hosts ?? []) {
    const there = before.bindings.get(hostKey(was.name, host));
    const moved = there && bindingChange(there, after.bindings.get(hostKey(is.name, host)));
    if (moved) actions.push(act(is, 'block', `${host}: ${moved}: needs keyturn rebind ${is.name}`));
  }
  if (endpoint && is.hosts === undefined)
    actions.push(act(is, 'block', `${endpoint}: needs keyturn rebind ${is.name}`));
  if (is.rotateToken !== was.rotateToken && is.rotateToken !== undefined)
    actions.push(act(is, 'rotate', `rotateToken is now "${is.rotateToken}"`, { why: 'rotate-token' }));
  const lost = names(audience(was, before), audience(is, after));
  const won = names(audience(is, after), audience(was, before));
  if (lost.length > 0)
    actions.push(act(is, 'rotate', `reader removed: ${lost.join(', ')}`, { why: 'reader-removed' }));
  if (won.length > 0) actions.push(act(is, 'rekey', `reader added: ${won.join(', ')}`));
  if (was.name !== is.name) actions.push(act(is, 'rekey', `moved from ${was.name}`));
  const words = wording(was, is);
  if (words.length > 0) actions.push(act(is, 'hold', `${words.join('; ')}: from its next rotation on`));
  return actions;
}

/** recipient -> name of everybody a version is sealed to. */
const audience = (secret: RotatedSecret, { desired }: Side): Map<string, string> =>
  new Map([
    ...(secret.blind ? [] : desired.project.reconcilers.map((one) => [one, 'reconciler'] as const)),
    ...secret.readers.map(({ recipient, name }) => [recipient, name] as const),
  ]);

const names = (of: ReadonlyMap<string, string>, without: ReadonlyMap<string, string>): string[] =>
  [...new Set([...of].filter(([recipient]) => !without.has(recipient)).map(([, name]) => name))].sort();

function wording(was: RotatedSecret, is: RotatedSecret): string[] {
  const said: [string, string, string][] = [
    ['schedule', describeSchedule(was.schedule), describeSchedule(is.schedule)],
    ['grace', formatDuration(was.grace), formatDuration(is.grace)],
    ['authenticateAs', was.authenticateAs, is.authenticateAs],
    ['target', was.target, is.target],
  ];
  const words = said.filter(([, a, b]) => a !== b).map(([key, a, b]) => `${key} ${a} -> ${b}`);
  if (
    words.length === 0 &&
    was.specDigest !== is.specDigest &&
    was.name === is.name &&
    was.rotateToken === is.rotateToken
  )
    words.push('other settings changed');
  return words;
}
