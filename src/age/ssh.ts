/**
 * SSH keys in age's file format, as the age command line writes and reads them (package `agessh` of age): the
 * `ssh-ed25519` and `ssh-rsa` stanzas. Only what age accepts is accepted; proven against it both ways by a test.
 */
import {
  constants,
  createHash,
  createPrivateKey,
  createPublicKey,
  hkdfSync,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import {
  type AgeIdentity,
  type AgeRecipient,
  shareIn,
  unpadded,
  unwrap,
  wrap,
  wrappingKey,
} from './stanza.ts';

const ed25519Label = 'age-encryption.org/v1/ssh-ed25519';
const rsaLabel = Buffer.from('age-encryption.org/v1/ssh-rsa');
/** Shorter RSA keys are refused, as age does. */
const leastRsaBits = 2048;

type SshPublic = { type: 'ssh-ed25519'; wire: Buffer; point: Buffer } | RsaPublic;
type RsaPublic = { type: 'ssh-rsa'; wire: Buffer; key: KeyObject; bits: number };

/** `ssh-ed25519 AAAA…` or `ssh-rsa AAAA…`, a comment after it allowed; null for anything else. */
export function parseSshPublic(text: string): SshPublic | null {
  const [type, base64 = ''] = text.trim().split(/\s+/);
  const wire = Buffer.from(base64, 'base64');
  if (wire.toString('base64') !== base64) return null;
  const fields = fieldsOf(wire);
  if (!fields || fields[0]?.toString('latin1') !== type) return null;
  const [, first, second] = fields;
  if (type === 'ssh-ed25519' && fields.length === 2 && first?.length === 32)
    return { type, wire, point: first };
  if (type !== 'ssh-rsa' || fields.length !== 3 || !first || !second) return null;
  const [e, n] = [positive(first), positive(second)];
  if (!e || !n) return null;
  const jwk = { kty: 'RSA', e: e.toString('base64url'), n: n.toString('base64url') };
  const bits = n.length * 8 - Math.clz32(n[0] ?? 0) + 24;
  return { type, wire, key: createPublicKey({ key: jwk, format: 'jwk' }), bits };
}

/** The recipient without its comment, so that one key has one spelling. */
export const sshPublicText = (key: SshPublic): string => `${key.type} ${key.wire.toString('base64')}`;

/** Why nobody should encrypt to this SSH public key, as a phrase after its subject, or null. */
export function sshProblem(text: string): string | null {
  const key = parseSshPublic(text);
  if (!key)
    return /^ssh-(ed25519|rsa)\s/.test(text)
      ? 'is mistyped or cut off'
      : 'is an SSH key of a kind that age cannot encrypt to (ssh-ed25519 and ssh-rsa work)';
  if (key.type === 'ssh-rsa' && key.bits < leastRsaBits)
    return `is an RSA key of ${key.bits} bits, and fewer than ${leastRsaBits} are not safe`;
  return null;
}

/** The public half of an SSH private key, given as unencrypted PKCS #8 PEM. Throws for another kind of key. */
export function sshPublicOf(pem: string): string {
  const jwk = createPublicKey(createPrivateKey(pem)).export({ format: 'jwk' });
  if (jwk.crv === 'Ed25519') return spelled('ssh-ed25519', [Buffer.from(jwk.x ?? '', 'base64url')]);
  if (jwk.kty !== 'RSA') throw new Error('neither Ed25519 nor RSA');
  const numbers = [jwk.e, jwk.n].map((number) => mpint(Buffer.from(number ?? '', 'base64url')));
  return spelled('ssh-rsa', numbers);
}

export function sshRecipient(text: string): AgeRecipient {
  const key = parseSshPublic(text);
  if (!key) throw new Error('not an SSH public key');
  return {
    async wrapFileKey(fileKey) {
      if (key.type === 'ssh-rsa') {
        const body = publicEncrypt({ key: key.key, ...oaep }, fileKey);
        return [{ args: [key.type, tagOf(key.wire)], body: new Uint8Array(body) }];
      }
      const { ed25519, x25519 } = await curves();
      const theirs = ed25519.utils.toMontgomery(key.point);
      const ephemeral = randomBytes(32);
      const share = x25519.getPublicKey(ephemeral);
      const shared = x25519.getSharedSecret(tweak(key.wire), x25519.getSharedSecret(ephemeral, theirs));
      const body = wrap(fileKey, wrappingKey(shared, share, theirs, ed25519Label));
      return [{ args: [key.type, tagOf(key.wire), unpadded(share)], body }];
    },
  };
}

/** `pem`: unencrypted PKCS #8 of an Ed25519 or RSA key. A stanza for it that is broken throws. */
export function sshIdentity(pem: string): AgeIdentity {
  const secret = createPrivateKey(pem);
  const key = parseSshPublic(sshPublicOf(pem));
  if (!key) throw new Error('not an SSH key');
  return {
    async unwrapFileKey(stanzas) {
      const tag = tagOf(key.wire);
      for (const { args, body } of stanzas) {
        if (args[0] !== key.type || args[1] !== tag) continue;
        const fileKey =
          key.type === 'ssh-rsa'
            ? privateDecrypt({ key: secret, ...oaep }, body)
            : await openEd25519(key, secret, args, body);
        if (fileKey.length !== 16) throw new Error('malformed SSH stanza');
        return new Uint8Array(fileKey);
      }
      return null;
    },
  };
}

async function openEd25519(
  key: Extract<SshPublic, { type: 'ssh-ed25519' }>,
  secret: KeyObject,
  args: string[],
  body: Uint8Array,
): Promise<Uint8Array> {
  if (args.length !== 3) throw new Error('malformed SSH stanza');
  const share = shareIn(args[2]);
  const { ed25519, x25519 } = await curves();
  const seed = Buffer.from(secret.export({ format: 'jwk' }).d ?? '', 'base64url');
  const ours = ed25519.utils.toMontgomery(key.point);
  const scalar = ed25519.utils.toMontgomerySecret(seed);
  const shared = x25519.getSharedSecret(tweak(key.wire), x25519.getSharedSecret(scalar, share));
  const fileKey = unwrap(body, wrappingKey(shared, share, ours, ed25519Label));
  if (fileKey === null) throw new Error('malformed SSH stanza');
  return fileKey;
}

const oaep = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256', oaepLabel: rsaLabel };

const curves = () => import('@noble/curves/ed25519.js');

/** Ties the shared secret to this SSH key, whose X25519 form others may share. */
const tweak = (wire: Buffer): Uint8Array =>
  new Uint8Array(hkdfSync('sha256', Buffer.alloc(0), wire, ed25519Label, 32));

const tagOf = (wire: Buffer): string => unpadded(createHash('sha256').update(wire).digest().subarray(0, 4));

/** The length-prefixed strings that make up an SSH public key; null when something is over or missing. */
function fieldsOf(wire: Buffer): Buffer[] | null {
  const fields: Buffer[] = [];
  for (let at = 0; at < wire.length; ) {
    if (at + 4 > wire.length) return null;
    const end = at + 4 + wire.readUInt32BE(at);
    if (end > wire.length) return null;
    fields.push(wire.subarray(at + 4, end));
    at = end;
  }
  return fields;
}

function spelled(type: string, fields: Buffer[]): string {
  const parts = [Buffer.from(type), ...fields].flatMap((field) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(field.length);
    return [length, field];
  });
  return `${type} ${Buffer.concat(parts).toString('base64')}`;
}

const mpint = (number: Buffer): Buffer =>
  (number[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.alloc(1), number]) : number;

/** An SSH mpint as a plain number; null unless positive and in its only spelling. */
function positive(field: Buffer): Buffer | null {
  const [first = 0, second = 0] = field;
  if (field.length === 0 || first & 0x80 || (first === 0 && !(second & 0x80))) return null;
  return first === 0 ? field.subarray(1) : field;
}
