/** Names that one manifest uses of another. */
import { projectValues } from '../channels.ts';
import { loginRefs } from '../logins.ts';
import type { ValueRef } from '../model.ts';
import type { ManifestDocument } from '../parse.ts';
import type { Context, DeclaredSecret } from '../rules.ts';
import { didYouMean } from '../suggest.ts';
import { initialKey } from '../values.ts';

export function targetReferences({ secrets, names, problems }: Context): void {
  if (names === undefined) return;
  for (const { document, model } of secrets.values()) {
    if (names.targets.has(model.target)) continue;
    const hint = didYouMean(model.target, names.targets, 'declare a Target of that name');
    problems.add(document.at('/spec/target'), model.name, `there is no target ${model.target}`, hint);
  }
}

/** `{ secret: … }` in target credentials, initial credentials and channels. The name is not repeated: it may be a value. */
export function secretReferences({ project, targets, secrets, names, problems }: Context): void {
  if (names === undefined) return;
  const check = (document: ManifestDocument, pointer: string, value: ValueRef | undefined): void => {
    if (value === undefined || !('secret' in value) || names.secrets.has(value.secret)) return;
    const hint = didYouMean(
      value.secret,
      names.secrets,
      'name a RotatedSecret; encrypt a literal value with keyturn seal',
    );
    const place = pointer.slice(1).replaceAll('/', '.');
    problems.add(
      document.at(`${pointer}/secret`),
      document.subject,
      `${place} refers to no rotated secret`,
      hint,
    );
  };
  for (const { document, model } of targets.values())
    for (const { pointer, ref } of loginRefs(model)) check(document, pointer, ref);
  for (const { document, model } of secrets.values())
    check(document, `/spec/initial/${initialKey(model)}`, model.initial?.password);
  if (project === undefined) return;
  for (const [pointer, ref] of projectValues(project.written)) check(project.document, pointer, ref);
}

export function channels({ project, secrets, problems }: Context): void {
  const known = Object.keys(project?.written.spec.channels ?? {});
  for (const { document, model } of secrets.values()) {
    for (const [index, channel] of model.notify.channels.entries()) {
      if (known.includes(channel)) continue;
      const hint = didYouMean(channel, known, 'declare it under spec.channels in keyturn.yaml');
      problems.add(
        document.at(`/spec/notify/channels/${index}`),
        model.name,
        'spec.notify.channels names no channel',
        hint,
      );
    }
  }
}

export function movedFrom({ secrets, names, problems }: Context): void {
  const movers = new Map<string, DeclaredSecret>();
  for (const secret of secrets.values()) {
    const { document, model } = secret;
    const former = model.movedFrom;
    if (former === undefined) continue;
    const at = document.at('/spec/movedFrom');
    const other = movers.get(former);
    if (names?.secrets.has(former) ?? secrets.has(former)) {
      problems.add(
        at,
        model.name,
        `spec.movedFrom names ${former}, which still exists`,
        'remove the old manifest, or this key',
      );
    } else if (other !== undefined) {
      problems.add(
        at,
        model.name,
        `spec.movedFrom names ${former}, as ${other.model.name} does`,
        'one secret can move to one place only',
      );
    } else movers.set(former, secret);
  }
}

/** `values/<name>/current` and `values/<name>/8.age` are files: no other secret's folder may have such a name. */
export function valueFolders({ secrets, problems }: Context): void {
  for (const { document, model } of secrets.values()) {
    const taken = model.name
      .split('/')
      .slice(1)
      .find((segment) => segment === 'current' || /^\d+\.age$/.test(segment));
    if (taken === undefined) continue;
    problems.add(
      document.at('/metadata/name'),
      model.name,
      `the segment ${taken} is taken by keyturn's own files`,
      'choose another name',
    );
  }
}

/** secret -> what its rotation reads: its target's credentials and its initial value. */
export function cycles({ targets, secrets, problems }: Context): void {
  const settled = new Set<string>();
  const logins = new Map<string, ValueRef[]>();
  const loginsOf = (target: string): ValueRef[] => {
    const known = logins.get(target) ?? loginRefs(targets.get(target)?.model).map(({ ref }) => ref);
    logins.set(target, known);
    return known;
  };
  const needs = ({ model }: DeclaredSecret): string[] => {
    return [...loginsOf(model.target), model.initial?.password].flatMap((ref) => {
      if (ref === undefined || !('secret' in ref)) return [];
      const itself =
        ref !== model.initial?.password && model.rotator === 'target' && ref.secret === model.name;
      return itself ? [] : [ref.secret];
    });
  };
  const follow = (name: string, path: string[]): void => {
    const secret = secrets.get(name);
    if (secret === undefined || settled.has(name)) return;
    const start = path.indexOf(name);
    if (start < 0) {
      for (const next of new Set(needs(secret))) follow(next, [...path, name]);
      settled.add(name);
      return;
    }
    const ring = [...path.slice(start), name];
    const alone =
      ring.length === 2 &&
      secret.model.initial?.password !== undefined &&
      'secret' in secret.model.initial.password &&
      secret.model.initial.password.secret === name;
    problems.add(
      secret.document.at(alone ? `/spec/initial/${initialKey(secret.model)}/secret` : '/spec/target'),
      name,
      `needs itself to be rotated: ${ring.join(' -> ')}`,
      ring.length === 2 && !alone
        ? 'write rotator: target if it is the credential of its own target'
        : 'give one of these targets credentials from outside the circle',
    );
  };
  for (const name of [...secrets.keys()].toSorted()) follow(name, []);
}
