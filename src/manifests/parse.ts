/** YAML text -> plain data with positions. No message ever quotes the text: it may hold a value by mistake. */
import {
  Composer,
  type Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  Parser,
  Schema,
} from 'yaml';
import type { Source } from './model.ts';
import type { Problems } from './problems.ts';

export interface ManifestFile {
  /** Relative to the repository, with slashes. */
  path: string;
  /** Where it lies on this machine, if it does. */
  location?: string;
  /**
   * Asked for once to parse it, and again where a mistake is found: nobody holds the texts of all files. Undefined after
   * it has been reported that the file cannot be read.
   */
  text(): string | undefined;
}

/** One document of a file: plain JSON data, and where each part of it stands. */
export interface ManifestDocument {
  file: string;
  value: unknown;
  /** `metadata.name` where it can be told, else what the document is. */
  subject: string;
  /** Position of the key (or item) that a JSON pointer names; of its nearest ancestor where it is absent. */
  at(pointer: string): Source;
}

export interface ParsedFile {
  documents: ManifestDocument[];
  /** False where a document could not be read: names that it declares are unknown. */
  complete: boolean;
}

const plain = /^tag:yaml\.org,2002:(?:str|int|float|bool|null|map|seq)$/;

/** Codes of the parser -> our words. Its own messages quote the text. */
const syntax: Record<string, [what: string, hint: string]> = {
  BAD_INDENT: ['the indentation does not fit', 'give all keys of one map the same indentation'],
  BLOCK_AS_IMPLICIT_KEY: [
    'a map cannot begin inside a line',
    'put the value in quotes, or the inner map on its own lines',
  ],
  MULTILINE_IMPLICIT_KEY: ['a key must stand on one line', 'indent the lines that belong to the value above'],
  MISSING_CHAR: ['something is missing here', 'close the quote or bracket, or write key: value'],
  TAB_AS_INDENT: ['a tab cannot indent', 'use spaces'],
  BAD_SCALAR_START: ['a plain value cannot begin with this character', 'put the value in quotes'],
  BAD_DQ_ESCAPE: ['unknown escape in double quotes', 'use single quotes, or write two backslashes'],
  RESOURCE_EXHAUSTION: ['nested too deeply', 'a manifest is a few levels deep'],
};

const options = {
  prettyErrors: false,
  uniqueKeys: false,
  // one for all documents: each would make its own
  schema: new Schema({ schema: 'core', resolveKnownTags: false }),
};

const documentsIn = (text: string, lines: LineCounter): Iterable<Document.Parsed> =>
  new Composer(options).compose(new Parser(lines.addNewLine).parse(text));

/** The data of a document and where it stands in its file: all that another thread has to tell of it. */
export interface Part {
  /** Among all documents of the file, with those that are skipped. */
  index: number;
  line: number;
  column: number;
  value: unknown;
}

/**
 * Documents of one file. Empty ones are skipped; unreadable ones are reported, each once. Only the data is kept: a
 * syntax tree is ten times larger than its text, so a mistake found later has its place looked up in the text anew.
 */
export function parseFile(file: ManifestFile, problems: Problems): ParsedFile {
  const { parts, complete } = partsOf(file, problems);
  return { documents: parts.map((part, n) => toDocument(file, part, n + 1)), complete };
}

/** The same without what only the thread can have that holds the file. */
export function partsOf(file: ManifestFile, problems: Problems): { parts: Part[]; complete: boolean } {
  const lines = new LineCounter();
  const source = (offset: number): Source => sourceOf(file, lines, offset);
  const parts: Part[] = [];
  const text = file.text();
  let complete = text !== undefined;
  let next = 0;
  for (const document of documentsIn(text ?? '', lines)) {
    const index = next++;
    const report = (offset: number, what: string, hint: string): void => {
      complete = false;
      problems.add(source(offset), file.path, what, hint);
    };
    const worst = document.errors.find((error) => error.code === 'RESOURCE_EXHAUSTION') ?? document.errors[0];
    if (worst !== undefined) {
      report(
        worst.pos[0],
        ...(syntax[worst.code] ?? ['not valid YAML', 'check quotes, brackets and indentation']),
      );
      continue;
    }
    const data = dataOf(document, report);
    if (data === undefined || data.value === null) continue;
    const { line, column } = source(offsetOf(document, ''));
    parts.push({ index, line, column, value: data.value });
  }
  return { parts, complete };
}

/** `number`: the how manieth of its file it is, as people count. */
export function toDocument(
  file: ManifestFile,
  { index, line, column, value }: Part,
  number: number,
): ManifestDocument {
  const start = { file: file.path, line, column };
  return {
    file: file.path,
    value,
    subject: subjectOf(value, number),
    at: (pointer) => (pointer === '' ? start : locate(file, index, pointer)),
  };
}

