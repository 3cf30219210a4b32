import { describe, expect, it } from 'vitest';
import { wholeMessages } from '../../src/targets/postgresql/frames.ts';

const message = (type: string, body: string, length = body.length + 4): Buffer => {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, Buffer.from(body, 'latin1')]);
};

describe('what a PostgreSQL server sends', () => {
  it('comes through in whole messages, however it is cut', () => {
    const all = Buffer.concat([
      message('Z', 'I'),
      message('E', 'SERROR\0C28P01\0\0'),
      message('D', 'x'.repeat(900)),
    ]);
    for (let size = 1; size < 40; size += 1) {
      const whole = wholeMessages();
      const given: Buffer[] = [];
      for (let at = 0; at < all.length; at += size)
        given.push(Buffer.from(whole(all.subarray(at, at + size))));
      expect(Buffer.concat(given).equals(all)).toBe(true);
      expect(given[0]?.length).toBe(size < 6 ? 0 : size < 26 ? 6 : 26);
    }
  });

  it.each([
    ['an error that does not end', message('E', 'SERROR')],
    ['a notice whose last text ends in nothing', message('N', 'SNOTICE\0')],
    ['an error with something behind its end', message('E', 'SERROR\0\0more')],
    ['a length of nothing', message('Z', '', 3)],
    ['a length beyond all', message('D', '', 2 ** 31)],
  ])('is refused where it is %s', (_, bytes) => {
    expect(() => wholeMessages()(bytes)).toThrow(/a message/);
  });
});
