/**
 * Where a rotator may be (protocol §5): anywhere but on this machine, on its link, or where clouds answer with the
 * credentials of the machine. Private networks are the use case. One resolution decides, and that one is connected to.
 */
import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';

export interface Address {
  address: string;
  family: 4 | 6;
}

export type Resolved =
  | { r: 'allowed'; addresses: Address[] }
  | { r: 'forbidden'; address: string }
  | { r: 'unknown'; code: string };

/** One question to the resolver; a test has its own. */
export type Resolve = (host: string) => Promise<Address[]>;

const forbidden = listOf([
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/128',
  '::1/128',
  'fe80::/10',
  'ff00::/8',
  // what clouds tell their machines besides 169.254.169.254: AWS, Google, Azure, Alibaba, Oracle
  'fd00:ec2::/32',
  'fd20:ce::254/128',
  '168.63.129.16/32',
  '100.100.100.200/32',
  '192.0.0.192/32',
]);

/** Every address of `host`, all of them allowed. `exceptions` are addresses and networks, as the manifest lists them. */
export async function resolveSafely(
  host: string,
  exceptions: readonly string[],
  resolve: Resolve = systemResolve,
): Promise<Resolved> {
  const name = host.replace(/^\[(.*)\]$/, '$1');
  const family = isIP(name);
  let addresses: Address[];
  try {
    addresses = family === 0 ? await resolve(name) : [{ address: name, family: family === 4 ? 4 : 6 }];
  } catch (error) {
    return { r: 'unknown', code: (error as NodeJS.ErrnoException).code ?? 'ENOTFOUND' };
  }
  if (addresses.length === 0) return { r: 'unknown', code: 'ENOTFOUND' };
  const allowed = listOf(exceptions);
  const bad = addresses.find(({ address }) => isForbidden(address) && !contains(allowed, address));
  return bad ? { r: 'forbidden', address: bad.address } : { r: 'allowed', addresses };
}

export const isForbidden = (address: string): boolean =>
  contains(forbidden, address) || [...embedded(address)].some((inner) => contains(forbidden, inner));

function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', bits] = network.split('/');
    const type = isIP(address) === 4 ? 'ipv4' : 'ipv6';
    list.addSubnet(address, Number(bits ?? (type === 'ipv4' ? 32 : 128)), type);
  }
  return list;
}

const contains = (list: BlockList, address: string): boolean =>
  list.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6');

/** IPv4 addresses that an IPv6 one stands for: mapped, compatible, NAT64, 6to4. */
function* embedded(address: string): Generator<string> {
  if (isIP(address) !== 6) return;
  const words = wordsOf(address);
  const from = (at: number): string => {
    const [high = 0, low = 0] = words.slice(at);
    return [high >> 8, high & 255, low >> 8, low & 255].join('.');
  };
  const starts = (...prefix: number[]): boolean => prefix.every((word, at) => words[at] === word);
  if (starts(0, 0, 0, 0, 0)) yield from(6);
  if (starts(0x64, 0xff9b)) yield from(6);
  if (starts(0x2002)) yield from(1);
}

/** The eight words of an IPv6 address, which the URL parser has in one spelling. */
function wordsOf(address: string): number[] {
  const [plain = ''] = address.split('%');
  const canonical = new URL(`http://[${plain}]`).hostname.slice(1, -1);
  const [head = '', tail] = canonical.split('::');
  const read = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16));
  const [before, after] = [read(head), read(tail ?? '')];
  const gap = tail === undefined ? 0 : 8 - before.length - after.length;
  return [...before, ...Array<number>(gap).fill(0), ...after];
}

const systemResolve: Resolve = async (host) =>
  (await lookup(host, { all: true, verbatim: true })).map(({ address, family }) => ({
    address,
    family: family === 6 ? 6 : 4,
  }));
