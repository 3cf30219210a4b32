/** Numbers and strings as the SSH protocol writes them (RFC 4251 §5). */

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

export function string(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value as Buffer);
  return Buffer.concat([uint32(bytes.length), bytes]);
}

/** A number without a sign, given as its bytes. */
export function mpint(value: Buffer): Buffer {
  let start = 0;
  while (start < value.length && value[start] === 0) start += 1;
  const digits = value.subarray(start);
  const first = digits[0] ?? 0;
  return string((first & 0x80) === 0 ? digits : Buffer.concat([Buffer.from([0]), digits]));
}

/** The strings that follow each other in a message. Throws RangeError at a cut one. */
export function readStrings(bytes: Buffer, count: number, from = 0): Buffer[] {
  const found: Buffer[] = [];
  let at = from;
  for (let index = 0; index < count; index += 1) {
    const length = bytes.readUInt32BE(at);
    if (at + 4 + length > bytes.length) throw new RangeError('a string ends too early');
    found.push(bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return found;
}
