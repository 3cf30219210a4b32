/**
 * The identity bundle (protocol §8): who we are and whose signatures we accept. It comes from outside the
 * repository, so nobody with write access to that can add a signer. No error ever repeats a line of it.
 */
import type { KeyObject } from 'node:crypto';
import { createPublicKey } from 'node:crypto';
import { open } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { decryptWithPassphrase, generateIdentity, isAgeFile, recipientOf } from '../age/age.ts';
import { openSshKey, privateKeyBlock } from '../age/ssh-key-file.ts';
import { KeyturnError } from '../errors.ts';
import { Secret } from '../secret.ts';
import { generateSeed, isKid, privateKey, publicKey, type Signer, signerOf } from './signing.ts';

export interface Identity {
  /** File or environment variable it came from, for messages. */
  source: string;
  /** The newest first, as written; older ones stay for decryption. `AGE-SECRET-KEY-…` or PKCS #8 PEM of SSH keys. */
  ageIdentities: Secret[];
  /** Public halves of `ageIdentities`, in the same order. */
  recipients: string[];
  /** null for a pure planner or reader. */
  signer: Signer | null;
  /** Accepted signers by kid, our own included. Empty for a plain reader. */
  trust: ReadonlyMap<string, KeyObject>;
}

/** Asks a person for the passphrase of what `message` names; null where nobody can be asked. */
export type AskPassphrase = (message: string) => Promise<Secret | null>;

const largest = 1024 * 1024;

/**
 * Reads a bundle, a plain age identity file or an SSH private key, or any of them together. Throws KeyturnError with
 * `source:line` and the rule that was broken.
 */
export async function parseIdentity(text: string, source: string, ask?: AskPassphrase): Promise<Identity> {
  const ages = new Map<string, Secret>();
  const trust = new Map<string, KeyObject>();
  let signer: Signer | null = null;
  for (const block of text.match(privateKeyBlock) ?? []) {
    const pem = await sshKey(new Secret(`${block}\n`), source, ask);
    ages.set(await recipientOf(pem), pem);
  }
  const lines = text.replaceAll(privateKeyBlock, (block) => block.replaceAll(/[^\n]/g, '')).split('\n');

  for (const [index, raw] of lines.entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const [tag = '', kid = '', key = '', ...rest] = line.split(/\s+/);
    const wrong = (what: string, hint?: string) =>
      new KeyturnError(`${source}:${index + 1}`, what, {
        code: 'BAD_IDENTITY',
        ...(hint === undefined ? {} : { hint }),
      });
    const accept = (accepted: KeyObject) => {
      const known = trust.get(kid);
      if (known && !known.equals(accepted))
        throw wrong('this kid already has a different key', 'give every signing key its own kid');
      trust.set(kid, accepted);
    };

    // A bare prefix is no key: taught to the redactor, it would blank out what hints say.
    if (/^AGE-SECRET-KEY-.{6,}/.test(tag)) {
      const secret = new Secret(tag);
      const recipient = kid === '' ? await recipientOf(secret).catch(() => null) : null;
      if (recipient === null)
        throw wrong('the age identity is mistyped or cut off', 'copy the whole AGE-SECRET-KEY-1… line again');
      ages.set(recipient, secret);
    } else if (tag === 'KEYTURN-SIGN-1' || tag === 'KEYTURN-TRUST-1') {
      const shape =
        tag === 'KEYTURN-SIGN-1' ? '<kid> <base64 ed25519 seed>' : '<kid> <base64 ed25519 public key>';
      if (!isKid(kid) || rest.length > 0) throw wrong('the line is malformed', `write ${tag} ${shape}`);
      if (tag === 'KEYTURN-TRUST-1') {
        const trusted = publicKey(key);
        if (!trusted) throw wrong('the public key is not 32 bytes of base64', `write ${tag} ${shape}`);
        accept(trusted);
      } else {
        const own = privateKey(new Secret(key));
        if (!own) throw wrong('the signing seed is not 32 bytes of base64', `write ${tag} ${shape}`);
        if (signer)
          throw wrong(
            'there is a second signing key',
            'keep one KEYTURN-SIGN-1 line; older keys become KEYTURN-TRUST-1 lines',
          );
        accept(createPublicKey(own));
        signer = signerOf(kid, own);
      }
    } else {
      throw wrong('the line is none of AGE-SECRET-KEY-1, KEYTURN-SIGN-1, KEYTURN-TRUST-1 or # comment');
    }
  }
  if (ages.size === 0) {
    throw new KeyturnError(source, 'holds no age identity', {
      code: 'BAD_IDENTITY',
      hint: 'add an AGE-SECRET-KEY-1… line, or make one with `keyturn keygen`',
    });
  }
  return { source, ageIdentities: [...ages.values()], recipients: [...ages.keys()], signer, trust };
}

