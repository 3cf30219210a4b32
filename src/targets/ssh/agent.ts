/** Just enough of an SSH agent (draft-miller-ssh-agent) for one certificate: it lists it and signs with its key. */
import { sign } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { onePacket } from '../one-packet.ts';
import type { Certificate } from './certificate.ts';
import { readStrings, string, uint32 } from './wire.ts';

const failure = Buffer.from([5]);
const kind = { askIdentities: 11, identities: 12, askSignature: 13, signed: 14 } as const;

/** Serves one client until it hangs up; never throws. `used`: told at each signature. */
export async function serveAgent(client: Duplex, certificate: Certificate, used: () => void): Promise<void> {
  client.on('error', () => client.destroy());
  try {
    for (;;) {
      const request = await onePacket(client, lengthOf);
      client.write(string(answer(request.subarray(4), certificate, used)));
    }
  } catch {
    client.destroy();
  }
}

const lengthOf = (bytes: Buffer): number | null => (bytes.length < 4 ? null : bytes.readUInt32BE(0) + 4);

function answer(request: Buffer, { blob, key }: Certificate, used: () => void): Buffer {
  if (request[0] === kind.askIdentities)
    return Buffer.concat([Buffer.from([kind.identities]), uint32(1), string(blob), string('keyturn')]);
  if (request[0] !== kind.askSignature) return failure;
  const [of, data] = readStrings(request, 2, 1);
  if (of === undefined || data === undefined || !of.equals(blob)) return failure;
  used();
  const proof = Buffer.concat([string('ssh-ed25519'), string(sign(null, data, key))]);
  return Buffer.concat([Buffer.from([kind.signed]), string(proof)]);
}
