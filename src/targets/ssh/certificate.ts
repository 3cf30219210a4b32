/**
 * A user certificate for a key that lives as long as one session, in OpenSSH's format (PROTOCOL.certkeys). The
 * authority's key is used in memory alone. It permits a terminal and nothing else: no agent, port or X11 forwarding.
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import type { ParsedKey } from 'ssh2';
import type { Secret } from '../../secret.ts';
import { SshFailure } from './failure.ts';
import { mpint, string, uint32, uint64 } from './wire.ts';

export interface Certificate {
  /** As it goes over the wire. */
  blob: Buffer;
  /** The key that it certifies; never written anywhere. */
  key: KeyObject;
  validBefore: Date;
}

/** For clocks that disagree: it is valid this long before it was made. Milliseconds. */
const skew = 60_000;
const userCertificate = 1;

/** Throws SshFailure where `authority` is no private key. */
export async function certify(
  authority: Secret,
  of: { principals: readonly string[]; keyId: string; ttl: number; now: Date },
): Promise<Certificate> {
  const ca = await parse(authority);
  const pair = generateKeyPairSync('ed25519');
  const { x = '' } = pair.publicKey.export({ format: 'jwk' });
  const validBefore = new Date(of.now.getTime() + of.ttl);
  const seconds = (time: number): Buffer => uint64(Math.floor(time / 1000));
  const body = Buffer.concat([
    string('ssh-ed25519-cert-v01@openssh.com'),
    string(randomBytes(32)),
    string(Buffer.from(x, 'base64url')),
    uint64(0),
    uint32(userCertificate),
    string(of.keyId),
    string(Buffer.concat(of.principals.map((principal) => string(principal)))),
    seconds(of.now.getTime() - skew),
    seconds(validBefore.getTime()),
    string(''),
    string(Buffer.concat([string('permit-pty'), string('')])),
    string(''),
    string(ca.getPublicSSH()),
  ]);
  return { blob: Buffer.concat([body, string(signature(ca, body))]), key: pair.privateKey, validBefore };
}

async function parse(authority: Secret): Promise<ParsedKey> {
  const { default: ssh2 } = await import('ssh2');
  const parsed: unknown = ssh2.utils.parseKey(authority.reveal());
  const key = (Array.isArray(parsed) ? parsed[0] : parsed) as ParsedKey | Error;
  if (key instanceof Error || !key.isPrivateKey())
    throw new SshFailure('denied', 'BAD_CA', 'the value of the authority is no private key that can be read');
  return key;
}

function signature(ca: ParsedKey, data: Buffer): Buffer {
  const key = createPrivateKey(ca.getPrivatePEM());
  switch (ca.type) {
    case 'ssh-ed25519':
      return Buffer.concat([string(ca.type), string(sign(null, data, key))]);
    case 'ssh-rsa':
      return Buffer.concat([string('rsa-sha2-512'), string(sign('sha512', data, key))]);
    default: {
      const hash = { 'ecdsa-sha2-nistp384': 'sha384', 'ecdsa-sha2-nistp521': 'sha512' }[ca.type as string];
      const both = sign(hash ?? 'sha256', data, { key, dsaEncoding: 'ieee-p1363' });
      const half = both.length / 2;
      const pair = Buffer.concat([mpint(both.subarray(0, half)), mpint(both.subarray(half))]);
      return Buffer.concat([string(ca.type), string(pair)]);
    }
  }
}
