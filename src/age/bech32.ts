/**
 * Bech32 (BIP 173) with its checksum, so that a mistyped recipient is found while manifests are validated, without
 * loading age. Longer than the 90 characters of BIP 173, as age's hybrid keys are.
 */
const alphabet = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const generator = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];

function checksum(symbols: Iterable<number>): number {
  let sum = 1;
  for (const symbol of symbols) {
    const top = sum >>> 25;
    sum = ((sum & 0x1ffffff) << 5) ^ symbol;
    for (let bit = 0; bit < 5; bit++) if ((top >>> bit) & 1) sum ^= generator[bit] ?? 0;
  }
  return sum;
}

/** What the checksum takes of a prefix: the high bits of its letters, then the low ones. */
function expanded(prefix: string): number[] {
  const letters = Array.from(prefix, (letter) => letter.charCodeAt(0));
  return [...letters.map((code) => code >> 5), 0, ...letters.map((code) => code & 31)];
}

/** The payload of lower-case bech32 with exactly this prefix (`age`, `age1` not included) and so many bytes, or null. */
export function fromBech32(text: string, prefix: string, bytes: number): Buffer | null {
  if (!text.startsWith(`${prefix}1`)) return null;
  const data = Array.from(text.slice(prefix.length + 1), (letter) => alphabet.indexOf(letter));
  if (data.includes(-1) || data.length !== Math.ceil((bytes * 8) / 5) + 6) return null;
  if (checksum([...expanded(prefix), ...data]) !== 1) return null;
  const { whole, spare } = regroup(data.slice(0, -6), 5, 8);
  return spare === 0 ? Buffer.from(whole) : null;
}

export function toBech32(prefix: string, payload: Uint8Array): string {
  const { whole, spare, bits } = regroup(payload, 8, 5);
  const data = bits === 0 ? whole : [...whole, spare << (5 - bits)];
  const sum = checksum([...expanded(prefix), ...data, 0, 0, 0, 0, 0, 0]) ^ 1;
  const check = [25, 20, 15, 10, 5, 0].map((bit) => (sum >>> bit) & 31);
  return `${prefix}1${[...data, ...check].map((symbol) => alphabet[symbol]).join('')}`;
}

/** Groups of `from` bits as whole groups of `to` bits, and what is left: its value and how many bits it has. */
function regroup(
  groups: Iterable<number>,
  from: number,
  to: number,
): { whole: number[]; spare: number; bits: number } {
  const whole: number[] = [];
  let [spare, bits] = [0, 0];
  for (const group of groups) {
    spare = (spare << from) | group;
    bits += from;
    while (bits >= to) {
      bits -= to;
      whole.push(spare >>> bits);
      spare &= (1 << bits) - 1;
    }
  }
  return { whole, spare, bits };
}
