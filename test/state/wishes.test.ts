import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Write } from '../../src/git/contract.ts';
import { Ledger } from '../../src/state/ledger.ts';
import { readWishes, wishFile } from '../../src/state/wishes.ts';
import { MemoryRemote, repositoryOf } from '../engine/remote.ts';
import { healthy } from '../engine/scheduler.ts';
import { testClock } from '../git/world.ts';
import { at, person, record } from './people.ts';

const ci = await person('ci');

/** A state with `prod/A`, whose version 1 is from `at`, and these files in `requests/`. */
async function ledgerWith(requests: Write[]): Promise<Ledger> {
  const remote = new MemoryRemote();
  const ledger = await Ledger.open({
    repository: repositoryOf(remote, healthy),
    identity: ci.identity,
    recipients: [ci.recipient],
    clock: testClock(),
    random: (bytes) => new Uint8Array(bytes),
    ulid: () => 'LINEAGE',
    runner: 'test:runner',
  });
  const change = { uid: 'A', name: 'prod/A', from: undefined, to: record('A'), writes: [] };
  await ledger.commit([change], 'add', requests);
  return ledger;
}

const later = new Date(at.getTime() + 1000).toISOString();
const wish = { secret: 'prod/A', reason: 'leaked in a log', at: later };
const raw = (text: string, path = 'requests/1.json'): Write => ({ path, bytes: Buffer.from(text) });

describe('a wish', () => {
  test('is read as it was written', async () => {
    const file = wishFile('01JX', wish);
    expect(file.path).toBe('requests/01JX.json');
    expect(await readWishes(await ledgerWith([file]))).toEqual([{ path: 'requests/01JX.json', ...wish }]);
  });

  test('made before the newest version is fulfilled already', async () => {
    const before = wishFile('1', { ...wish, at: new Date(at.getTime() - 1).toISOString() });
    const same = wishFile('2', { ...wish, at: at.toISOString() });
    expect(await readWishes(await ledgerWith([before, same]))).toEqual([]);
  });

  test('for a secret without a version waits for its first', async () => {
    const [read] = await readWishes(await ledgerWith([wishFile('1', { ...wish, secret: 'prod/new' })]));
    expect(read?.secret).toBe('prod/new');
  });

  test('has a short reason, however long it was written', async () => {
    const [read] = await readWishes(await ledgerWith([wishFile('1', { ...wish, reason: 'x'.repeat(1000) })]));
    expect(read?.reason).toBe('x'.repeat(200));
  });

  test('stands beside others, each under its own path', async () => {
    const read = await readWishes(await ledgerWith([wishFile('1', wish), wishFile('2', wish)]));
    expect(read.map(({ path }) => path).sort()).toEqual(['requests/1.json', 'requests/2.json']);
  });
});

describe('anybody may push to requests/, so what is no wish is left alone:', () => {
  test.each<[string, Write]>([
    ['not JSON', raw('{')],
    ['null', raw('null')],
    ['a number', raw('7')],
    ['a list', raw('[]')],
    ['no secret', raw(JSON.stringify({ ...wish, secret: undefined }))],
    ['a secret that is no text', raw(JSON.stringify({ ...wish, secret: 1 }))],
    ['a reason that is no text', raw(JSON.stringify({ ...wish, reason: {} }))],
    ['no time', raw(JSON.stringify({ ...wish, at: undefined }))],
    ['a time that is none', raw(JSON.stringify({ ...wish, at: 'soon' }))],
    ['more than 4 KiB', raw(JSON.stringify({ ...wish, more: 'x'.repeat(4096) }))],
    ['another file', raw(JSON.stringify(wish), 'requests/README.md')],
  ])('%s', async (_, file) => {
    expect(await readWishes(await ledgerWith([file]))).toEqual([]);
  });

  test('any bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        expect(await readWishes(await ledgerWith([{ path: 'requests/1.json', bytes }]))).toEqual([]);
      }),
      { numRuns: 30 },
    );
  });
});