/**
 * Where an identity is looked for, first to last: `file`, $KEYTURN_IDENTITY, $KEYTURN_IDENTITY_FILE, keyturn's own
 * file in the home directory, the SSH key there. `ask` is called for what a passphrase protects.
 */
export async function loadIdentity(options: {
  file?: string;
  env: NodeJS.ProcessEnv;
  home: string;
  ask?: AskPassphrase;
}): Promise<Identity> {
  const { file, env, home, ask } = options;
  const read = (bytes: Buffer, source: string): Promise<Identity> => unlocked(bytes, source, ask);
  if (file !== undefined) return read(await readPrivate(file, true), file);
  if (env.KEYTURN_IDENTITY) return read(Buffer.from(env.KEYTURN_IDENTITY), 'KEYTURN_IDENTITY');
  if (env.KEYTURN_IDENTITY_FILE)
    return read(await readPrivate(env.KEYTURN_IDENTITY_FILE, true), env.KEYTURN_IDENTITY_FILE);
  const usual = identityPath(env, home);
  for (const path of [usual, join(home, '.ssh', 'id_ed25519'), join(home, '.ssh', 'id_rsa')]) {
    const bytes = await readPrivate(path, false);
    if (bytes !== null) return read(bytes, path);
  }
  const empty =
    env.KEYTURN_IDENTITY === undefined
      ? ''
      : ' (KEYTURN_IDENTITY is set but empty: jobs for forks get no secrets)';
  throw new KeyturnError('identity', `there is none${empty}`, {
    code: 'NO_IDENTITY',
    hint: `pass --identity FILE, set KEYTURN_IDENTITY (the text) or KEYTURN_IDENTITY_FILE (a path), or put it at ${usual}; an SSH key works too; \`keyturn keygen\` makes one`,
  });
}

/** Takes the passphrase off, where `age -p` has put one on. */
async function unlocked(bytes: Buffer, source: string, ask: AskPassphrase | undefined): Promise<Identity> {
  if (!isAgeFile(bytes)) return parseIdentity(bytes.toString(), source, ask);
  const passphrase = await passphraseOf(source, ask);
  const text = await decryptWithPassphrase(bytes, passphrase, source);
  if (text === null) throw wrongPassphrase(source);
  return parseIdentity(text.reveal(), source, ask);
}

async function sshKey(text: Secret, source: string, ask: AskPassphrase | undefined): Promise<Secret> {
  let opened = await openSshKey(text);
  if (opened.r === 'locked') opened = await openSshKey(text, await passphraseOf(source, ask));
  if (opened.r === 'key') return opened.pem;
  if (opened.r === 'locked') throw wrongPassphrase(source);
  throw new KeyturnError(source, `the SSH key ${opened.what}`, {
    code: 'BAD_IDENTITY',
    hint: 'use an Ed25519 or RSA key, or an age identity: keyturn keygen --reader makes one',
  });
}

