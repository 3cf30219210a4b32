/**
 * RFC 8785 JSON, read so that a state of many megabytes costs little more than what it says: a large object is read
 * member by member, each part checked by itself, and no text of the whole is ever made.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import canonicalize from 'canonicalize';
import { share } from '../share.ts';

/** Bytes from which on it pays to read in parts. */
const large = 64 * 1024;

/** Levels of objects that are taken apart: the members of a segment, and the records in it. */
const levels = 2;

const [quote, comma, colon, backslash] = [0x22, 0x2c, 0x3a, 0x5c];
const [open, close, openList, closeList] = [0x7b, 0x7d, 0x5b, 0x5d];

type Text = (from: number, to: number) => string;

/**
 * What `json` says, and whether it is spelled as `canonicalize` spells it, which rules out duplicate keys, white space
 * and reordering. Of a large object, what two neighbours have in common is kept once, frozen. Throws (SyntaxError) for
 * what is no JSON in UTF-8.
 */
export function readCanonical(json: Buffer): { value: unknown; canonical: boolean } {
  if (!isUtf8(json)) throw new SyntaxError('no UTF-8');
  const encoding = isAscii(json) ? 'latin1' : 'utf8';
  const text: Text = (from, to) => json.toString(encoding, from, to);
  if (json.length >= large && json[0] === open) {
    const whole = membersOf(json, 0, levels, text);
    if (whole?.end === json.length) return { value: whole.value, canonical: true };
  }
  const all = text(0, json.length);
  const value: unknown = JSON.parse(all);
  return { value, canonical: isCanonical(value, all) };
}

/** The object that begins at `from`, and where it ends; null where its spelling is another than ours. */
function membersOf(
  json: Buffer,
  from: number,
  level: number,
  text: Text,
): { value: Record<string, unknown>; end: number } | null {
  const value: Record<string, unknown> = {};
  let at = from + 1;
  let before: string | undefined;
  let like: unknown;
  if (json[at] === close) return { value, end: at + 1 };
  for (;;) {
    const named = endOf(json, at);
    const name = partOf(text(at, named));
    if (typeof name !== 'string' || json[named] !== colon) return null;
    if (before !== undefined && name <= before) return null;
    before = name;
    at = named + 1;
    let member: unknown;
    if (json[at] === open && level > 1) {
      const nested = membersOf(json, at, level - 1, text);
      if (nested === null) return null;
      member = nested.value;
      at = nested.end;
    } else {
      const end = endOf(json, at);
      member = partOf(text(at, end));
      if (member === undefined) return null;
      share(member, like);
      like = member;
      at = end;
    }
    if (name in value) Object.defineProperty(value, name, { ...own, value: member });
    else value[name] = member;
    if (json[at] === close) return { value, end: at + 1 };
    if (json[at] !== comma) return null;
    at += 1;
  }
}

/** `__proto__` is a name like any other. */
const own = { enumerable: true, configurable: true, writable: true };

/** Where the value that begins at `from` ends, if it is one. */
function endOf(json: Buffer, from: number): number {
  let depth = 0;
  for (let at = from; at < json.length; at++) {
    const byte = json[at];
    if (byte === quote) {
      for (at++; at < json.length && json[at] !== quote; at++) if (json[at] === backslash) at++;
      if (depth === 0) return at + 1;
    } else if (byte === open || byte === openList) depth++;
    else if (byte === close || byte === closeList) {
      if (depth === 0) return at;
      depth--;
      if (depth === 0) return at + 1;
    } else if (depth === 0 && (byte === comma || byte === colon)) return at;
  }
  return json.length;
}

/** What one part says; undefined where its spelling is another than ours: whether the whole is JSON, the whole tells. */
function partOf(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return isCanonical(value, text) ? value : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Throws nothing: text with half a surrogate pair has no canonical form. Where JavaScript keeps the order of keys, its
 * own JSON in sorted order is the canonical one, and several times cheaper to compare.
 */
function isCanonical(value: unknown, text: string): boolean {
  try {
    if (!text.includes('\\ud') && isSorted(value) && JSON.stringify(value) === text) return true;
    return canonicalize(value) === text;
  } catch {
    return false;
  }
}

function isSorted(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (Array.isArray(value)) return value.every(isSorted);
  let before = '';
  // for…in takes four times as long with objects that have just been parsed
  for (const key of Object.keys(value)) {
    if (key < before || !isSorted((value as Record<string, unknown>)[key])) return false;
    before = key;
  }
  return true;
}
