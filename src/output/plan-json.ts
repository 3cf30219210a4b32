import type { Action, Plan, PlanGroup, Verb } from '../engine/model.ts';
import { KeyturnError } from '../errors.ts';
import type { Why } from '../state/model.ts';
import { renderJson } from './json.ts';
import { verbs } from './verbs.ts';

const whys: Readonly<Record<Why, true>> = {
  due: true,
  new: true,
  flagged: true,
  'rotate-token': true,
  'reader-removed': true,
  'reader-added': true,
  drift: true,
  session: true,
  'policy-refused': true,
};

/** The plan as a file for `apply --plan`; the same plan gives the same bytes. No newline at the end. */
export function renderPlanJson(plan: Plan): string {
  return renderJson(inOrder(plan));
}

/**
 * What `renderPlanJson` wrote, checked to the last key. Whether the checksum fits the actions is for
 * `apply` to say, which computes the plan anew.
 * @throws KeyturnError naming `file` and the place in it, never its content
 */
export function readPlanFile(text: string, file: string): Plan {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw unreadable(file, 'is not JSON');
  }
  const reader = new PlanReader(file);
  if (isRecord(json) && json.format !== 1) {
    throw unreadable(file, 'is not a plan of format 1, the only one that this version of keyturn knows');
  }
  return reader.plan(json);
}

/** Key order is part of the format: two files of one plan compare equal. */
function inOrder(plan: Plan): Plan {
  return {
    format: plan.format,
    project: plan.project,
    serial: plan.serial,
    head: plan.head,
    at: plan.at,
    groups: plan.groups.map(({ target, label, warnings, actions }) => ({
      target,
      label,
      warnings,
      actions: actions.map(({ verb, secret, uid, target: at, from, to, why, reason }) => ({
        verb,
        secret,
        uid,
        target: at,
        from,
        to,
        why,
        reason,
      })),
    })),
    unchanged: plan.unchanged,
    nextDue: plan.nextDue,
    unsafe: plan.unsafe,
    checksum: plan.checksum,
  };
}

class PlanReader {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  plan(json: unknown): Plan {
    const at = 'the plan';
    const keys = 'format project serial head at groups unchanged nextDue unsafe checksum';
    const record = this.#record(json, at, keys);
    return {
      format: 1,
      project: this.#text(record.project, 'project'),
      serial: this.#count(record.serial, 'serial'),
      head: this.#text(record.head, 'head'),
      at: this.#time(record.at, 'at'),
      groups: this.#list(record.groups, 'groups', (group, place) => this.#group(group, place)),
      unchanged: this.#count(record.unchanged, 'unchanged'),
      nextDue: record.nextDue === null ? null : this.#time(record.nextDue, 'nextDue'),
      unsafe: this.#texts(record.unsafe, 'unsafe'),
      checksum: this.#match(
        record.checksum,
        'checksum',
        /^sha256:[0-9a-f]{64}$/u,
        'sha256: and 64 hex digits',
      ),
    };
  }

  #group(json: unknown, place: string): PlanGroup {
    const record = this.#record(json, place, 'target label warnings actions');
    const target = this.#text(record.target, `${place}.target`);
    return {
      target,
      label: this.#text(record.label, `${place}.label`),
      warnings: this.#texts(record.warnings, `${place}.warnings`),
      actions: this.#list(record.actions, `${place}.actions`, (action, at) => {
        const read = this.#action(action, at);
        if (read.target !== target) throw this.#wrong(`${at}.target`, "its group's target");
        return read;
      }),
    };
  }

  #action(json: unknown, place: string): Action {
    const record = this.#record(json, place, 'verb secret uid target from to why reason');
    return {
      verb: this.#key<Verb>(record.verb, `${place}.verb`, verbs),
      secret: this.#match(record.secret, `${place}.secret`, /./u, 'a name'),
      uid: this.#text(record.uid, `${place}.uid`),
      target: this.#text(record.target, `${place}.target`),
      from: this.#version(record.from, `${place}.from`),
      to: this.#version(record.to, `${place}.to`),
      why: record.why === null ? null : this.#key<Why>(record.why, `${place}.why`, whys),
      reason: this.#text(record.reason, `${place}.reason`),
    };
  }

  #record(json: unknown, place: string, keys: string): Record<string, unknown> {
    if (!isRecord(json)) throw this.#wrong(place, 'an object');
    const expected = keys.split(' ');
    const same =
      Object.keys(json).length === expected.length && expected.every((key) => Object.hasOwn(json, key));
    if (!same) throw this.#wrong(place, `an object of ${expected.join(', ')}`);
    return json;
  }

  #list<T>(json: unknown, place: string, read: (item: unknown, place: string) => T): T[] {
    if (!Array.isArray(json)) throw this.#wrong(place, 'a list');
    return json.map((item: unknown, index) => read(item, `${place}[${index}]`));
  }

  #texts(json: unknown, place: string): string[] {
    return this.#list(json, place, (item, at) => this.#text(item, at));
  }

  #text(json: unknown, place: string): string {
    if (typeof json !== 'string') throw this.#wrong(place, 'a text');
    return json;
  }

  #match(json: unknown, place: string, pattern: RegExp, what: string): string {
    if (typeof json !== 'string' || !pattern.test(json)) throw this.#wrong(place, what);
    return json;
  }

  #time(json: unknown, place: string): string {
    const text = this.#match(json, place, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/u, 'an ISO time in UTC');
    if (Number.isNaN(Date.parse(text))) throw this.#wrong(place, 'an ISO time in UTC');
    return text;
  }

  #count(json: unknown, place: string): number {
    if (typeof json !== 'number' || !Number.isSafeInteger(json) || json < 0)
      throw this.#wrong(place, 'a count');
    return json;
  }

  #version(json: unknown, place: string): number | null {
    if (json === null) return null;
    if (this.#count(json, place) === 0) throw this.#wrong(place, 'a version from 1, or null');
    return this.#count(json, place);
  }

  #key<K extends string>(json: unknown, place: string, table: Readonly<Record<K, unknown>>): K {
    const found = (Object.keys(table) as K[]).find((key) => key === json);
    if (found === undefined) throw this.#wrong(place, `one of ${Object.keys(table).join(', ')}`);
    return found;
  }

  #wrong(place: string, expected: string): KeyturnError {
    return unreadable(this.#file, `is not a plan that keyturn wrote: ${place} must be ${expected}`);
  }
}

function isRecord(json: unknown): json is Record<string, unknown> {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

function unreadable(file: string, what: string): KeyturnError {
  return new KeyturnError(file, what, { hint: `make it anew with keyturn plan --out ${file}` });
}
