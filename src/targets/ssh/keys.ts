/** Key pairs: the value is the private key as OpenSSH writes it; everything public is derived from it. */
import type { ParsedKey } from 'ssh2';
import { Secret } from '../../secret.ts';
import type { KeyType, RotationJob } from '../driver.ts';

export interface PublicKey {
  type: string;
  /** Base64, as in authorized_keys. */
  blob: string;
}

const bits = { rsa: 3072, ecdsa: 256 } as const;

/** The comment of a version's line: what the host calls it. */
export const handleOf = ({ uid, version }: RotationJob['mark']): string => `keyturn/${uid}/v${version}`;

/** A fresh pair from Node's generator. It is read back before it is handed out: a pair that cannot log in is drawn again. */
export async function drawKey(type: KeyType, comment: string): Promise<Secret> {
  const { default: ssh2 } = await import('ssh2');
  for (;;) {
    const pair = await new Promise<{ private: string; public: string }>((resolve, reject) => {
      const done = (error: Error | null, keys: { private: string; public: string }): void =>
        error ? reject(error) : resolve(keys);
      if (type === 'ed25519') ssh2.utils.generateKeyPair('ed25519', { comment }, done);
      else if (type === 'rsa') ssh2.utils.generateKeyPair('rsa', { comment, bits: bits.rsa }, done);
      else ssh2.utils.generateKeyPair('ecdsa', { comment, bits: bits.ecdsa }, done);
    });
    const value = new Secret(pair.private);
    const key = await parse(value);
    const [, blob] = pair.public.split(' ');
    const probe = Buffer.from('keyturn');
    const signed = key?.sign(probe);
    if (key && Buffer.isBuffer(signed) && key.verify(probe, signed) === true && blobOf(key) === blob)
      return value;
  }
}

/** Undefined where the value is no private key without a passphrase. */
export async function publicKeyOf(value: Secret): Promise<PublicKey | undefined> {
  const key = await parse(value);
  return key && { type: key.type, blob: blobOf(key) };
}

const blobOf = (key: ParsedKey): string => key.getPublicSSH().toString('base64');

async function parse(value: Secret): Promise<ParsedKey | undefined> {
  const { default: ssh2 } = await import('ssh2');
  const parsed: unknown = ssh2.utils.parseKey(value.reveal());
  const key = (Array.isArray(parsed) ? parsed[0] : parsed) as ParsedKey | Error;
  return key instanceof Error || !key.isPrivateKey() ? undefined : key;
}
