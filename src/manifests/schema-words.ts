/** What ajv found -> what people read: one sentence a mistake. Values are never repeated where one could stand. */
import type { ErrorObject } from 'ajv';
import { closestTo } from './suggest.ts';

export interface Finding {
  pointer: string;
  what: string;
  hint: string;
}

interface Described {
  title?: string;
  description?: string;
  type?: string | string[];
  enum?: unknown[];
  pattern?: string;
  default?: unknown;
  minimum?: number;
  maximum?: number;
  properties?: Record<string, Described | true>;
}

/** Keywords that only repeat what another error says. */
const echoes = new Set(['if', 'allOf', 'propertyNames']);

/** Whether the error is about a value reference or something in it, where a literal password may stand. */
const inValueRef = (error: ErrorObject): boolean => /valueRef\/[a-zA-Z]/.test(error.schemaPath);

export function explain(errors: ErrorObject[]): Finding[] {
  const findings: Finding[] = [];
  const said = new Set<string>();
  const guessed = new Set<string>();
  const relevant = errors.filter((error) => !echoes.has(error.keyword));
  for (const error of relevant.filter(({ keyword }) => keyword === 'additionalProperties')) {
    const finding = unknownKey(error, guessed);
    if (said.has(finding.pointer)) continue;
    said.add(finding.pointer);
    findings.push(finding);
  }
  const emptied = new Set(
    relevant
      .filter(({ keyword }) => keyword === 'additionalProperties')
      .map(({ instancePath }) => instancePath),
  );
  for (const error of relevant) {
    if (error.keyword === 'additionalProperties') continue;
    if (inValueRef(error) && emptied.has(error.instancePath)) continue;
    const finding = error.keyword === 'required' ? missingKey(error, guessed) : wrongValue(error);
    const key =
      error.keyword === 'required'
        ? `${error.instancePath}/${error.params.missingProperty}`
        : error.instancePath;
    if (finding === undefined || said.has(key)) continue;
    said.add(key);
    findings.push(finding);
  }
  return findings;
}

/** `/spec/members/0/name` -> `spec.members[0].name`; the document itself is `the manifest`. */
function pathOf(pointer: string): string {
  const steps = pointer.split('/').slice(1);
  const path = steps.map((step) => (/^\d+$/.test(step) ? `[${step}]` : `.${step}`)).join('');
  return path === '' ? 'the manifest' : path.replace(/^\./, '');
}

const escaped = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1');

function unknownKey(error: ErrorObject, guessed: Set<string>): Finding {
  const key = String(error.params.additionalProperty);
  const known = Object.keys((error.parentSchema as Described | undefined)?.properties ?? {});
  const meant = closestTo(key, known);
  if (meant !== undefined) guessed.add(`${error.instancePath}/${meant}`);
  const pointer = `${error.instancePath}/${escaped(key)}`;
  const place = pathOf(error.instancePath);
  if (inValueRef(error) && meant === undefined) return { pointer: error.instancePath, ...literal(place) };
  const name = /^[\w.-]{1,40}$/.test(key) && !inValueRef(error) ? `"${key}"` : 'of that name';
  return {
    pointer,
    what: `${place} has no key ${name}`,
    hint: meant === undefined ? `known keys: ${known.join(', ')}` : `did you mean "${meant}"?`,
  };
}

function missingKey(error: ErrorObject, guessed: Set<string>): Finding | undefined {
  const key = String(error.params.missingProperty);
  if (guessed.has(`${error.instancePath}/${key}`)) return undefined;
  const schema = (error.parentSchema as Described | undefined)?.properties?.[key];
  const meaning = typeof schema === 'object' ? schema.description : undefined;
  return {
    pointer: error.instancePath,
    what: `${pathOf(error.instancePath)} lacks ${key}`,
    hint:
      meaning === undefined
        ? `add ${key}`
        : `add ${key}: ${meaning.charAt(0).toLowerCase()}${meaning.slice(1).replace(/\.$/, '')}`,
  };
}

const literal = (place: string): Omit<Finding, 'pointer'> => ({
  what: `${place} must be a reference to a value, never the value`,
  hint: 'encrypt it with keyturn seal and write { sealed: … }, or refer to it by { env: NAME }, { file: path } or { secret: name }',
});

