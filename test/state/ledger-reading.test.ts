/** What a ledger reads of a remote that others may write to. */
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { KeyturnError } from '../../src/errors.ts';
import { Secret } from '../../src/secret.ts';
import { Ledger } from '../../src/state/ledger.ts';
import { valuePath } from '../../src/state/version-file.ts';
import { testClock } from '../git/world.ts';
import { ci, ledger, pushByHand, remote, withValue, world } from './ledgers.ts';
import { record, refusal, words } from './people.ts';

describe('a version', () => {
  test('is read back with its fields', async () => {
    const one = await ledger();
    const a = await withValue(one, 'A', 'the-value-of-a');
    const { value, fields } = await (await ledger()).readVersion(a, 1);
    expect([value.reveal(), fields]).toEqual(['the-value-of-a', { username: 'A' }]);
  });

  test('whose file was swapped for another secret is refused', async () => {
    const one = await ledger();
    const a = await withValue(one, 'A', 'the-value-of-a');
    const b = await withValue(one, 'B', 'the-value-of-b');
    pushByHand((clone) => {
      renameSync(join(clone, valuePath(b.name, 1)), join(clone, valuePath(a.name, 1)));
    });
    const error = await refusal(async () => (await ledger()).readVersion(a, 1));
    expect(error).toMatchObject({ exit: 3 });
    expect(words(error)).toContain('values/prod/A/1.age: is not the file that the state recorded');
    const missing = await refusal(async () => (await ledger()).readVersion(b, 1));
    expect(missing).toMatchObject({ exit: 3 });
    expect(words(missing)).toContain('values/prod/B/1.age: is not in');
  });

  test('is looked for again after git could not tell', async () => {
    const a = await withValue(await ledger(), 'A', 'the-value-of-a');
    const repository = await world.open(world.clone(remote, 'unsteady'));
    let failures = 1;
    const unsteady: typeof repository = {
      ...repository,
      list: (tip, folders) =>
        folders.includes('values') && failures-- > 0
          ? Promise.reject(new KeyturnError('git', 'did not answer in time'))
          : repository.list(tip, folders),
    };
    const one = await Ledger.open({
      repository: unsteady,
      identity: ci.identity,
      recipients: [ci.recipient],
      clock: testClock(),
      random: (n: number) => new Uint8Array(n),
      ulid: () => 'X',
      runner: 'x',
    });
    expect(words(await refusal(() => one.readVersion(a, 1)))).toContain('did not answer');
    expect((await one.readVersion(a, 1)).value.reveal()).toBe('the-value-of-a');
  });

  test('is sealed to the given recipients, each once, and says so', async () => {
    const one = await ledger();
    const { sealed, write } = await one.seal(
      record('A'),
      1,
      { value: new Secret('some-value'), fields: {} },
      [ci.recipient, ci.recipient],
    );
    expect(write.path).toBe('values/prod/A/1.age');
    expect(sealed.readers).toHaveLength(1);
    expect(Buffer.from(write.bytes ?? '').toString('latin1')).not.toContain('some-value');
  });
});

describe('opening', () => {
  test('values without a state are refused: somebody removed it', async () => {
    await withValue(await ledger(), 'A', 'the-value-of-a');
    pushByHand((clone) => rmSync(join(clone, 'state'), { recursive: true }));
    const error = await refusal(() => ledger());
    expect(error).toMatchObject({ exit: 3 });
    expect(words(error)).toContain('has values but no state');
  });

  test('a remote that does not answer is temporary', async () => {
    const clone = world.clone(remote, 'unreachable');
    world.git(clone, 'remote', 'set-url', 'origin', 'http://127.0.0.1:1/nobody.git');
    const repository = await world.open(clone);
    const options = {
      repository,
      identity: ci.identity,
      recipients: [ci.recipient],
      clock: testClock(),
      random: (n: number) => new Uint8Array(n),
      ulid: () => 'X',
      runner: 'x',
    };
    expect(await refusal(() => Ledger.open(options))).toMatchObject({ exit: 75 });
  });

  test('tells how old its reading is', async () => {
    const clock = testClock();
    const one = await ledger(ci.identity, clock);
    const read = one.age();
    await clock.sleep(31_000);
    expect(one.age() - read).toBe(31_000);
    await one.refresh();
    expect(one.age()).toBeLessThan(31_000);
  });
});
