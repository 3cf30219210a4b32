import type { Readable } from 'node:stream';

/**
 * The first packet of a stream, in one piece; what follows it stays in the stream, which is paused. Rejects where the
 * stream ends before, or with a system error's code. `lengthOf` says how long it is, or null while that is not known.
 */
export function onePacket(
  stream: Readable,
  lengthOf: (bytes: Buffer) => number | null,
  most = 1 << 16,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0);
    const stop = (): void => {
      stream.off('data', more).off('error', fail).off('close', closed);
      stream.pause();
    };
    const fail = (error: Error): void => {
      stop();
      reject(error);
    };
    const closed = (): void => fail(Object.assign(new Error('closed'), { code: 'CLOSED' }));
    const more = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      const length = lengthOf(bytes);
      if ((length ?? 0) > most) fail(Object.assign(new Error('too long'), { code: 'TOO_LONG' }));
      if (length === null || length > most || bytes.length < length) return;
      stop();
      if (bytes.length > length) stream.unshift(bytes.subarray(length));
      resolve(bytes.subarray(0, length));
    };
    stream.on('data', more).on('error', fail).on('close', closed);
    stream.resume();
  });
}
