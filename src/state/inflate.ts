import { once } from 'node:events';
import { createGunzip, gunzipSync } from 'node:zlib';

/** Bytes that come out of the thread that decompresses at a time. So few and fewer are had sooner without one. */
const chunkSize = 1024 * 1024;

/**
 * `head` and then what the gzip file decompresses to, in one buffer and, of a large one, never twice in memory. The file
 * says its size itself; one that lies is damaged, and nothing beyond `limit` is ever made room for.
 */
export async function inflate(
  bytes: Uint8Array,
  head: Uint8Array,
  limit: number,
): Promise<Buffer | 'too large' | 'damaged'> {
  if (bytes.length < 18) return 'damaged';
  const size = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).readUInt32LE(bytes.length - 4);
  if (size > limit) return 'too large';
  if (size <= chunkSize) return inflateAtOnce(bytes, head, size);
  const whole = Buffer.allocUnsafeSlow(head.length + size);
  whole.set(head);
  const gunzip = createGunzip({ chunkSize });
  let at = head.length;
  gunzip.on('data', (chunk: Buffer) => {
    if (at + chunk.length > whole.length) gunzip.destroy(new RangeError('more than it says'));
    else whole.set(chunk, at);
    at += chunk.length;
  });
  const ended = once(gunzip, 'end');
  gunzip.end(bytes);
  return ended.then(
    () => (at === whole.length ? whole : 'damaged'),
    () => 'damaged',
  );
}

function inflateAtOnce(bytes: Uint8Array, head: Uint8Array, size: number): Buffer | 'damaged' {
  try {
    return Buffer.concat([head, gunzipSync(bytes, { maxOutputLength: Math.max(size, 1) })]);
  } catch {
    return 'damaged';
  }
}
