/** What only targets that issue their values have, and what they do not have. */
import { isAzure } from '../azure.ts';
import type { Context } from '../rules.ts';

const issuedOnly = ['graceful', 'exclusive', 'deleteAfter', 'stillInUseWindow', 'stillInUse'] as const;

/** Keys of a manifest that its target's type knows nothing of. */
export function keysOfType({ targets, secrets, problems }: Context): void {
  for (const { document, model, written } of secrets.values()) {
    const target = targets.get(model.target)?.model;
    if (target === undefined || isAzure(target.type)) continue;
    const { spec } = written;
    const say = (pointer: string, what: string, hint: string) =>
      problems.add(document.at(pointer), model.name, what, hint);
    if (target.type !== 'aws') {
      for (const key of issuedOnly)
        if (spec[key] !== undefined)
          say(
            `/spec/${key}`,
            `spec.${key} does not exist in ${target.type}`,
            'remove it: only access keys have it',
          );
      if (model.rotator === 'api-key')
        say('/spec/rotator', `${target.type} has no access keys`, 'write rotator: password');
      continue;
    }
    if (model.blind)
      say(
        '/spec/blind',
        'a key that AWS makes cannot be blind',
        'remove blind: it is proven, and retired, with what keyturn can read',
      );
    if (model.rotator === 'password')
      say('/spec/rotator', 'an IAM user has access keys, no password to rotate', 'write rotator: api-key');
    if (model.account.usernames.length === 2)
      say(
        '/spec/account/usernames',
        'an IAM user holds two keys, so no second user is needed',
        'write account: { username: … }',
      );
    if (model.keys?.graceful === true && model.grace > 0)
      say(
        '/spec/grace',
        'graceful keeps the former key until the next rotation',
        'remove grace, or graceful',
      );
  }
}

/** Of a target's access key somebody must know the id; in clear text nothing is sent but on purpose. */
export function awsTargets({ targets, problems }: Context): void {
  for (const { document, model, written } of targets.values()) {
    if (model.type !== 'aws') continue;
    const password = model.credentials?.password;
    if (password !== undefined && !('secret' in password) && model.credentials?.handle === undefined)
      problems.add(
        document.at('/spec/credentials'),
        model.name,
        'spec.credentials lacks accessKeyId',
        'add the id of the access key: it is not secret',
      );
    if (written.spec.endpoint?.startsWith('http://') && model.tls.mode !== 'disable')
      problems.add(
        document.at('/spec/endpoint'),
        model.name,
        'spec.endpoint is plain http, and AWS answers with new secrets',
        'write https://, or tls: { mode: disable } where nobody can listen',
      );
  }
}