async function passphraseOf(source: string, ask: AskPassphrase | undefined): Promise<Secret> {
  const passphrase = await ask?.(`Passphrase of ${source}`);
  if (passphrase) return passphrase;
  throw new KeyturnError(source, 'is protected by a passphrase, and there is no terminal to ask for it', {
    code: 'LOCKED',
    hint: 'run it on a terminal, or use an identity without a passphrase, e.g. from a CI secret',
  });
}

const wrongPassphrase = (source: string): KeyturnError =>
  new KeyturnError(source, 'the passphrase is wrong, or it is encrypted to somebody instead', {
    code: 'LOCKED',
    hint: 'run it again',
  });

/** The file that is read when nothing else is said: below $XDG_CONFIG_HOME or ~/.config. */
export function identityPath(env: NodeJS.ProcessEnv, home: string): string {
  const configured = env.XDG_CONFIG_HOME;
  return join(
    configured && isAbsolute(configured) ? configured : join(home, '.config'),
    'keyturn',
    'identity',
  );
}

/** A new identity: the bundle to keep, the recipient to publish, the line that lets others accept its signatures. */
export async function generateBundle(
  kid: string,
): Promise<{ bundle: Secret; recipient: string; trustLine: string }> {
  if (!isKid(kid)) {
    throw new KeyturnError('kid', 'is not a name for a signing key', {
      hint: 'use up to 64 letters, digits, `.`, `_`, `@` or `-`, e.g. ci-1',
    });
  }
  const age = generateIdentity();
  const recipient = await recipientOf(age);
  const { seed, publicKey: shown } = generateSeed();
  const trustLine = `KEYTURN-TRUST-1 ${kid} ${shown}`;
  const lines = [
    `# keyturn identity of ${kid}: keep it secret, mode 0600, or as the CI secret KEYTURN_IDENTITY.`,
    '# Decrypts. Its recipient belongs into keyturn.yaml or a role:',
    `#   ${recipient}`,
    age.reveal(),
    '# Signs what this identity writes. Everybody else who reads the state needs this line in their own bundle:',
    `#   ${trustLine}`,
    `KEYTURN-SIGN-1 ${kid} ${seed.reveal()}`,
    '# Other signers whose state is accepted, one KEYTURN-TRUST-1 line each:',
  ];
  return { bundle: new Secret(`${lines.join('\n')}\n`), recipient, trustLine };
}

async function readPrivate(file: string, required: true): Promise<Buffer>;
async function readPrivate(file: string, required: false): Promise<Buffer | null>;
async function readPrivate(file: string, required: boolean): Promise<Buffer | null> {
  const handle = await open(file).catch((error: NodeJS.ErrnoException) => error);
  if (handle instanceof Error) {
    if (!required && handle.code === 'ENOENT') return null;
    const code = handle.code ?? 'EIO';
    throw new KeyturnError(file, `the identity cannot be read (${code})`, {
      code,
      hint: 'check the path and who owns the file',
    });
  }
  try {
    const { mode, size } = await handle.stat();
    const isRegular = (mode & 0o170000) === 0o100000;
    if (isRegular && process.platform !== 'win32' && (mode & 0o077) !== 0) {
      throw new KeyturnError(file, 'the identity can be read or written by others', {
        code: 'LOOSE_MODE',
        hint: `run \`chmod 600 ${file}\``,
      });
    }
    if (size > largest) throw new KeyturnError(file, 'is too big for an identity');
    return await handle.readFile().catch((error: NodeJS.ErrnoException) => {
      throw new KeyturnError(file, `the identity cannot be read (${error.code ?? 'EIO'})`, {
        hint: 'it must be a file',
      });
    });
  } finally {
    await handle.close();
  }
}

/** The identity's signing key. Throws KeyturnError for one that may read but not apply. */
export function writerOf(identity: Identity): NonNullable<Identity['signer']> {
  if (identity.signer) return identity.signer;
  throw new KeyturnError(identity.source, 'has no signing key, so it may read but not apply', {
    hint: 'use a reconciler identity (KEYTURN-SIGN-1 line); keyturn keygen makes one',
  });
}
