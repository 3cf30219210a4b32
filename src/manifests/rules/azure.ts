/** What Azure's two types ask for beyond the schema, by what is rotated there. */
import { isAzure } from '../azure.ts';
import type { Context, DeclaredSecret } from '../rules.ts';

export function azureTargets({ targets, problems }: Context): void {
  for (const { document, model, written } of targets.values()) {
    if (!isAzure(model.type)) continue;
    const { credentials } = written.spec;
    if (credentials === undefined) continue;
    const ways = (['clientSecret', 'certificate', 'federated', 'managedIdentity'] as const).filter(
      (key) => credentials[key] !== undefined,
    );
    if (ways.length !== 1)
      problems.add(
        document.at('/spec/credentials'),
        model.name,
        ways.length === 0
          ? 'spec.credentials says no way to log in'
          : `spec.credentials has ${ways.join(' and ')}`,
        'write one of clientSecret, certificate, federated, managedIdentity, or no credentials at all for what the environment gives',
      );
    else if (credentials.clientId === undefined && !ways.includes('managedIdentity'))
      problems.add(
        document.at('/spec/credentials'),
        model.name,
        'spec.credentials lacks clientId',
        'add the id of the application that logs in',
      );
    if (credentials.certificate !== undefined && 'secret' in credentials.certificate)
      problems.add(
        document.at('/spec/credentials/certificate'),
        model.name,
        'a certificate is no rotated secret',
        'write { file: … }, { env: … } or { sealed: … }, or clientSecret: { secret: … }',
      );
  }
}

/** Of every secret by kind: which keys mean something. */
export function azureSecrets({ targets, secrets, problems }: Context): void {
  for (const secret of secrets.values()) {
    const { document, model, written } = secret;
    const target = targets.get(model.target)?.model;
    const say = (pointer: string, what: string, hint: string) =>
      problems.add(document.at(pointer), model.name, what, hint);
    const own = ['appId', 'keyName'] as const;
    if (target === undefined || !isAzure(target.type)) {
      for (const key of own)
        if (target !== undefined && written.spec.account?.[key] !== undefined)
          say(
            `/spec/account/${key}`,
            `spec.account.${key} does not exist in ${target.type}`,
            'write account: { username: … }',
          );
      if (target !== undefined && model.rotator === 'storage-key')
        say('/spec/rotator', `${target.type} has no storage keys`, 'name a target of type: azure-storage');
      if (target !== undefined && model.verifyBy !== undefined)
        say('/spec/verify', 'verify: ropc is for users of Entra', 'write verify: { every: … }, or remove it');
      continue;
    }
    const kind = kindOf(secret, target.type);
    if (kind === null) {
      say(
        '/spec/rotator',
        `rotator: ${model.rotator} does not exist in ${target.type}`,
        target.type === 'azure' ? 'write api-key, password or target' : 'write storage-key',
      );
      continue;
    }
    for (const [key, words] of Object.entries(useless[kind]))
      if (key in written.spec) say(`/spec/${key}`, `spec.${key} ${words[0]}`, words[1]);
    if (model.verifyBy !== undefined && kind !== 'user')
      say('/spec/verify', 'verify: ropc is for users of Entra', 'remove it: the value is proven without');
    if (model.verifyBy !== undefined && target.azure?.publicClientId === undefined)
      say(
        '/spec/verify',
        `verify: ropc needs a public client in ${target.name}`,
        `add publicClientId to ${target.name}: an application that allows public client flows`,
      );
    if (written.spec.authenticateAs === 'user' && kind !== 'application')
      say(
        '/spec/authenticateAs',
        kind === 'user'
          ? 'a user of Entra cannot change its own password without a person'
          : 'a key renews nothing',
        'write authenticateAs: target',
      );
    if (model.blind === true && kind !== 'user')
      say('/spec/blind', 'a value that Azure makes cannot be blind', 'remove blind');
    checkAccount(secret, kind, say);
  }
}

type Kind = 'application' | 'user' | 'keys';

function kindOf({ model }: DeclaredSecret, type: string): Kind | null {
  if (type === 'azure-storage') return model.rotator === 'storage-key' ? 'keys' : null;
  if (model.rotator === 'api-key' || model.rotator === 'target') return 'application';
  return model.rotator === 'password' ? 'user' : null;
}

const notThere = 'does not exist at Azure';
const removeIt = 'remove it';
const common = {
  exclusive: [notThere, 'remove it: what keyturn made there carries its name'],
  deleteAfter: [notThere, 'remove it: what is over is removed at once'],
  stillInUseWindow: [notThere, removeIt],
  stillInUse: [notThere, 'remove it: Azure does not tell when a secret was used'],
} as const;

/** Keys that mean nothing for a kind, with why and what else. */
const useless: Record<Kind, Record<string, readonly [string, string]>> = {
  application: common,
  user: {
    ...common,
    graceful: ['does not exist for a user, who has one password', removeIt],
    grace: ['does not exist for a user, who has one password', removeIt],
  },
  keys: {
    ...common,
    grace: [
      'does not exist for storage keys: a key that is renewed is dead at once',
      'write graceful: true for two keys that take turns, each valid until its next turn',
    ],
    initial: ['is not needed: the key is read from the account', removeIt],
    passwordPolicy: ['does not exist for storage keys', removeIt],
  },
};

function checkAccount(
  { model, written }: DeclaredSecret,
  kind: Kind,
  say: (pointer: string, what: string, hint: string) => void,
): void {
  const { account, graceful, initial, grace } = written.spec;
  const wanted = { application: 'appId', user: 'username', keys: 'keyName' }[kind];
  for (const key of ['appId', 'username', 'usernames', 'keyName'] as const)
    if (account?.[key] !== undefined && key !== wanted)
      say(
        `/spec/account/${key}`,
        `spec.account.${key} is not what this secret rotates`,
        `write account: { ${wanted}: … }`,
      );
  const named =
    kind === 'keys' ? graceful === true || account?.keyName !== undefined : model.account.usernames[0] !== '';
  if (!named)
    say(
      '/spec/account',
      `spec.account lacks ${wanted}`,
      kind === 'keys' ? 'add keyName, or write graceful: true for two keys that take turns' : `add ${wanted}`,
    );
  if (kind === 'application' && graceful === true && grace !== undefined)
    say(
      '/spec/grace',
      'graceful keeps the former secret until the next rotation',
      'remove grace, or graceful',
    );
  if (kind === 'user' && initial !== undefined && model.verifyBy === undefined)
    say(
      '/spec/initial',
      'nothing proves an existing password of a user',
      'write verify: ropc, or remove initial and let the first rotation set one',
    );
}
