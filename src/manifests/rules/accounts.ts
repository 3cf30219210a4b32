/** Whose credential it is, and who may change it. */
import { isAzure } from '../azure.ts';
import type { RotatedSecret, Target } from '../model.ts';
import type { Context } from '../rules.ts';

/** Two records of one account would rotate it under each other (protocol 4.5). */
export function oneSecretPerAccount({ targets, secrets, problems }: Context): void {
  const owners = new Map<string, string>();
  for (const { document, model, written } of secrets.values()) {
    const target = targets.get(model.target)?.model;
    if (target === undefined) continue;
    for (const [index, username] of model.account.usernames.entries()) {
      if (username === '') continue;
      const account = model.account.host === undefined ? username : `${username}@${model.account.host}`;
      const kind = model.keyType === undefined ? 'password' : 'key';
      const where = [target.type, target.host.toLowerCase(), target.port, realm(target, model)];
      const key = JSON.stringify([...where, account, kind]);
      const owner = owners.get(key);
      if (owner === undefined) owners.set(key, model.name);
      else if (owner !== model.name) {
        const pointer =
          written.spec.account?.usernames === undefined
            ? '/spec/account/username'
            : `/spec/account/usernames/${index}`;
        problems.add(
          document.at(pointer),
          model.name,
          `rotates ${account} at ${target.host}:${target.port}, as ${owner} does`,
          'keep one secret for one account, and give its readers a role',
        );
      }
    }
  }
}

/** What tells accounts of one endpoint apart. */
const realm = ({ aws, azure, web }: Target, { custom }: RotatedSecret): string =>
  aws?.accountId ??
  (azure
    ? [azure.tenantId, azure.storage?.subscriptionId, azure.storage?.name].join('/')
    : `${web?.path ?? ''} ${custom?.payload ?? ''}`);

export function accountShape({ targets, secrets, problems }: Context): void {
  for (const { document, model, written } of secrets.values()) {
    const { account } = written.spec;
    const say = (pointer: string, what: string, hint: string) =>
      problems.add(document.at(pointer), model.name, what, hint);
    if (account?.username !== undefined && account.usernames !== undefined) {
      say(
        '/spec/account/usernames',
        'spec.account has both username and usernames',
        'keep usernames for two users that take turns, else username',
      );
    }
    const type = targets.get(model.target)?.model.type;
    if (
      account !== undefined &&
      account.username === undefined &&
      account.usernames === undefined &&
      !isAzure(type)
    ) {
      say(
        '/spec/account',
        'spec.account lacks username',
        'add username, or usernames for two users that take turns',
      );
    }
    if (
      account === undefined &&
      model.rotator !== 'target' &&
      written.spec.graceful === true &&
      type !== undefined &&
      !isAzure(type)
    )
      say('/spec', 'spec lacks account', 'add account: { username: … }');
    if (account?.host !== undefined && type !== undefined && type !== 'mysql') {
      say(
        '/spec/account/host',
        `spec.account.host does not exist in ${type}`,
        'remove it: only mysql users have a host part',
      );
    }
    const first = model.initial?.username;
    if (first !== undefined && !(model.account.usernames as string[]).includes(first)) {
      say(
        '/spec/initial/username',
        'spec.initial.username is not the user of spec.account',
        'name one of the users of spec.account',
      );
    }
  }
}

/** `rotator: target` and the target's credentials name each other (protocol 4.5). */
export function targetRotator({ targets, secrets, problems }: Context): void {
  for (const { document, model, written } of secrets.values()) {
    const target = targets.get(model.target)?.model;
    if (model.rotator !== 'target' || target === undefined) continue;
    const { password, privateKey } = target.credentials ?? {};
    const names = [password, privateKey].some(
      (ref) => ref !== undefined && 'secret' in ref && ref.secret === model.name,
    );
    if (target.credentials === undefined || !names) {
      problems.add(
        document.at('/spec/rotator'),
        model.name,
        `rotator: target rotates the credentials of ${target.name}, but they do not refer to this secret`,
        `write credentials: { username: …, password: { secret: ${model.name} } } in ${target.name}, or rotator: password`,
      );
      continue;
    }
    const { username, usernameHost } = target.credentials;
    if (
      model.account.usernames.length === 1 &&
      model.account.usernames[0] === username &&
      model.account.host === usernameHost
    )
      continue;
    const pointer =
      written.spec.account?.usernames !== undefined ? '/spec/account/usernames' : '/spec/account/username';
    problems.add(
      document.at(pointer),
      model.name,
      `spec.account is not the account of ${target.name}'s credentials`,
      'remove spec.account: it is taken from the target',
    );
  }
}

export function authentication({ targets, secrets, problems }: Context): void {
  for (const { document, model } of secrets.values()) {
    const target = targets.get(model.target)?.model;
    if (
      model.authenticateAs === 'target' &&
      target !== undefined &&
      target.credentials === undefined &&
      target.aws === undefined &&
      target.web === undefined &&
      target.azure === undefined &&
      model.rotator !== 'target'
    ) {
      problems.add(
        document.at('/spec/authenticateAs'),
        model.name,
        `authenticateAs: target needs credentials in ${target.name}`,
        `add spec.credentials to ${target.name}, or write authenticateAs: user`,
      );
    }
    if (
      model.authenticateAs === 'user' &&
      model.account.usernames.length === 2 &&
      model.rotator !== 'target'
    ) {
      problems.add(
        document.at('/spec/account/usernames'),
        model.name,
        'alternating users cannot change their own passwords',
        'write authenticateAs: target: the user that is not in use is rotated with the credentials of the target',
      );
    }
  }
}

/** PostgreSQL keeps one password for a role: an old one can stay valid only on another role. */
export function overlap({ targets, secrets, problems }: Context): void {
  for (const { document, model } of secrets.values()) {
    if (
      targets.get(model.target)?.model.type !== 'postgresql' ||
      model.grace === 0 ||
      model.account.usernames.length === 2
    )
      continue;
    problems.add(
      document.at('/spec/grace'),
      model.name,
      'postgresql keeps one password for a user, so there is no grace',
      'write account: { usernames: [a, b] } for two users that take turns, or grace: 0s',
    );
  }
}
