/** `requests/*.json`: wishes to rotate, pushed by anybody who may push; the claim that takes one up removes it. */
import type { Write } from '../git/contract.ts';
import { byName } from './by-name.ts';
import type { Ledger } from './ledger.ts';
import { versionOf } from './transitions.ts';

export interface Wish {
  path: string;
  secret: string;
  reason: string;
  /** ISO time it was made at. */
  at: string;
}

export function wishFile(id: string, wish: Omit<Wish, 'path'>): Write {
  return { path: `requests/${id}.json`, bytes: Buffer.from(`${JSON.stringify(wish, null, 2)}\n`) };
}

/**
 * The wishes at the fetched tip. Anybody may have written them, so whatever is not a wish for a known record is
 * left alone, and one older than the secret's newest version is fulfilled already.
 */
export async function readWishes(ledger: Ledger): Promise<Wish[]> {
  return (await readRequests(ledger)).filter((wish) => isOpen(wish, ledger));
}

/** Every wish at the fetched tip, fulfilled ones included: the next claim of their secret takes those away too. */
export async function readRequests(ledger: Ledger): Promise<Wish[]> {
  const paths = ledger.paths('requests').filter((path) => path.endsWith('.json'));
  const wishes = await Promise.all(paths.map(async (path) => parse(path, await ledger.readFile(path))));
  return wishes.flatMap((wish) => wish ?? []);
}

export function isOpen(wish: Wish, ledger: Ledger): boolean {
  const record = byName(ledger.state.records).get(wish.secret);
  if (!record || record.current === null) return true;
  return Date.parse(versionOf(record, record.current).createdAt) < Date.parse(wish.at);
}

function parse(path: string, bytes: Uint8Array): Wish | null {
  if (bytes.length > 4096) return null;
  try {
    const { secret, reason, at } = JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>;
    return typeof secret === 'string' &&
      typeof reason === 'string' &&
      typeof at === 'string' &&
      !Number.isNaN(Date.parse(at))
      ? { path, secret, reason: reason.slice(0, 200), at }
      : null;
  } catch {
    return null;
  }
}
