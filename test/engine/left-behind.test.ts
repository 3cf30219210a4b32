import { expect, test } from 'vitest';
import { type Attempt, attemptOf } from '../../src/engine/attempt.ts';
import { rotateChosen } from '../../src/engine/rotate-chosen.ts';
import type { World } from '../../src/engine/world.ts';
import { Secret } from '../../src/secret.ts';
import type { ChosenDriver, ChosenRotator, SetResult } from '../../src/targets/driver.ts';
import { now, pendingOn, record, secret, target, version } from './wishes-and-records.ts';

const said = { code: 'X', detail: 'x' };

/** A claimed rotation on a target that answers SETs as told and is seen not to have the value. */
function claimed(answers: SetResult[]): { attempt: Attempt; world: World } {
  const claim = record({
    versions: { 3: version(), 4: version({ stage: 'pending' }) },
    pending: pendingOn(4, 0),
  });
  const rotator: ChosenRotator = {
    preflight: async () => ({ r: 'unreachable', ...said }),
    witness: async () => 'not-applied',
    probe: async () => ({ r: 'denied', ...said }),
    set: async () => answers.shift() ?? { r: 'ambiguous', ...said },
    retire: async () => ({ r: 'unreachable', ...said }),
    close: async () => undefined,
  };
  const world = {
    ledger: { age: () => 0, record: () => claim },
    clock: { now: () => now, monotonic: () => 0, sleep: async () => undefined },
    emit: () => undefined,
    failpoint: async () => undefined,
    stopping: () => false,
  } as unknown as World;
  const attempt = attemptOf({
    secret: secret(),
    record: claim,
    value: new Secret('value-of-version-4'),
    job: {
      target: target(),
      username: 'app',
      host: undefined,
      account: secret().account,
      actor: 'target',
      admin: undefined,
      current: undefined,
      retain: false,
      mark: { uid: claim.uid, version: 4 },
    },
    driver: { rotator: () => rotator } as unknown as ChosenDriver,
    recipients: [],
    replay: false,
    world,
  });
  return { attempt, world };
}

test.each<[string, SetResult[], string]>([
  ['nothing was ever sent', [{ r: 'not-sent', ...said }], 'unchanged'],
  [
    'an answer was lost, then nothing could be sent',
    [
      { r: 'ambiguous', ...said },
      { r: 'not-sent', ...said },
    ],
    'unknown',
  ],
  [
    'an answer was lost, then the target said no',
    [
      { r: 'ambiguous', ...said },
      { r: 'refused', why: 'permission', ...said },
    ],
    'unknown',
  ],
  [
    'an answer was lost, then the value was refused and no value is let in',
    [
      { r: 'ambiguous', ...said },
      { r: 'refused', why: 'policy', ...said },
    ],
    'unknown',
  ],
  ['the target said no', [{ r: 'refused', why: 'permission', ...said }], 'refused'],
  [
    'two answers were lost',
    [
      { r: 'ambiguous', ...said },
      { r: 'ambiguous', ...said },
    ],
    'unknown',
  ],
])('says what it left behind when %s', async (_, answers, left) => {
  const { attempt, world } = claimed(answers);
  expect(await rotateChosen(attempt, world)).toMatchObject({ r: 'keep', left });
});
