/** Rotations side by side: what they push meanwhile goes together, and what becomes of it is each one's own. */
import { expect, test } from 'vitest';
import { Places } from '../../src/engine/places.ts';
import { Together } from '../../src/engine/together.ts';
import type { World } from '../../src/engine/world.ts';
import type { Change, CommitOutcome } from '../../src/state/ledger.ts';

const change = (name: string): Change => ({ uid: name, name, from: undefined, to: null, writes: [] });
const of = (name: string, verb = 'record') => ({
  change: change(name),
  verb,
  what: `${name} v2`,
  step: verb,
});

/** Answers a push when the test says so. */
class Remote {
  readonly pushes: { names: string[]; subject: string; steps: readonly string[] }[] = [];
  #answer: ((outcome: CommitOutcome | Error) => void) | undefined;

  commit = (
    changes: readonly Change[],
    subject: string,
    _: unknown,
    steps: readonly string[] = [],
  ): Promise<CommitOutcome> => {
    this.pushes.push({ names: changes.map(({ name }) => name), subject, steps });
    return new Promise((resolve, reject) => {
      this.#answer = (outcome) => (outcome instanceof Error ? reject(outcome) : resolve(outcome));
    });
  };

  async answers(outcome: CommitOutcome | Error): Promise<void> {
    await expect.poll(() => this.#answer).toBeDefined();
    const answer = this.#answer;
    this.#answer = undefined;
    answer?.(outcome);
  }
}

const committed = (lost: Change[] = []): CommitOutcome => ({
  r: 'committed',
  commit: 'c1',
  serial: 7,
  lost,
});
const refused: CommitOutcome = { r: 'refused', why: 'hook', detail: 'no' };

test('what comes up during a push is in the next one, all of it', async () => {
  const remote = new Remote();
  const together = new Together(remote);
  const first = together.commit(of('a'));
  await expect.poll(() => remote.pushes.length).toBe(1);
  const b = of('b');
  const rest = [together.commit(b), together.commit(of('c')), together.commit(of('d', 'remove'))];
  await remote.answers(committed());
  expect(await first).toEqual(committed());
  await remote.answers(committed([b.change]));
  expect(await Promise.all(rest)).toEqual([committed([b.change]), committed(), committed()]);
  expect(remote.pushes).toEqual([
    { names: ['a'], subject: 'keyturn: record a v2', steps: ['record'] },
    {
      names: ['b', 'c', 'd'],
      subject: 'keyturn: record 2 secrets, remove d v2',
      steps: ['record', 'remove'],
    },
  ]);
});

test('nobody is told before the remote has answered, and silence is that of all', async () => {
  const remote = new Remote();
  const together = new Together(remote);
  let told = 0;
  const both = ['a', 'b'].map((name) =>
    together.commit(of(name)).finally(() => {
      told += 1;
    }),
  );
  await expect.poll(() => remote.pushes.length).toBe(1);
  expect([told, remote.pushes[0]?.names]).toEqual([0, ['a', 'b']]);
  const silence: CommitOutcome = { r: 'unknown', detail: 'no answer' };
  await remote.answers(silence);
  expect(await Promise.all(both)).toEqual([silence, silence]);
});

test('a push that is refused is tried again one by one', async () => {
  const remote = new Remote();
  const together = new Together(remote);
  const both = ['a', 'b'].map((name) => together.commit(of(name)));
  await remote.answers(refused);
  await remote.answers(refused);
  await remote.answers(committed());
  expect(await Promise.all(both)).toEqual([refused, committed()]);
  expect(remote.pushes.map(({ names }) => names)).toEqual([['a', 'b'], ['a'], ['b']]);
});

test('a push that throws stops nobody behind it', async () => {
  const remote = new Remote();
  const together = new Together(remote);
  const broken = together.commit(of('a')).catch((error: Error) => error.message);
  await remote.answers(new Error('tampered'));
  expect(await broken).toBe('tampered');
  const next = together.commit(of('b'));
  await remote.answers(committed());
  expect(await next).toEqual(committed());
});

test('who stands aside gives up its place, and waits for one before it goes on', async () => {
  const seen: string[] = [];
  let wake = (): void => undefined;
  const clock = {
    sleep: () =>
      new Promise<void>((resolve) => {
        wake = resolve;
      }),
  };
  const places = new Places(1);
  const world = { clock } as unknown as World;
  let finish = (): void => undefined;
  const first = places.within(async ({ standAside }) => {
    seen.push('first waits');
    await standAside?.(2_000);
    seen.push('first goes on');
  }, world);
  const second = places.within(async () => {
    seen.push('second begins');
    await new Promise<void>((resolve) => {
      finish = resolve;
    });
    seen.push('second ends');
  }, world);
  await expect.poll(() => seen).toEqual(['first waits', 'second begins']);
  wake();
  await new Promise(setImmediate);
  expect(seen).toHaveLength(2);
  finish();
  await Promise.all([first, second]);
  expect(seen).toEqual(['first waits', 'second begins', 'second ends', 'first goes on']);
  await expect(places.within(() => Promise.reject(new Error('failed')), world)).rejects.toThrow('failed');
  expect(await places.within(async () => 'free again', world)).toBe('free again');
});
