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

/**
 * The edits that make `after` of `before`; none where they are equal. `before` is parsed JSON, `after` will be: a field
 * that is undefined is none, and what the edits say is nobody else's.
 */
export function editsBetween(before: object, after: object, path: readonly string[] = []): Edit[] {
  const [was, is] = [before as Fields, after as Fields];
  const unlike = Object.keys(is).filter((name) => is[name] !== undefined && is[name] !== was[name]);
  const gone = Object.keys(was).filter((name) => !Object.hasOwn(is, name) || is[name] === undefined);
  return [...unlike, ...gone].sort().flatMap((name): Edit[] => {
    const at = [...path, name];
    const [from, to] = [Object.hasOwn(was, name) ? was[name] : undefined, is[name]];
    if (!Object.hasOwn(is, name) || to === undefined) return [[at]];
    if (isObject(from) && isObject(to)) return editsBetween(from, to, at);
    return from === undefined || isReplacement(from, to) ? [[at, asWritten(to)]] : [];
  });
}

/** What reading it back will give: nothing shared with the caller, no absent field left as undefined. */
export const asWritten = <Value>(value: Value): Value => JSON.parse(JSON.stringify(value));

/** What `edits` make of `record`, which stays as it is. Null where they are not the ones that `editsBetween` finds. */
export function edited(record: object, edits: readonly Edit[]): object | null {
  let after: Fields | null = record as Fields;
  let before: readonly string[] | undefined;
  for (const edit of edits) {
    const [path] = edit;
    if (before !== undefined && !follows(path, before)) return null;
    before = path;
    after = withEdit(after, path, edit, 0);
    if (after === null) return null;
  }
  return after;
}

/** Whether one path sorts after another, and does not begin with it: nobody edits inside of what was just replaced. */
function follows(path: readonly string[], before: readonly string[]): boolean {
  const at = before.findIndex((name, index) => name !== path[index]);
  const [name, former] = [path[at], before[at]];
  return name !== undefined && former !== undefined && name > former;
}

function withEdit(fields: Fields, path: readonly string[], edit: Edit, depth: number): Fields | null {
  const name = path[depth];
  if (name === undefined) return null;
  const known = Object.hasOwn(fields, name);
  const is = known ? fields[name] : undefined;
  if (depth + 1 < path.length) {
    const after = isObject(is) ? withEdit(is, path, edit, depth + 1) : null;
    return after && { ...fields, [name]: after };
  }
  if (edit.length === 2) return known && !isReplacement(is, edit[1]) ? null : { ...fields, [name]: edit[1] };
  return known ? Object.fromEntries(Object.entries(fields).filter(([key]) => key !== name)) : null;
}

/** Whether `to` differs from `from` as a whole; of two objects, what is in them is edited. */
function isReplacement(from: unknown, to: unknown): boolean {
  if (Array.isArray(from) && Array.isArray(to)) return canonicalize(from) !== canonicalize(to);
  return from !== to && !(isObject(from) && isObject(to));
}

const isPath = (value: unknown): boolean =>
  names(value, '') === null && Array.isArray(value) && value.length > 0;

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