/** The file that a mistake was found in last: it seldom has one alone. */
let reread: { file: ManifestFile; lines: LineCounter; documents: readonly Document[] } | undefined;

function locate(file: ManifestFile, index: number, pointer: string): Source {
  if (reread?.file !== file) {
    const lines = new LineCounter();
    reread = { file, lines, documents: [...documentsIn(file.text() ?? '', lines)] };
  }
  const document = reread.documents[index];
  return sourceOf(file, reread.lines, document === undefined ? 0 : offsetOf(document, pointer));
}

function sourceOf({ path }: ManifestFile, lines: LineCounter, offset: number): Source {
  const { line, col } = lines.linePos(offset);
  return { file: path, line: Math.max(line, 1), column: Math.max(col, 1) };
}

type Refuse = (node: Ranged, what: string, hint: string) => void;
type Ranged = { range?: readonly number[] | null | undefined };

/** The plain data of a document; undefined after everything that YAML can do beyond it has been reported. */
function dataOf(
  document: Document,
  report: (offset: number, what: string, hint: string) => void,
): { value: unknown } | undefined {
  let fine = true;
  const refuse: Refuse = (node, what, hint) => {
    fine = false;
    report(node.range?.[0] ?? 0, what, hint);
  };
  const directives = document.directives?.yaml;
  if (directives?.explicit === true && directives.version !== '1.2') {
    refuse(document, 'only YAML 1.2 is read', 'remove the %YAML line');
  }
  const value = plainOf(document.contents, refuse);
  return fine ? { value } : undefined;
}

function plainOf(node: unknown, refuse: Refuse): unknown {
  if (isAlias(node)) refuse(node, 'aliases are not allowed', 'write the value out where it is used');
  else if (isNode(node) && node.tag !== undefined && !plain.test(node.tag)) {
    refuse(node, 'custom tags are not allowed', 'remove the word that begins with an exclamation mark');
  }
  if (isScalar(node)) return typeof node.value === 'string' ? word(node.value) : node.value;
  if (isSeq(node)) return node.items.map((item) => plainOf(item, refuse));
  if (!isMap(node)) return null;
  const map: Record<string, unknown> = {};
  for (const { key, value } of node.items) {
    const item = plainOf(value, refuse);
    if (!isScalar(key)) {
      plainOf(key, refuse);
      if (!isAlias(key)) refuse(node, 'a key must be a plain word', 'write key: value');
      continue;
    }
    plainOf(key, refuse);
    const name = key.value === null ? '' : String(key.value);
    if (Object.hasOwn(map, name)) refuse(key, 'the same key stands twice in one map', 'keep one of the two');
    if (!(name in map)) map[name] = item;
    else {
      const own = { value: item, enumerable: true, configurable: true, writable: true };
      Object.defineProperty(map, name, own);
    }
  }
  return map;
}

/** Texts that stand in many manifests are kept once; the newest are known. */
const words = new Map<string, string>();
const mostWords = 4096;

/** The same text on its own: as the parser hands it out, it holds on to the whole file that it was cut from. */
function word(text: string): string {
  const known = words.get(text);
  if (known !== undefined) return known;
  const own: string = JSON.parse(JSON.stringify(text));
  if (words.size === mostWords) words.clear();
  words.set(own, own);
  return own;
}

function offsetOf(document: Document, pointer: string): number {
  let node: unknown = document.contents;
  let offset = startOf(document.contents) ?? document.range?.[0] ?? 0;
  for (const step of pointer.split('/').slice(1)) {
    const name = step.replaceAll('~1', '/').replaceAll('~0', '~');
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === name);
      if (pair === undefined) break;
      offset = startOf(pair.key) ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(name)];
      offset = startOf(node) ?? offset;
    } else break;
  }
  return offset;
}

function startOf(node: unknown): number | undefined {
  if (isPair(node)) return startOf(node.key);
  if (isCollection(node) && node.flow !== true && node.items.length > 0) return startOf(node.items[0]);
  return (node as Node | null | undefined)?.range?.[0];
}

function subjectOf(value: unknown, number: number): string {
  const { kind, metadata } = (value ?? {}) as { kind?: unknown; metadata?: { name?: unknown } | null };
  const name = metadata?.name;
  if (typeof name === 'string' && /^[a-z0-9][a-z0-9._/-]{0,199}$/.test(name)) return name;
  return typeof kind === 'string' && /^[A-Z][A-Za-z]{0,30}$/.test(kind) ? kind : `document ${number}`;
}
