/**
 * What a step changes of a record, as segments hold it. Each change of a record has exactly one form, so a reader can
 * refuse every other: an edit for every field that differs, at the deepest place where both sides are objects,
 * sorted by path. Lists and plain values are replaced whole. Pure.
 */
import canonicalize from 'canonicalize';
import { listOf, text } from './shape.ts';

/** Names from the record inwards, and what is there then; without a value the field goes. */
export type Edit = [path: string[]] | [path: string[], value: unknown];

type Fields = Record<string, unknown>;

const names = listOf(text());

/** Where a value is no list of edits, or null: whether they make sense for a record, only `edited` can tell. */
export function editsProblem(value: unknown, at: string): string | null {
  if (!Array.isArray(value) || value.length === 0) return at;
  for (const [index, edit] of value.entries()) {
    const is = Array.isArray(edit) && (edit.length === 1 || edit.length === 2) && isPath(edit[0]);
    if (!is) return `${at}.${index}`;
  }
  return null;
}

/** The edits that make `after` of `before`; none where they are equal. Both are parsed JSON. */
export function editsBetween(before: object, after: object, path: readonly string[] = []): Edit[] {
  const [was, is] = [before as Fields, after as Fields];
  return [...new Set([...Object.keys(was), ...Object.keys(is)])].sort().flatMap((name): Edit[] => {
    const at = [...path, name];
    if (!Object.hasOwn(is, name)) return [[at]];
    const [from, to] = [was[name], is[name]];
    if (!Object.hasOwn(was, name)) return [[at, to]];
    if (from === to) return [];
    if (isObject(from) && isObject(to)) return editsBetween(from, to, at);
    if (!Array.isArray(from) || !Array.isArray(to)) return [[at, to]];
    return canonicalize(from) === canonicalize(to) ? [] : [[at, to]];
  });
}

/** What `edits` make of `record`, which stays as it is. Null where they are not the ones that `editsBetween` finds. */
export function edited(record: object, edits: readonly Edit[]): object | null {
  let after: Fields | null = record as Fields;
  for (const edit of edits) after = after && withEdit(after, edit[0], edit);
  return after && canonicalize(editsBetween(record, after)) === canonicalize(edits) ? after : null;
}

function withEdit(fields: Fields, [name, ...inner]: readonly string[], edit: Edit): Fields | null {
  if (name === undefined) return null;
  if (inner.length > 0) {
    const within = Object.hasOwn(fields, name) ? fields[name] : undefined;
    const after = isObject(within) ? withEdit(within, inner, edit) : null;
    return after && { ...fields, [name]: after };
  }
  if (edit.length === 2) return { ...fields, [name]: edit[1] };
  return Object.fromEntries(Object.entries(fields).filter(([key]) => key !== name));
}

const isPath = (value: unknown): boolean =>
  names(value, '') === null && Array.isArray(value) && value.length > 0;

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
