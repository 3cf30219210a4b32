/**
 * Bech32 (BIP 173) checksum and payload size, so that a mistyped recipient is found while manifests are
 * validated, without loading age. Longer than the 90 characters of BIP 173, as age's hybrid keys are.
 */
const alphabet = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const generator = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];

function checksum(symbols: Iterable<number>): number {
  let sum = 1;
  for (const symbol of symbols) {
    const top = sum >>> 25;
    sum = ((sum & 0x1ffffff) << 5) ^ symbol;
    for (const [bit, term] of generator.entries()) if ((top >>> bit) & 1) sum ^= term;
  }
  return sum;
}

/** Whether `text` is lower-case bech32 with exactly this prefix (`age`, `age1` not included) and payload size. */
export function isBech32(text: string, prefix: string, bytes: number): boolean {
  if (!text.startsWith(`${prefix}1`)) return false;
  const data = Array.from(text.slice(prefix.length + 1), (letter) => alphabet.indexOf(letter));
  if (data.includes(-1) || data.length !== Math.ceil((bytes * 8) / 5) + 6) return false;
  const letters = Array.from(prefix, (letter) => letter.charCodeAt(0));
  const expanded = [...letters.map((code) => code >> 5), 0, ...letters.map((code) => code & 31)];
  if (checksum([...expanded, ...data]) !== 1) return false;
  const spare = (5 - ((bytes * 8) % 5)) % 5;
  return ((data.at(-7) ?? 0) & ((1 << spare) - 1)) === 0;
}
