/** The few packets of MySQL's connection phase that a session's two sides exchange with us. Throws RangeError at a cut one. */

/** What both a client and mysql2 can agree on and a stream can pass through: no TLS, compression, files or new result formats. */
const passable = {
  LONG_PASSWORD: 0x1,
  FOUND_ROWS: 0x2,
  LONG_FLAG: 0x4,
  CONNECT_WITH_DB: 0x8,
  NO_SCHEMA: 0x10,
  ODBC: 0x40,
  IGNORE_SPACE: 0x100,
  PROTOCOL_41: 0x200,
  INTERACTIVE: 0x400,
  IGNORE_SIGPIPE: 0x1000,
  TRANSACTIONS: 0x2000,
  RESERVED: 0x4000,
  SECURE_CONNECTION: 0x8000,
  MULTI_STATEMENTS: 0x10000,
  MULTI_RESULTS: 0x20000,
  PS_MULTI_RESULTS: 0x40000,
  PLUGIN_AUTH: 0x80000,
  CONNECT_ATTRS: 0x100000,
  PLUGIN_AUTH_LENENC_CLIENT_DATA: 0x200000,
  CAN_HANDLE_EXPIRED_PASSWORDS: 0x400000,
  SESSION_TRACK: 0x800000,
  CLIENT_QUERY_ATTRIBUTES: 0x8000000,
} as const;

/** What mysql2 writes its own login with, whatever the client wishes. */
const ofTheLogin: readonly string[] = [
  'PROTOCOL_41',
  'SECURE_CONNECTION',
  'PLUGIN_AUTH',
  'PLUGIN_AUTH_LENENC_CLIENT_DATA',
  'CONNECT_ATTRS',
  'CONNECT_WITH_DB',
];

const mask = Object.values(passable).reduce((all, bit) => all | bit, 0);

export interface Greeting {
  /** The server's own, for mysql2, without what MariaDB alone offers. Header included. */
  plain: Buffer;
  /** For the client: no more than what passes through, and nothing to prove. Header included. */
  offer: Buffer;
  plugin: string;
}

/** Reads the server's first packet; null where it is an error, which the client may have as it is. */
export function readGreeting(packet: Buffer): Greeting | null {
  if (packet.readUInt8(4) !== 10) return null;
  const version = packet.indexOf(0, 5) + 1;
  if (version === 0) throw new RangeError('a greeting without an end');
  const low = version + 4 + 8 + 1;
  const high = low + 2 + 1 + 2;
  const extended = high + 2 + 1 + 6;
  const offered = packet.readUInt16LE(low) | (packet.readUInt16LE(high) << 16);
  const mariadb = packet.subarray(5, version).includes('MariaDB');
  const plain = Buffer.from(packet);
  if (mariadb) plain.writeUInt32LE(0, extended);
  const plugin = mariadb ? 'mysql_native_password' : 'caching_sha2_password';
  const body = Buffer.concat([
    packet.subarray(4, extended + 4),
    Buffer.alloc(13, 1),
    Buffer.from(`${plugin}\0`),
  ]);
  const flags = offered & mask;
  body.writeUInt16LE(flags & 0xffff, low - 4);
  body.writeUInt16LE(flags >>> 16, high - 4);
  body.writeUInt8(21, high + 2 - 4);
  body.writeUInt32LE(0, extended - 4);
  // no secret is proven by it, but a zero would end it for some clients
  body.fill(1, version + 4 - 4, version + 4 + 8 - 4);
  body.writeUInt8(0, body.length - plugin.length - 2);
  return { plain, offer: packetOf(0, body), plugin };
}

/** How a local client wants its connection; its user and its proof are nobody's business. */
export interface Hello {
  /** For mysql2: `NAME` and `-NAME` for everything that may differ. */
  flags: string[];
  charset: number;
  database: string | undefined;
  /** It has sent a proof by caching_sha2_password and waits to hear that it was right. */
  waits: boolean;
}

/** Reads a client's answer to `offer`. Null where it speaks an older protocol. */
export function readHello(packet: Buffer): Hello | null {
  const flags = packet.readUInt32LE(4);
  if ((flags & passable.PROTOCOL_41) === 0 || (flags & passable.SECURE_CONNECTION) === 0) return null;
  const charset = packet.readUInt8(4 + 8);
  const user = packet.indexOf(0, 4 + 32);
  const length = packet.readUInt8(user + 1);
  const proof = packet.subarray(user + 2, user + 2 + length);
  let at = user + 2 + length;
  let database: string | undefined;
  if ((flags & passable.CONNECT_WITH_DB) !== 0) {
    const end = packet.indexOf(0, at);
    database = packet.subarray(at, end === -1 ? undefined : end).toString('utf8');
    at = end === -1 ? packet.length : end + 1;
  }
  const wished = Object.entries(passable)
    .filter(([name]) => !ofTheLogin.includes(name))
    .map(([name, bit]) => ((flags & bit) === 0 ? `-${name}` : name));
  return {
    flags: [...wished, '-LOCAL_FILES'],
    charset,
    database: database === '' ? undefined : database,
    waits: length === 32 && proof.length === 32,
  };
}

/** `All right`: autocommit on, nothing changed. */
export const okPacket = (sequence: number): Buffer => packetOf(sequence, Buffer.from([0, 0, 0, 2, 0, 0, 0]));

/** `Your proof was right`, which caching_sha2_password hears before that. */
export const provenPacket = (sequence: number): Buffer => packetOf(sequence, Buffer.from([1, 3]));

export function errorPacket(sequence: number, errno: number, words: string): Buffer {
  const head = Buffer.from([0xff, errno & 0xff, errno >> 8]);
  return packetOf(sequence, Buffer.concat([head, Buffer.from(`#HY000${words}`)]));
}

export function packetOf(sequence: number, body: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUIntLE(body.length, 0, 3);
  head.writeUInt8(sequence, 3);
  return Buffer.concat([head, body]);
}

/** Length of the packet that these bytes begin with, header included; null while that is not known. */
export const packetLength = (bytes: Buffer): number | null =>
  bytes.length < 4 ? null : bytes.readUIntLE(0, 3) + 4;
