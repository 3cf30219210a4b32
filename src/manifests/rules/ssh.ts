/** What `type: ssh` and key pairs ask for beyond the schema. */
import type { Context } from '../rules.ts';

/** useradd(8)'s own alphabet: a name that needs no quoting in any shell. */
const accountName = /^[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?$/;

export function keyRotator({ targets, secrets, problems }: Context): void {
  for (const { document, model, written } of secrets.values()) {
    const target = targets.get(model.target)?.model;
    const say = (pointer: string, what: string, hint: string) =>
      problems.add(document.at(pointer), model.name, what, hint);
    if (written.spec.keyType !== undefined && model.keyType === undefined)
      say('/spec/keyType', 'spec.keyType is for keys', 'write rotator: ssh-key, or remove it');
    if (target === undefined || model.keyType === undefined) continue;
    if (target.type !== 'ssh')
      say('/spec/rotator', `rotator: ssh-key does not exist in ${target.type}`, 'name a target of type: ssh');
    else if (model.blind === true)
      say(
        '/spec/blind',
        'a key pair cannot be blind',
        'remove blind: the line of the old key is found by the new one',
      );
    else if (target.ssh?.os === 'windows')
      say('/spec/rotator', 'rotator: ssh-key needs os: linux', 'rotate the password of the account instead');
  }
}

export function sshAccounts({ targets, secrets, problems }: Context): void {
  for (const { document, model, written } of secrets.values()) {
    const target = targets.get(model.target)?.model;
    if (target?.type !== 'ssh') continue;
    if (model.account.usernames.length === 2) {
      problems.add(
        document.at('/spec/account/usernames'),
        model.name,
        'alternating users do not exist in ssh',
        'write account: { username: … }',
      );
      continue;
    }
    const [username] = model.account.usernames;
    if (target.ssh?.os === 'linux' && username !== '' && !accountName.test(username))
      problems.add(
        document.at(
          written.spec.account?.username === undefined ? '/spec/account' : '/spec/account/username',
        ),
        model.name,
        'the user name is none of a Linux account',
        'write letters, digits, dot, dash and underscore, a letter first',
      );
    if (target.ssh?.os === 'windows' && model.authenticateAs === 'user')
      problems.add(
        document.at('/spec/authenticateAs'),
        model.name,
        'a Windows account cannot change its own password over SSH',
        'write authenticateAs: target',
      );
  }
}

/** A login needs a password or a key; where sudo asks, it asks for a password. */
export function sshLogins({ targets, problems }: Context): void {
  for (const { document, model } of targets.values()) {
    if (model.ssh === undefined) continue;
    const say = (pointer: string, what: string, hint: string) =>
      problems.add(document.at(pointer), model.name, what, hint);
    for (const [place, login] of [
      ['/spec/credentials', model.credentials],
      ['/spec/jump', model.ssh.jump],
    ] as const) {
      if (login === undefined) continue;
      const name = place.slice(1).replace('/', '.');
      if (login.password === undefined && login.privateKey === undefined)
        say(place, `${name} lacks password`, 'add password or privateKey, by reference');
      if (login.passphrase !== undefined && login.privateKey === undefined)
        say(`${place}/passphrase`, `${name}.passphrase is for a private key`, 'add privateKey, or remove it');
    }
    if (
      model.ssh.sudo === 'password' &&
      model.credentials?.password === undefined &&
      model.credentials !== undefined
    )
      say('/spec/sudo', 'sudo: password needs credentials.password', 'add it: what sudo asks for');
  }
}

/** An account has one password; of keys there may be two at once. */
export function sshGrace({ targets, secrets, problems }: Context): void {
  for (const { document, model } of secrets.values()) {
    if (targets.get(model.target)?.model.type !== 'ssh' || model.keyType !== undefined || model.grace === 0)
      continue;
    problems.add(
      document.at('/spec/grace'),
      model.name,
      'an account has one password, so there is no grace',
      'write grace: 0s, or rotator: ssh-key',
    );
  }
}