function wrongValue(error: ErrorObject): Finding {
  const pointer = error.instancePath;
  const place = pathOf(pointer);
  const schema: Described = (error.parentSchema as Described | undefined) ?? {};
  const meaning = schema.description?.replace(/\.$/, '') ?? 'see the schema';
  if (inValueRef(error) && ['type', 'minProperties', 'maxProperties'].includes(error.keyword)) {
    return error.keyword === 'type' && error.params.type !== 'object'
      ? { pointer, what: `${place} must be text`, hint: meaning }
      : { pointer, ...(error.keyword === 'maxProperties' ? several(place) : literal(place)) };
  }
  switch (error.keyword) {
    case 'type':
      return {
        pointer,
        what: `${place} must be ${words(error.params.type)}`,
        hint: typeHint(error, schema, meaning),
      };
    case 'enum':
    case 'const':
      return oneOf(error, pointer, place);
    case 'pattern':
      return { pointer, what: `${place} is not written right`, hint: patternHint(schema, meaning) };
    case 'minimum':
    case 'maximum':
    case 'exclusiveMinimum':
      return { pointer, what: `${place} is out of range`, hint: `write ${rangeOf(schema)}` };
    case 'uniqueItems':
      return {
        pointer: `${pointer}/${Math.max(error.params.i, error.params.j)}`,
        what: `${place} holds the same item twice`,
        hint: 'keep one of the two',
      };
    case 'minItems':
    case 'maxItems':
      return {
        pointer,
        what: `${place} has too ${error.keyword === 'minItems' ? 'few' : 'many'} items`,
        hint: meaning,
      };
    case 'minLength':
    case 'maxLength':
      return {
        pointer,
        what: `${place} is ${error.keyword === 'minLength' ? 'empty' : 'too long'}`,
        hint: meaning,
      };
    default:
      return { pointer, what: `${place} is not allowed like this`, hint: meaning };
  }
}

const several = (place: string): Omit<Finding, 'pointer'> => ({
  what: `${place} refers to more than one value`,
  hint: 'keep one of env, file, secret and sealed',
});

function words(type: unknown): string {
  const names: Record<string, string> = {
    string: 'text',
    integer: 'a whole number',
    number: 'a number',
    boolean: 'true or false',
    object: 'a map',
    array: 'a list',
  };
  const types = Array.isArray(type) ? type : String(type).split(',');
  return types.map((one) => names[String(one)] ?? String(one)).join(' or ');
}

const isDuration = (schema: Described): boolean =>
  schema.pattern?.endsWith('(ms|s|m|h|d)$') === true || schema.pattern?.endsWith(')d$') === true;

function typeHint(error: ErrorObject, schema: Described, meaning: string): string {
  if (schema.type === 'string' && typeof error.data === 'number') {
    const unit = error.data === 0 ? 's' : 'd';
    return isDuration(schema) && Number.isInteger(error.data)
      ? `give it a unit, e.g. ${error.data}${unit}`
      : 'put it in quotes';
  }
  return meaning;
}

function patternHint(schema: Described, meaning: string): string {
  if (schema.pattern?.startsWith('^(?!.*\\.\\.)') === true) {
    return 'a name is made of a-z, 0-9, dot, dash and underscore, in segments joined by slashes';
  }
  return meaning;
}

function oneOf(error: ErrorObject, pointer: string, place: string): Finding {
  const allowed: unknown[] =
    error.keyword === 'const' ? [error.params.allowedValue] : error.params.allowedValues;
  const names = allowed.map(String);
  const meant = typeof error.data === 'string' ? closestTo(error.data, names) : undefined;
  const hint =
    meant === undefined
      ? `write ${names.length === 1 ? '' : 'one of '}${names.join(', ')}`
      : `did you mean "${meant}"?`;
  return { pointer, what: `${place} has no such choice`, hint };
}

function rangeOf(schema: Described & { exclusiveMinimum?: number }): string {
  const { minimum, maximum, exclusiveMinimum } = schema;
  if (exclusiveMinimum !== undefined) return `more than ${exclusiveMinimum} and at most ${maximum}`;
  return maximum === undefined ? `${minimum} or more` : `${minimum} to ${maximum}`;
}
