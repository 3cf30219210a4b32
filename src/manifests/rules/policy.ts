/** Schedules and password policies that cannot be kept. */
import { formatDuration } from '../durations.ts';
import type { Context, DeclaredSecret } from '../rules.ts';
import { didYouMean } from '../suggest.ts';
import type { WrittenDefaults } from '../written.ts';

/**
 * Every secret's own keys, and the project's defaults once: a wrong default is one mistake, however many secrets
 * share it.
 */
function* specs({ project, secrets }: Context): Generator<{
  at(pointer: string): ReturnType<DeclaredSecret['document']['at']>;
  subject: string;
  base: string;
  spec: WrittenDefaults;
}> {
  for (const { document, written } of secrets.values())
    yield { at: document.at, subject: document.subject, base: '/spec', spec: written.spec };
  const defaults = project?.written.spec.defaults;
  if (project !== undefined && defaults !== undefined)
    yield {
      at: project.document.at,
      subject: project.document.subject,
      base: '/spec/defaults',
      spec: defaults,
    };
}

const zones = new Map<string, boolean>();

/** Asked once a name: the answer costs as much as parsing half a manifest. */
function isZone(name: string): boolean {
  const known = zones.get(name);
  if (known !== undefined) return known;
  let valid = false;
  try {
    valid = !/^[+-]/.test(name) && new Intl.DateTimeFormat('en', { timeZone: name }) !== undefined;
  } catch {}
  zones.set(name, valid);
  return valid;
}

export function timezones(context: Context): void {
  for (const { at, subject, base, spec } of specs(context)) {
    if (typeof spec.schedule !== 'object') continue;
    const zones: [string, string | undefined][] = [
      ['timezone', spec.schedule.timezone],
      ...(spec.schedule.windows ?? []).map((window, index): [string, string | undefined] => [
        `windows/${index}/timezone`,
        window.timezone,
      ]),
    ];
    for (const [path, zone] of zones) {
      if (zone === undefined || isZone(zone)) continue;
      const hint = didYouMean(
        zone,
        Intl.supportedValuesOf('timeZone'),
        'write an IANA name, e.g. Europe/Berlin or UTC',
      );
      context.problems.add(at(`${base}/schedule/${path}`), subject, 'there is no such time zone', hint);
    }
  }
}

export function windows(context: Context): void {
  for (const { at, subject, base, spec } of specs(context)) {
    if (typeof spec.schedule !== 'object') continue;
    for (const [index, { from, to }] of (spec.schedule.windows ?? []).entries()) {
      if (from !== to) continue;
      context.problems.add(
        at(`${base}/schedule/windows/${index}/to`),
        subject,
        'the window closes when it opens',
        'write a later time, or an earlier one to cross midnight',
      );
    }
  }
}

export function graceFits({ secrets, problems }: Context): void {
  for (const { document, model } of secrets.values()) {
    const { auto, everyDays } = model.schedule;
    if (!auto || model.grace < everyDays * 86_400_000) continue;
    problems.add(
      document.at('/spec/grace'),
      model.name,
      `grace ${formatDuration(model.grace)} is not shorter than the interval ${everyDays}d`,
      'write a shorter grace, or a longer schedule.every',
    );
  }
}

const classes = {
  lowercase: 'abcdefghijklmnopqrstuvwxyz',
  uppercase: 'ABCDEFGHIJKLMNOPQRSTUVWXYZ',
  numbers: '0123456789',
  symbols: '!#$%()*+,-./:;<=>?@[]^_{}~',
} as const;

/** Length and its bounds are the schema's; whether a driver takes what is left is `password.ts`'s to say. */
export function passwordPolicy({ secrets, problems }: Context): void {
  for (const { document, model } of secrets.values()) {
    const policy = model.passwordPolicy;
    const wanted = (['lowercase', 'uppercase', 'numbers', 'symbols'] as const).filter((name) => policy[name]);
    if (wanted.length === 0) {
      problems.add(
        document.at('/spec/passwordPolicy'),
        model.name,
        'spec.passwordPolicy allows no character at all',
        'set one of lowercase, uppercase, numbers and symbols to true',
      );
    }
    if (policy.exclude === '') continue;
    for (const name of wanted) {
      if ([...classes[name]].some((character) => !policy.exclude.includes(character))) continue;
      problems.add(
        document.at('/spec/passwordPolicy/exclude'),
        model.name,
        `spec.passwordPolicy.exclude removes all ${name}`,
        `set ${name} to false, or exclude less`,
      );
    }
  }
}
