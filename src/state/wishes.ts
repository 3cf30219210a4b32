/** `requests/*.json`: wishes to rotate, pushed by anybody who may push; the claim that takes one up removes it. */
import type { Write } from '../git/contract.ts';
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
  const wishes: Wish[] = [];
  for (const path of ledger.paths('requests').filter((p) => p.endsWith('.json'))) {
    const wish = parse(path, await ledger.readFile(path));
    if (!wish) continue;
    const record = Object.values(ledger.state.records).find((r) => r.name === wish.secret);
    const newest =
      record && record.current !== null ? versionOf(record, record.current).createdAt : undefined;
    if (newest === undefined || Date.parse(newest) < Date.parse(wish.at)) wishes.push(wish);
  }
  return wishes;
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
