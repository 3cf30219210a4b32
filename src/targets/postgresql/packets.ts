/** The messages of PostgreSQL's start-up that a session's two sides exchange with us (protocol 3). */

const protocol = 3 << 16;
const codes = { cancel: 80877102, tls: 80877103, gss: 80877104 } as const;

export type Startup =
  /** `minor`: what the client would speak beyond 3.0; `parameters` in its words, its user among them. */
  | { kind: 'start'; minor: number; parameters: Record<string, string> }
  | { kind: 'cancel' }
  /** Asks for encryption first. */
  | { kind: 'encrypt' }
  | { kind: 'unknown' };

/** Length of the start-up message that these bytes begin with; null while that is not known. */
export const startupLength = (bytes: Buffer): number | null =>
  bytes.length < 4 ? null : bytes.readUInt32BE(0);

export function readStartup(message: Buffer): Startup {
  if (message.length < 8) return { kind: 'unknown' };
  const code = message.readUInt32BE(4);
  if (code === codes.cancel) return { kind: 'cancel' };
  if (code === codes.tls || code === codes.gss) return { kind: 'encrypt' };
  if (code >>> 16 !== protocol >>> 16) return { kind: 'unknown' };
  const words = message.subarray(8, -1).toString('utf8').split('\0');
  const parameters: Record<string, string> = {};
  for (let at = 0; at + 1 < words.length; at += 2) parameters[words[at] ?? ''] = words[at + 1] ?? '';
  return { kind: 'start', minor: code & 0xffff, parameters };
}

/** `No encryption here`: the socket is nobody else's. */
export const noEncryption: Buffer = Buffer.from('N');

/** What the server told us at our login, told to the client as its own. */
export function welcome(of: {
  parameters: ReadonlyMap<string, string>;
  processId: number;
  secretKey: number;
  minor: number;
}): Buffer {
  const number = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(value | 0);
    return bytes;
  };
  return Buffer.concat([
    ...(of.minor > 0 ? [message('v', Buffer.concat([number(0), number(0)]))] : []),
    message('R', number(0)),
    ...[...of.parameters].map(([name, value]) => message('S', Buffer.from(`${name}\0${value}\0`))),
    message('K', Buffer.concat([number(of.processId), number(of.secretKey)])),
    message('Z', Buffer.from('I')),
  ]);
}

/** A fatal error with an SQLSTATE. */
export const fatal = (sqlState: string, words: string): Buffer =>
  message('E', Buffer.from(`SFATAL\0VFATAL\0C${sqlState}\0M${words}\0\0`));

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, 'latin1');
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}
