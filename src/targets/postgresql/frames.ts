/** What a server sends, before `pg` reads it: whole messages only, none too long, none that its parser would read for ever. */

/** No answer to a question of ours comes near. Bytes. */
const longest = 1024 * 1024;
const header = 5;

/** Takes bytes as they come and gives the whole messages among them; throws at one that no server sends. */
export function wholeMessages(): (bytes: Buffer) => Buffer {
  let held = Buffer.alloc(0);
  return (bytes) => {
    const all = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
    let end = 0;
    while (end + header <= all.length) {
      const length = all.readUInt32BE(end + 1);
      if (length < 4 || length > longest) throw new Error('a message of a length that no server sends');
      const next = end + 1 + length;
      if (next > all.length) break;
      const type = String.fromCharCode(all[end] ?? 0);
      if ((type === 'E' || type === 'N') && !isFields(all.subarray(end + header, next)))
        throw new Error('a message that does not end');
      end = next;
    }
    held = Buffer.from(all.subarray(end));
    return all.subarray(0, end);
  };
}

/** An error's or a notice's body: letters with a text each, then a zero. `pg` looks for that zero without end. */
function isFields(body: Buffer): boolean {
  let at = 0;
  while (at < body.length && body[at] !== 0) {
    const end = body.indexOf(0, at + 1);
    if (end === -1) return false;
    at = end + 1;
  }
  return at === body.length - 1;
}
