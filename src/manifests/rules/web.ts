/** Custom rotators: what the manifest asks of one must add up, above all what happens when an answer gets lost. */
import { isNetwork } from '../networks.ts';
import { inspectPayload } from '../payload.ts';
import type { Context, DeclaredSecret } from '../rules.ts';

const customOnly = ['payload', 'generate', 'operations', 'replays', 'acceptLossWindow'] as const;
/** Three tries, and one more for an answer that is on its way, fit into half a lease. */
const longestTimeout = 120_000;

export function webTargets({ targets, problems }: Context): void {
  for (const { document, model, written } of targets.values()) {
    if (model.web === undefined) continue;
    const say = (pointer: string, what: string, hint: string) =>
      problems.add(document.at(pointer), model.name, what, hint);
    const { url = '', tls } = written.spec;
    const read = URL.canParse(url) ? new URL(url) : null;
    if (read?.protocol !== 'https:' || read.username !== '' || read.search !== '' || read.hash !== '')
      say(
        '/spec/url',
        'spec.url is no plain https url',
        'write https://host:port/path, with nothing behind it',
      );
    for (const [index, network] of model.web.allowAddresses.entries())
      if (!isNetwork(network))
        say(
          `/spec/allowAddresses/${index}`,
          'is no address or network',
          'write e.g. 127.0.0.1 or 10.0.0.0/8',
        );
    if ((tls?.certificate === undefined) !== (tls?.key === undefined))
      say('/spec/tls', 'spec.tls has one of certificate and key', 'give both, or none');
    if (model.timeout > longestTimeout)
      say('/spec/timeout', 'spec.timeout is longer than a claim can wait', 'write 120s or less');
  }
}

export function customRotators({ targets, secrets, problems }: Context): void {
  for (const secret of secrets.values()) {
    const { document, model, written } = secret;
    const target = targets.get(model.target)?.model;
    if (target === undefined) continue;
    const say = (pointer: string, what: string, hint: string) =>
      problems.add(document.at(pointer), model.name, what, hint);
    if (target.web !== undefined) {
      if (model.rotator !== 'custom')
        say('/spec/rotator', 'a web target is rotated by what is behind its url', 'write rotator: custom');
      checkCustom(secret, say);
      continue;
    }
    if (model.rotator === 'custom')
      say('/spec/rotator', `${target.type} needs no custom rotator`, 'name a target of type: web');
    for (const key of customOnly)
      if (written.spec[key] !== undefined)
        say(
          `/spec/${key}`,
          `spec.${key} does not exist in ${target.type}`,
          'remove it: only web targets have it',
        );
  }
}

type Say = (pointer: string, what: string, hint: string) => void;

function checkCustom({ model, written }: DeclaredSecret, say: Say): void {
  const { custom, account, authenticateAs } = model;
  if (custom === undefined) return;
  const made = custom.generate === 'rotator';
  const { uses, problem } = inspectPayload(custom.payload);
  if (problem !== null) say('/spec/payload', `spec.payload ${problem}`, 'see README, custom rotators');
  if (uses.includes('password') && authenticateAs === 'target')
    say(
      '/spec/authenticateAs',
      'the payload takes the current value, so the account changes itself',
      'write authenticateAs: user, or take the placeholder out of the payload',
    );
  if (!custom.operations.includes('verify') && (authenticateAs === 'user' || model.initial !== undefined))
    say(
      model.initial === undefined ? '/spec/operations' : '/spec/initial',
      'nobody can tell whether the value that is current now is right',
      'write operations: [rotate, verify] where the rotator can tell',
    );
  if (made && authenticateAs === 'user' && !custom.replays && !custom.acceptLossWindow)
    say(
      '/spec/generate',
      'a lost answer would lock the account out: its value is made there, and needs the one before',
      'write generate: ours, or replays: true where the rotator answers the same request alike, or acceptLossWindow: true',
    );
  if (made && account.usernames.length === 2)
    say(
      '/spec/account/usernames',
      'a rotator that makes the value names the user too',
      'write account: { username: … }; its answer may have another username',
    );
  if (made && model.blind)
    say(
      '/spec/blind',
      'a value that the rotator makes cannot be blind',
      'remove blind, or write generate: ours',
    );
  if (!custom.operations.includes('revoke') && (model.grace > 0 || account.usernames.length === 2))
    say(
      written.spec.grace === undefined ? '/spec/account' : '/spec/grace',
      'without the operation revoke nobody ends the former value',
      'write operations: [rotate, revoke] where the rotator can, or grace: 0s',
    );
}
