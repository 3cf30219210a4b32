/** An SSH private key as `ssh-keygen` writes it -> unencrypted PKCS #8 PEM, in memory only. */
import { createPrivateKey } from 'node:crypto';
import { Secret } from '../secret.ts';
import { sshPublicOf } from './ssh.ts';

/** PEM blocks that hold a private key, anywhere in a text. */
export const privateKeyBlock =
  /-----BEGIN ((?:OPENSSH|RSA|ENCRYPTED)? ?PRIVATE KEY)-----[\s\S]*?-----END \1-----/g;

export type OpenedKey =
  | { r: 'key'; pem: Secret }
  /** It is protected, and `passphrase` is missing or wrong. */
  | { r: 'locked' }
  | { r: 'unusable'; what: string };

/** Ed25519 and RSA; the text is never repeated in an answer. */
export async function openSshKey(text: Secret, passphrase?: Secret): Promise<OpenedKey> {
  const { utils } = (await import('ssh2')).default;
  const parsed = utils.parseKey(text.reveal(), passphrase?.reveal());
  if (parsed instanceof Error) {
    if (/passphrase|encrypted/i.test(parsed.message)) return { r: 'locked' };
    return fromPem(text.reveal(), passphrase);
  }
  if (parsed.type !== 'ssh-ed25519' && parsed.type !== 'ssh-rsa')
    return { r: 'unusable', what: `is of kind ${parsed.type}; ssh-ed25519 and ssh-rsa work` };
  return fromPem(parsed.getPrivatePEM(), undefined);
}

function fromPem(pem: string, passphrase: Secret | undefined): OpenedKey {
  try {
    const key = createPrivateKey({
      key: pem,
      ...(passphrase === undefined ? {} : { passphrase: passphrase.reveal() }),
    });
    const plain = String(key.export({ type: 'pkcs8', format: 'pem' }));
    sshPublicOf(plain);
    return { r: 'key', pem: new Secret(plain) };
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (/ENCRYPTED PRIVATE KEY/.test(pem) || /PASSPHRASE|BAD_DECRYPT/.test(code)) return { r: 'locked' };
    return { r: 'unusable', what: 'is no SSH private key of kind ssh-ed25519 or ssh-rsa' };
  }
}
