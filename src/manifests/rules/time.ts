/** Schedules that promise what they cannot keep, and what to do about drift. */
import { formatDuration } from '../durations.ts';
import type { Context } from '../rules.ts';

export function offsets({ secrets, problems }: Context): void {
  for (const { document, model } of secrets.values()) {
    const { auto, hour, offset } = model.schedule;
    if (!auto || offset === 0) continue;
    const say = (what: string, hint: string): void =>
      problems.add(document.at('/spec/schedule/offset'), model.name, what, hint);
    if (hour === undefined)
      say(
        'spec.schedule.offset moves the due time behind the hour, and there is none',
        'add hour, or keep two secrets apart by giving both the same pair',
      );
    else if (offset >= 86_400_000)
      say(
        `spec.schedule.offset ${formatDuration(offset)} is a day or more`,
        'write less than 24h; the same pair on two secrets keeps them apart for longer',
      );
  }
}

export function pairs({ secrets, problems }: Context): void {
  const sizes = new Map<string, number>();
  for (const { model } of secrets.values())
    if (model.schedule.pair !== undefined)
      sizes.set(model.schedule.pair, (sizes.get(model.schedule.pair) ?? 0) + 1);
  for (const { document, model } of secrets.values()) {
    const { pair, apart, everyDays } = model.schedule;
    if (pair === undefined) continue;
    const size = sizes.get(pair) ?? 1;
    if (size < 2)
      problems.add(
        document.at('/spec/schedule/pair'),
        model.name,
        'spec.schedule.pair names a pair of one',
        'give the other secret the same pair, or remove this key',
      );
    else if (apart * size > everyDays * 86_400_000)
      problems.add(
        document.at('/spec/schedule/apart'),
        model.name,
        `${size} secrets that keep ${formatDuration(apart)} apart do not fit into ${everyDays}d`,
        'write a shorter apart, or a longer every',
      );
  }
}

export function drift({ secrets, problems }: Context): void {
  for (const { document, model } of secrets.values()) {
    const say = (what: string, hint: string): void =>
      problems.add(document.at('/spec/drift'), model.name, what, hint);
    if (model.drift === 'adopt' && model.initial === undefined && model.rotator !== 'storage-key')
      say(
        'spec.drift: adopt takes the value of spec.initial, and there is none',
        'add initial: { password: { env: NAME } }, or write drift: alarm',
      );
    if (model.drift === 'reset' && (model.authenticateAs === 'user' || model.rotator === 'target'))
      say(
        'spec.drift: reset needs the credentials of the target, and the account changes its own value',
        'write authenticateAs: target, or drift: alarm',
      );
    if (model.drift !== 'alarm' && model.verifyEvery === undefined)
      say('spec.drift has nothing that finds drift', 'add verify: { every: 7d }');
  }
}
